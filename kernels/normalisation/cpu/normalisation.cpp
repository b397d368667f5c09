// Normalisation on the host.
//
// v0 is the definition. The version in use takes a set at a time: it is summed and written while it
// is in a cache (a channel of 32 images of 32 x 32 is 128 KB), so that from memory come 8 bytes per
// element forward and 16 backward, or 12 and 24 where a set is larger than the caches.

#include "kernels/normalisation/normalisation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/normalisation/cpu/normalisation_simd.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(NormalisationSimd, normalisation_simd);

namespace {

// Calls block(begin, end) for stretches of at most kNormBlock elements that cover 0 .. count-1.
template <class Block>
void for_each_block(std::int64_t count, const Block& block) {
  for (std::int64_t begin = 0; begin < count; begin += kNormBlock) {
    block(begin, std::min(count, begin + kNormBlock));
  }
}

// Mean and squared differences of all elements seen so far (Chan, Golub & LeVeque 1979).
struct Moments {
  double count = 0, mean = 0, squares = 0;

  void add(const real* x, std::int64_t elements) {
    for_each_block(elements, [&](std::int64_t begin, std::int64_t end) {
      double block[2];
      normalisation_simd().moments(block, x + begin, end - begin);
      const double added = static_cast<double>(end - begin), all = count + added;
      const double difference = block[0] - mean;
      mean += difference * (added / all);
      squares += block[1] + difference * difference * (count * added / all);
      count = all;
    });
  }
  double variance() const { return squares / count; }
};

// sum g and sum g (x - mean).
struct Products {
  double plain = 0, centred = 0;

  void add(const real* dy, const real* x, const real* weight, std::int64_t elements, real mean) {
    for_each_block(elements, [&](std::int64_t begin, std::int64_t end) {
      double block[2];
      normalisation_simd().products(block, dy + begin, x + begin, weight ? weight + begin : nullptr,
                                    end - begin, mean);
      plain += block[0];
      centred += block[1];
    });
  }
};

double inverse_root(real variance, real epsilon) {
  return 1 / std::sqrt(static_cast<double>(variance) + static_cast<double>(epsilon));
}

void apply_to_set(real* y, const real* x, const real* mean, const real* variance,
                  const real* weight, const real* bias, const PlaneNorm& s, std::int64_t set) {
  const double root = inverse_root(variance[set], s.epsilon);
  for (std::int64_t k = 0; k < s.planes_of_set(); ++k) {
    const std::int64_t plane = s.plane(set, k), channel = plane % s.C;
    const double scale = weight ? root * static_cast<double>(weight[channel]) : root;
    normalisation_simd().scale(y + plane * s.inner, x + plane * s.inner, s.inner, mean[set],
                               static_cast<real>(scale), bias ? bias[channel] : real(0));
  }
}

}  // namespace

void plane_norm_forward_v0_plain(real* y, real* mean, real* variance, const real* x,
                                 const real* weight, const real* bias, const PlaneNorm& s) {
  for (std::int64_t set = 0; set < s.sets(); ++set) {
    const double count = static_cast<double>(s.planes_of_set() * s.inner);
    const auto each = [&](auto f) {
      for (std::int64_t k = 0; k < s.planes_of_set(); ++k) {
        for (std::int64_t i = 0; i < s.inner; ++i) f(s.plane(set, k) * s.inner + i);
      }
    };
    double sum = 0, squares = 0;
    each([&](std::int64_t at) { sum += static_cast<double>(x[at]); });
    const double middle = sum / count;
    each([&](std::int64_t at) {
      const double difference = static_cast<double>(x[at]) - middle;
      squares += difference * difference;
    });
    mean[set] = static_cast<real>(middle);
    variance[set] = static_cast<real>(squares / count);
    const double root = 1 / std::sqrt(squares / count + static_cast<double>(s.epsilon));
    each([&](std::int64_t at) {
      const std::int64_t channel = at / s.inner % s.C;
      const double z = (static_cast<double>(x[at]) - middle) * root;
      y[at] = static_cast<real>(z * static_cast<double>(weight ? weight[channel] : real(1)) +
                                static_cast<double>(bias ? bias[channel] : real(0)));
    });
  }
}

