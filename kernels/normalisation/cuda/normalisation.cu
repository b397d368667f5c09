// Normalisation on the device.
//
// A block per plane or row, for which statistics and factors are read once. Sums are formed in
// double around the first element, so that one pass gives mean and variance. Sets of planes take
// two kernels more: one thread per set adds up its planes in order. Bytes per element from memory:
// 12 forward (x twice) and 20 backward (dy and x twice, dx read and written); the second look finds
// what fits the second-level cache there.

#include "kernels/normalisation/normalisation.h"

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

/// Two sums, or a mean and a sum of squared differences.
struct Pair {
  double first, second;
};

/// Threads for a block that works on `elements` neighbours: whole warps.
dim3 block_for(std::int64_t elements) {
  return dim3(static_cast<unsigned>(std::max(32, power_of_two_for(elements, kLoopThreads))));
}

dim3 blocks(std::int64_t count) { return dim3(static_cast<unsigned>(count)); }

__device__ __forceinline__ double block_sum(double value, SharedPointer<double> scratch) {
  return block_reduce(value, scratch, Plus{});
}

/// Mean and sum of squared differences of `count` elements, by the whole block.
__device__ __forceinline__ Pair moments_of(GlobalPointer<const real> x, std::int64_t start,
                                           std::int64_t count, SharedPointer<double> scratch) {
  const real first = x[start];
  double sum = 0, squares = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    const real v = x[start + i];
    const double difference = static_cast<double>(v) - static_cast<double>(first);
    sum += difference;
    squares += difference * difference;
  }
  sum = block_sum(sum, scratch);
  squares = block_sum(squares, scratch);
  const double rest = sum / static_cast<double>(count), around = squares - sum * rest;
  return {static_cast<double>(first) + rest, around < 0 ? 0 : around};
}

/// sum g and sum g (x - mean) with g = dy weight, by the whole block.
__device__ __forceinline__ Pair products_of(GlobalPointer<const real> dy,
                                            GlobalPointer<const real> x,
                                            GlobalPointer<const real> weight, std::int64_t start,
                                            std::int64_t count, real mean,
                                            SharedPointer<double> scratch) {
  double plain = 0, centred = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    const real d = dy[start + i], v = x[start + i];
    double g = static_cast<double>(d);
    if (weight) {
      const real w = weight[i];
      g *= static_cast<double>(w);
    }
    plain += g;
    centred += g * static_cast<double>(v - mean);
  }
  plain = block_sum(plain, scratch);
  centred = block_sum(centred, scratch);
  return {plain, centred};
}

__device__ __forceinline__ double inverse_root(real variance, real epsilon) {
  return 1 / sqrt(static_cast<double>(variance) + static_cast<double>(epsilon));
}

// Planes ------------------------------------------------------------------------------------------

/// Block: a plane.
__global__ void __launch_bounds__(kLoopThreads)
    plane_moments(GlobalPointer<Pair> moments, GlobalPointer<const real> x, std::int64_t inner) {
  SERENADE_SHARED(double, scratch, [32]);
  const Pair sums = moments_of(x, blockIdx.x * inner, inner, SharedPointer<double>(scratch));
  if (threadIdx.x == 0) moments[blockIdx.x] = sums;
}

/// Thread: a set, whose planes are combined in order (Chan, Golub & LeVeque 1979).
__global__ void __launch_bounds__(kLoopThreads)
    set_moments(GlobalPointer<real> mean, GlobalPointer<real> variance,
                GlobalPointer<const Pair> moments, PlaneNorm s) {
  for (std::int64_t set = loop_begin(); set < s.sets(); set += grid_stride()) {
    const double added = static_cast<double>(s.inner);
    double count = 0, middle = 0, squares = 0;
    for (std::int64_t k = 0; k < s.planes_of_set(); ++k) {
      const Pair plane = moments[s.plane(set, k)];
      const double all = count + added, difference = plane.first - middle;
      middle += difference * (added / all);
      squares += plane.second + difference * difference * (count * added / all);
      count = all;
    }
    mean[set] = static_cast<real>(middle);
    variance[set] = static_cast<real>(squares / count);
  }
}