void plane_norm_forward(real* y, real* mean, real* variance, const real* x, const real* weight,
                        const real* bias, const PlaneNorm& s) {
  parallel_items(s.sets(), s.planes_of_set() * s.inner, [&](std::int64_t set) {
    Moments moments;
    for (std::int64_t k = 0; k < s.planes_of_set(); ++k) {
      moments.add(x + s.plane(set, k) * s.inner, s.inner);
    }
    mean[set] = static_cast<real>(moments.mean);
    variance[set] = static_cast<real>(moments.variance());
    apply_to_set(y, x, mean, variance, weight, bias, s, set);
  });
}

void plane_norm_apply(real* y, const real* x, const real* mean, const real* variance,
                      const real* weight, const real* bias, const PlaneNorm& s) {
  parallel_items(s.sets(), s.planes_of_set() * s.inner, [&](std::int64_t set) {
    apply_to_set(y, x, mean, variance, weight, bias, s, set);
  });
}

void plane_norm_backward(real* dx, real* dweight, real* dbias, const real* dy, const real* x,
                         const real* mean, const real* variance, const real* weight,
                         const PlaneNorm& s, bool given, Write write) {
  const NormalisationSimd& simd = normalisation_simd();
  std::vector<Products> of_plane(static_cast<std::size_t>(s.N * s.C));
  const bool sums_needed = dweight || dbias || !given;
  parallel_items(s.sets(), s.planes_of_set() * s.inner, [&](std::int64_t set) {
    Products total;  // of g
    for (std::int64_t k = 0; sums_needed && k < s.planes_of_set(); ++k) {
      const std::int64_t plane = s.plane(set, k);
      Products& sums = of_plane[static_cast<std::size_t>(plane)];
      sums.add(dy + plane * s.inner, x + plane * s.inner, nullptr, s.inner, mean[set]);
      const double factor = weight ? static_cast<double>(weight[plane % s.C]) : 1;
      total.plain += factor * sums.plain;
      total.centred += factor * sums.centred;
    }
    if (!dx) return;
    const double root = inverse_root(variance[set], s.epsilon);
    const double count = static_cast<double>(s.planes_of_set() * s.inner);
    const double b = given ? 0 : root * root * root * total.centred / count;
    const double c = given ? 0 : root * total.plain / count;
    for (std::int64_t k = 0; k < s.planes_of_set(); ++k) {
      const std::int64_t plane = s.plane(set, k);
      const double a = weight ? root * static_cast<double>(weight[plane % s.C]) : root;
      simd.backward(dx + plane * s.inner, dy + plane * s.inner, x + plane * s.inner, nullptr,
                    s.inner, mean[set], static_cast<real>(a), static_cast<real>(b),
                    static_cast<real>(c), write);
    }
  });
  for (std::int64_t channel = 0; (dweight || dbias) && channel < s.C; ++channel) {
    double scaled = 0, plain = 0;
    for (std::int64_t plane = channel; plane < s.N * s.C; plane += s.C) {
      const Products& sums = of_plane[static_cast<std::size_t>(plane)];
      scaled += sums.centred * inverse_root(variance[s.set(plane)], s.epsilon);
      plain += sums.plain;
    }
    if (dweight) dweight[channel] += static_cast<real>(scaled);
    if (dbias) dbias[channel] += static_cast<real>(plain);
  }
}

void row_norm_forward_v0_plain(real* y, real* mean, real* variance, const real* x,
                               const real* weight, const real* bias, const RowNorm& s) {
  for (std::int64_t row = 0; row < s.rows; ++row) {
    const real* from = x + row * s.size;
    double sum = 0, squares = 0;
    for (std::int64_t i = 0; s.centred && i < s.size; ++i) sum += static_cast<double>(from[i]);
    const double middle = sum / static_cast<double>(s.size);
    for (std::int64_t i = 0; i < s.size; ++i) {
      const double difference = static_cast<double>(from[i]) - middle;
      squares += difference * difference;
    }
    mean[row] = static_cast<real>(middle);
    variance[row] = static_cast<real>(squares / static_cast<double>(s.size));
    const double root =
        1 / std::sqrt(squares / static_cast<double>(s.size) + static_cast<double>(s.epsilon));
    for (std::int64_t i = 0; i < s.size; ++i) {
      const double z = (static_cast<double>(from[i]) - middle) * root;
      y[row * s.size + i] =
          static_cast<real>(z * static_cast<double>(weight ? weight[i] : real(1)) +
                            static_cast<double>(bias ? bias[i] : real(0)));
    }
  }
}

void row_norm_forward(real* y, real* mean, real* variance, const real* x, const real* weight,
                      const real* bias, const RowNorm& s) {
  parallel_items(s.rows, s.size, [&](std::int64_t row) {
    const real* from = x + row * s.size;
    if (s.centred) {
      Moments moments;
      moments.add(from, s.size);
      mean[row] = static_cast<real>(moments.mean);
      variance[row] = static_cast<real>(moments.variance());
    } else {
      double total = 0;
      for_each_block(s.size, [&](std::int64_t begin, std::int64_t end) {
        double block[2];
        normalisation_simd().squares(block, from + begin, end - begin);
        total += block[0];
      });
      mean[row] = 0;
      variance[row] = static_cast<real>(total / static_cast<double>(s.size));
    }
    normalisation_simd().scale_row(y + row * s.size, from, weight, bias, s.size, mean[row],
                                   static_cast<real>(inverse_root(variance[row], s.epsilon)));
  });
}

void row_norm_backward(real* dx, real* dweight, real* dbias, const real* dy, const real* x,
                       const real* mean, const real* variance, const real* weight, const RowNorm& s,
                       Write write) {
  const NormalisationSimd& simd = normalisation_simd();
  // Rows in groups, whose sums for the parameters are added up in order: as many groups for any
  // number of threads.
  constexpr std::int64_t kMostGroups = 32, kLeastElements = 1 << 14;
  const std::int64_t groups =
      std::clamp<std::int64_t>(s.rows * s.size / kLeastElements, 1, kMostGroups);
  const bool parameters = dweight || dbias;
  const std::int64_t sums = 2 * s.size;
  std::vector<real> of_group(static_cast<std::size_t>(parameters ? groups * sums : 0));
  parallel_items(groups, s.rows * s.size / groups, [&](std::int64_t group) {
    real* dw = parameters ? of_group.data() + group * sums : nullptr;
    for (std::int64_t row = s.rows * group / groups; row < s.rows * (group + 1) / groups; ++row) {
      const real *from = x + row * s.size, *d = dy + row * s.size;
      const double root = inverse_root(variance[row], s.epsilon);
      if (parameters) {
        simd.parameters(dw, dw + s.size, d, from, s.size, mean[row], static_cast<real>(root));
      }
      if (!dx) continue;
      Products of_row;
      of_row.add(d, from, weight, s.size, mean[row]);
      const double count = static_cast<double>(s.size);
      const double b = root * root * root * of_row.centred / count;
      const double c = s.centred ? root * of_row.plain / count : 0;
      simd.backward(dx + row * s.size, d, from, weight, s.size, mean[row], static_cast<real>(root),
                    static_cast<real>(b), static_cast<real>(c), write);
    }
  });
  for (std::int64_t group = 0; parameters && group < groups; ++group) {
    const real* dw = of_group.data() + group * sums;
    for (std::int64_t i = 0; dweight && i < s.size; ++i) dweight[i] += dw[i];
    for (std::int64_t i = 0; dbias && i < s.size; ++i) dbias[i] += dw[s.size + i];
  }
}

}  // namespace serenade::cpu