/// Block: a plane.
__global__ void __launch_bounds__(kLoopThreads)
    plane_scale(GlobalPointer<real> y, GlobalPointer<const real> x, GlobalPointer<const real> mean,
                GlobalPointer<const real> variance, GlobalPointer<const real> weight,
                GlobalPointer<const real> bias, PlaneNorm s) {
  const std::int64_t plane = blockIdx.x, set = s.set(plane), channel = plane % s.C;
  const real middle = mean[set], spread = variance[set];
  double factor = inverse_root(spread, s.epsilon);
  real shift = 0;
  if (weight) {
    const real w = weight[channel];
    factor *= static_cast<double>(w);
  }
  if (bias) shift = bias[channel];
  const real scale = static_cast<real>(factor);
  for (std::int64_t i = threadIdx.x; i < s.inner; i += blockDim.x) {
    const real v = x[plane * s.inner + i];
    y[plane * s.inner + i] = (v - middle) * scale + shift;
  }
}

/// Block: a plane; sum dy and sum dy (x - mean).
__global__ void __launch_bounds__(kLoopThreads)
    plane_products(GlobalPointer<Pair> products, GlobalPointer<const real> dy,
                   GlobalPointer<const real> x, GlobalPointer<const real> mean, PlaneNorm s) {
  SERENADE_SHARED(double, scratch, [32]);
  const std::int64_t plane = blockIdx.x;
  const real middle = mean[s.set(plane)];
  const Pair sums = products_of(dy, x, GlobalPointer<const real>(nullptr), plane * s.inner, s.inner,
                                middle, SharedPointer<double>(scratch));
  if (threadIdx.x == 0) products[plane] = sums;
}

/// Thread: a set; the mean of g, and that of g (x - mean), times what dx has them multiplied by.
__global__ void __launch_bounds__(kLoopThreads)
    set_factors(GlobalPointer<real> along, GlobalPointer<real> constant,
                GlobalPointer<const Pair> products, GlobalPointer<const real> variance,
                GlobalPointer<const real> weight, PlaneNorm s) {
  for (std::int64_t set = loop_begin(); set < s.sets(); set += grid_stride()) {
    double plain = 0, centred = 0;
    for (std::int64_t k = 0; k < s.planes_of_set(); ++k) {
      const std::int64_t plane = s.plane(set, k);
      const Pair sums = products[plane];
      double factor = 1;
      if (weight) {
        const real w = weight[plane % s.C];
        factor = static_cast<double>(w);
      }
      plain += factor * sums.first;
      centred += factor * sums.second;
    }
    const real spread = variance[set];
    const double root = inverse_root(spread, s.epsilon);
    const double count = static_cast<double>(s.planes_of_set() * s.inner);
    along[set] = static_cast<real>(root * root * root * centred / count);
    constant[set] = static_cast<real>(root * plain / count);
  }
}

/// Thread: a channel.
__global__ void __launch_bounds__(kLoopThreads)
    channel_parameters(GlobalPointer<real> dweight, GlobalPointer<real> dbias,
                       GlobalPointer<const Pair> products, GlobalPointer<const real> variance,
                       PlaneNorm s) {
  for (std::int64_t channel = loop_begin(); channel < s.C; channel += grid_stride()) {
    double scaled = 0, plain = 0;
    for (std::int64_t plane = channel; plane < s.N * s.C; plane += s.C) {
      const Pair sums = products[plane];
      const real spread = variance[s.set(plane)];
      scaled += sums.second * inverse_root(spread, s.epsilon);
      plain += sums.first;
    }
    if (dweight) dweight[channel] += static_cast<real>(scaled);
    if (dbias) dbias[channel] += static_cast<real>(plain);
  }
}

/// Block: a plane. `along` and `constant` are null where the statistics are given.
__global__ void __launch_bounds__(kLoopThreads)
    plane_backward(GlobalPointer<real> dx, GlobalPointer<const real> dy,
                   GlobalPointer<const real> x, GlobalPointer<const real> mean,
                   GlobalPointer<const real> variance, GlobalPointer<const real> weight,
                   GlobalPointer<const real> along, GlobalPointer<const real> constant, PlaneNorm s,
                   Write write) {
  const std::int64_t plane = blockIdx.x, set = s.set(plane);
  const real middle = mean[set], spread = variance[set];
  double factor = inverse_root(spread, s.epsilon);
  real b = 0, c = 0;
  if (weight) {
    const real w = weight[plane % s.C];
    factor *= static_cast<double>(w);
  }
  if (along) {
    b = along[set];
    c = constant[set];
  }
  const real a = static_cast<real>(factor);
  for (std::int64_t i = threadIdx.x; i < s.inner; i += blockDim.x) {
    const std::int64_t at = plane * s.inner + i;
    const real d = dy[at], v = x[at];
    const real gradient = a * d - b * (v - middle) - c;
    dx[at] = write == Write::add ? dx[at] + gradient : gradient;
  }
}

// Rows --------------------------------------------------------------------------------------------

/// Block: a row.
__global__ void __launch_bounds__(kLoopThreads)
    row_forward(GlobalPointer<real> y, GlobalPointer<real> mean, GlobalPointer<real> variance,
                GlobalPointer<const real> x, GlobalPointer<const real> weight,
                GlobalPointer<const real> bias, RowNorm s) {
  SERENADE_SHARED(double, scratch, [32]);
  const std::int64_t row = blockIdx.x, start = row * s.size;
  Pair moments = {0, 0};
  if (s.centred) {
    moments = moments_of(x, start, s.size, SharedPointer<double>(scratch));
  } else {
    for (std::int64_t i = threadIdx.x; i < s.size; i += blockDim.x) {
      const real v = x[start + i];
      moments.second += static_cast<double>(v) * static_cast<double>(v);
    }
    moments.second = block_sum(moments.second, SharedPointer<double>(scratch));
  }
  const real middle = static_cast<real>(moments.first);
  const real spread = static_cast<real>(moments.second / static_cast<double>(s.size));
  if (threadIdx.x == 0) {
    mean[row] = middle;
    variance[row] = spread;
  }
  const real scale = static_cast<real>(inverse_root(spread, s.epsilon));
  for (std::int64_t i = threadIdx.x; i < s.size; i += blockDim.x) {
    const real v = x[start + i];
    real value = (v - middle) * scale;
    if (weight) value *= weight[i];
    if (bias) value += bias[i];
    y[start + i] = value;
  }
}

/// Block: a row.
__global__ void __launch_bounds__(kLoopThreads)
    row_backward(GlobalPointer<real> dx, GlobalPointer<const real> dy, GlobalPointer<const real> x,
                 GlobalPointer<const real> mean, GlobalPointer<const real> variance,
                 GlobalPointer<const real> weight, RowNorm s, Write write) {
  SERENADE_SHARED(double, scratch, [32]);
  const std::int64_t row = blockIdx.x, start = row * s.size;
  const real middle = mean[row], spread = variance[row];
  const Pair sums =
      products_of(dy, x, weight, start, s.size, middle, SharedPointer<double>(scratch));
  const double root = inverse_root(spread, s.epsilon), count = static_cast<double>(s.size);
  const real a = static_cast<real>(root);
  const real b = static_cast<real>(root * root * root * sums.second / count);
  const real c = s.centred ? static_cast<real>(root * sums.first / count) : real(0);
  for (std::int64_t i = threadIdx.x; i < s.size; i += blockDim.x) {
    const real d = dy[start + i], v = x[start + i];
    real g = a * d;
    if (weight) g *= weight[i];
    const real gradient = g - b * (v - middle) - c;
    dx[start + i] = write == Write::add ? dx[start + i] + gradient : gradient;
  }
}

/// Thread: a place; blockIdx.y: a group of rows. partials: [groups, size].
__global__ void __launch_bounds__(kLoopThreads)
    row_parameters(GlobalPointer<Pair> partials, GlobalPointer<const real> dy,
                   GlobalPointer<const real> x, GlobalPointer<const real> mean,
                   GlobalPointer<const real> variance, std::int64_t group, RowNorm s) {
  const std::int64_t i = loop_begin(), first = blockIdx.y * group;
  if (i >= s.size) return;
  const std::int64_t end = first + group < s.rows ? first + group : s.rows;
  Pair sums = {0, 0};
  for (std::int64_t row = first; row < end; ++row) {
    const real middle = mean[row], spread = variance[row];
    const real d = dy[row * s.size + i], v = x[row * s.size + i];
    sums.first += static_cast<double>(d);
    sums.second +=
        static_cast<double>(d) * static_cast<double>(v - middle) * inverse_root(spread, s.epsilon);
  }
  partials[blockIdx.y * s.size + i] = sums;
}

/// Thread: a place.
__global__ void __launch_bounds__(kLoopThreads)
    sum_groups(GlobalPointer<real> dweight, GlobalPointer<real> dbias,
               GlobalPointer<const Pair> partials, std::int64_t groups, std::int64_t size) {
  const std::int64_t i = loop_begin();
  if (i >= size) return;
  Pair sums = {0, 0};
  for (std::int64_t group = 0; group < groups; ++group) {
    const Pair partial = partials[group * size + i];
    sums.first += partial.first;
    sums.second += partial.second;
  }
  if (dweight) dweight[i] += static_cast<real>(sums.second);
  if (dbias) dbias[i] += static_cast<real>(sums.first);
}

}  // namespace

void plane_norm_apply(real* y, const real* x, const real* mean, const real* variance,
                      const real* weight, const real* bias, const PlaneNorm& s) {
  if (s.N * s.C * s.inner == 0) return;
  SERENADE_LAUNCH(plane_scale, blocks(s.N * s.C), block_for(s.inner), 0, current_stream(), y, x,
                  mean, variance, weight, bias, s);
}

void plane_norm_forward(real* y, real* mean, real* variance, const real* x, const real* weight,
                        const real* bias, const PlaneNorm& s) {
  const DeviceArray<Pair> moments(s.N * s.C);
  SERENADE_LAUNCH(plane_moments, blocks(s.N * s.C), block_for(s.inner), 0, current_stream(),
                  moments.data(), x, s.inner);
  SERENADE_LAUNCH(set_moments, loop_grid(s.sets()), dim3(kLoopThreads), 0, current_stream(), mean,
                  variance, moments.data(), s);
  plane_norm_apply(y, x, mean, variance, weight, bias, s);
}

void plane_norm_backward(real* dx, real* dweight, real* dbias, const real* dy, const real* x,
                         const real* mean, const real* variance, const real* weight,
                         const PlaneNorm& s, bool given, Write write) {
  if (s.N * s.C * s.inner == 0) return;
  const dim3 planes = blocks(s.N * s.C), block = block_for(s.inner);
  const bool parameters = dweight != nullptr || dbias != nullptr, sums = parameters || !given;
  const DeviceArray<Pair> products(sums ? s.N * s.C : 0);
  if (sums) {
    SERENADE_LAUNCH(plane_products, planes, block, 0, current_stream(), products.data(), dy, x,
                    mean, s);
  }
  if (parameters) {
    SERENADE_LAUNCH(channel_parameters, loop_grid(s.C), dim3(kLoopThreads), 0, current_stream(),
                    dweight, dbias, products.data(), variance, s);
  }
  if (dx == nullptr) return;
  const DeviceArray<real> factors(given ? 0 : 2 * s.sets());
  real* const along = given ? nullptr : factors.data();
  real* const constant = given ? nullptr : factors.data() + s.sets();
  if (!given) {
    SERENADE_LAUNCH(set_factors, loop_grid(s.sets()), dim3(kLoopThreads), 0, current_stream(),
                    along, constant, products.data(), variance, weight, s);
  }
  SERENADE_LAUNCH(plane_backward, planes, block, 0, current_stream(), dx, dy, x, mean, variance,
                  weight, along, constant, s, write);
}

void row_norm_forward(real* y, real* mean, real* variance, const real* x, const real* weight,
                      const real* bias, const RowNorm& s) {
  if (s.rows == 0) return;
  SERENADE_LAUNCH(row_forward, blocks(s.rows), block_for(s.size), 0, current_stream(), y, mean,
                  variance, x, weight, bias, s);
}

void row_norm_backward(real* dx, real* dweight, real* dbias, const real* dy, const real* x,
                       const real* mean, const real* variance, const real* weight, const RowNorm& s,
                       Write write) {
  if (s.rows == 0) return;
  if (dx != nullptr) {
    SERENADE_LAUNCH(row_backward, blocks(s.rows), block_for(s.size), 0, current_stream(), dx, dy, x,
                    mean, variance, weight, s, write);
  }
  if (dweight == nullptr && dbias == nullptr) return;
  constexpr std::int64_t kLeastRows = 32, kMostGroups = 256;
  const std::int64_t group = std::max(kLeastRows, (s.rows + kMostGroups - 1) / kMostGroups);
  const std::int64_t groups = (s.rows + group - 1) / group;
  const DeviceArray<Pair> partials(groups * s.size);
  const unsigned columns = static_cast<unsigned>((s.size + kLoopThreads - 1) / kLoopThreads);
  SERENADE_LAUNCH(row_parameters, dim3(columns, static_cast<unsigned>(groups)), dim3(kLoopThreads),
                  0, current_stream(), partials.data(), dy, x, mean, variance, group, s);
  SERENADE_LAUNCH(sum_groups, dim3(columns), dim3(kLoopThreads), 0, current_stream(), dweight,
                  dbias, partials.data(), groups, s.size);
}

}  // namespace serenade::cuda
