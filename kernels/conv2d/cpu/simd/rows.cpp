// Register-blocked inner loops of the direct convolution (what they compute:
// kernels/conv2d/cpu/conv2d_simd.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/conv2d/cpu/conv2d_simd.h"

#include "kernels/conv2d/conv2d.h"
#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const Conv2dSimd conv2d_simd;

namespace {

#if defined(__AVX512F__)
constexpr int kChannels = 8;  // 8 x 3 accumulators of 32 registers
constexpr int kColumns = 3;
constexpr int kGradientChannels = 4;
constexpr int kGradientTaps = 6;
#elif defined(__AVX2__)
constexpr int kChannels = 4;  // 4 x 3 of 16
constexpr int kColumns = 3;
constexpr int kGradientChannels = 4;
constexpr int kGradientTaps = 3;
#else
constexpr int kChannels = 4;  // 4 x 2 of 16: without fused multiply-add the product needs one too
constexpr int kColumns = 2;
constexpr int kGradientChannels = 4;
constexpr int kGradientTaps = 2;
#endif

#ifdef SERENADE_DOUBLE
typedef std::int64_t Integer;
#else
typedef std::int32_t Integer;
#endif
typedef Integer Mask __attribute__((vector_size(kVectorBytes), may_alias));
typedef std::uint8_t Bytes __attribute__((vector_size(kLanes), may_alias, aligned(1)));

// (x - 0 is x, so the subtraction costs nothing; -0 + 0 is not -0, so an addition would.)
[[gnu::always_inline]] inline Vector broadcast(real x) { return x - Vector{}; }

// One register tile: kChannels output channels times kColumns vectors of pixels. Per tap kColumns
// loads of the image serve kChannels * kColumns multiply-adds.
void correlate_tile(real* out, std::int64_t out_plane, const real* in, const std::int64_t* offsets,
                    std::int64_t taps, const real* weights, const real* bias) {
  Vector sum[kChannels][kColumns];
  unroll<kChannels>([&](auto k) {
    unroll<kColumns>([&](auto v) { sum[k.value][v.value] = broadcast(bias[k.value]); });
  });
  for (std::int64_t t = 0; t < taps; ++t, weights += kChannels) {
    const real* shifted = in + offsets[t];
    Vector x[kColumns];
    unroll<kColumns>([&](auto v) { x[v.value] = load(shifted + v.value * kLanes); });
    unroll<kChannels>([&](auto k) {
      const Vector weight = broadcast(weights[k.value]);
      unroll<kColumns>([&](auto v) { sum[k.value][v.value] += weight * x[v.value]; });
    });
  }
  unroll<kChannels>([&](auto k) {
    unroll<kColumns>([&](auto v) {
      store(out + k.value * out_plane + v.value * kLanes, sum[k.value][v.value]);
    });
  });
}

void correlate(real* out, std::int64_t out_plane, const real* in, const std::int64_t* offsets,
               std::int64_t taps, const real* weights, const real* bias,
               std::int64_t channel_blocks, std::int64_t pixels) {
  for (std::int64_t p = 0; p < pixels; p += kColumns * kLanes) {
    for (std::int64_t b = 0; b < channel_blocks; ++b) {
      correlate_tile(out + b * kChannels * out_plane + p, out_plane, in + p, offsets, taps,
                     weights + b * taps * kChannels, bias + b * kChannels);
    }
  }
}

// One register tile of the weight gradient: kGradientChannels channels times kGradientTaps taps.
void weight_gradient_tile(real* sums, const real* in, const std::int64_t* offsets, const real* dout,
                          std::int64_t dout_plane, std::int64_t pixels) {
  Vector sum[kGradientChannels][kGradientTaps];
  unroll<kGradientChannels>([&](auto k) {
    unroll<kGradientTaps>([&](auto t) {
      sum[k.value][t.value] = load(sums + (k.value * kGradientTaps + t.value) * kLanes);
    });
  });
  for (std::int64_t p = 0; p < pixels; p += kLanes) {
    Vector x[kGradientTaps];
    unroll<kGradientTaps>([&](auto t) { x[t.value] = load(in + offsets[t.value] + p); });
    unroll<kGradientChannels>([&](auto k) {
      const Vector dy = load(dout + k.value * dout_plane + p);
      unroll<kGradientTaps>([&](auto t) { sum[k.value][t.value] += dy * x[t.value]; });
    });
  }
  unroll<kGradientChannels>([&](auto k) {
    unroll<kGradientTaps>([&](auto t) {
      store(sums + (k.value * kGradientTaps + t.value) * kLanes, sum[k.value][t.value]);
    });
  });
}

void weight_gradient(real* sums, const real* in, const std::int64_t* offsets, std::int64_t tiles,
                     const real* dout, std::int64_t dout_plane, std::int64_t channel_blocks,
                     std::int64_t pixels) {
  // Stretches short enough that a block of dout channels stays in the first-level cache while all
  // taps pass over it.
  constexpr std::int64_t kStretch = 16384 / (kGradientChannels * sizeof(real));
  for (std::int64_t p = 0; p < pixels; p += kStretch) {
    const std::int64_t length = pixels - p < kStretch ? pixels - p : kStretch;
    for (std::int64_t b = 0; b < channel_blocks; ++b) {
      for (std::int64_t tile = 0; tile < tiles; ++tile) {
        weight_gradient_tile(sums + (b * tiles + tile) * kGradientChannels * kGradientTaps * kLanes,
                             in + p, offsets + tile * kGradientTaps,
                             dout + b * kGradientChannels * dout_plane + p, dout_plane, length);
      }
    }
  }
}

// One window; the definition, for window widths and row ends that the vector loop leaves over.
void relu_maxpool_window(real* y, std::uint8_t* index, const real* window, std::int64_t pitch,
                         std::int64_t pool_h, std::int64_t pool_w) {
  real best = window[0];
  std::int64_t where = 0;
  for (std::int64_t a = 0; a < pool_h; ++a) {
    for (std::int64_t b = 0; b < pool_w; ++b) {
      const real value = window[a * pitch + b];
      if (value > best || value != value) {
        best = value;
        where = a * pool_w + b;
      }
    }
  }
  const bool killed = best <= 0;  // false for NaN, which must stay visible
  *y = killed ? 0 : best;
  *index = killed ? kKilledByRelu : static_cast<std::uint8_t>(where);
}

// The elements of even (offset 0) or odd (1) index of two consecutive vectors.
template <int offset>
[[gnu::always_inline]] inline Vector every_second(Vector low, Vector high) {
  return shuffle(low, high, [](int i) { return 2 * i + offset; });
}

template <int pool_w>
void relu_maxpool_vectors(real* y, std::uint8_t* index, const real* rows, std::int64_t pitch,
                          std::int64_t pool_h, std::int64_t count) {
  std::int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    Vector best{};
    Mask where{};
    for (std::int64_t a = 0; a < pool_h; ++a) {
      const real* row = rows + a * pitch + j * pool_w;
      unroll<pool_w>([&](auto b) {
        Vector value = load(row);
        if constexpr (pool_w == 2) value = every_second<b.value>(value, load(row + kLanes));
        const Mask better =
            (value > best) | (value != value) | (Mask{} + (a + b.value == 0 ? -1 : 0));
        best = better ? value : best;
        where = better ? Mask{} + static_cast<Integer>(a * pool_w + b.value) : where;
      });
    }
    const Mask killed = best <= 0;
    store(y + j, killed ? Vector{} : best);
    where = killed ? Mask{} + Integer(kKilledByRelu) : where;
    *reinterpret_cast<Bytes*>(index + j) = __builtin_convertvector(where, Bytes);
  }
  for (; j < count; ++j) {
    relu_maxpool_window(y + j, index + j, rows + j * pool_w, pitch, pool_h, pool_w);
  }
}

void relu_maxpool_row(real* y, std::uint8_t* index, const real* rows, std::int64_t pitch,
                      std::int64_t pool_h, std::int64_t pool_w, std::int64_t count) {
  if (pool_w == 1) return relu_maxpool_vectors<1>(y, index, rows, pitch, pool_h, count);
  if (pool_w == 2) return relu_maxpool_vectors<2>(y, index, rows, pitch, pool_h, count);
  for (std::int64_t j = 0; j < count; ++j) {
    relu_maxpool_window(y + j, index + j, rows + j * pool_w, pitch, pool_h, pool_w);
  }
}

// Loops over one value at a time, which the compiler turns into vectors: bytes have to be widened,
// and it knows how to do that for every width.
void unpool_row(real* __restrict to, const real* __restrict dy,
                const std::uint8_t* __restrict index, std::int64_t count,
                std::int64_t first_position, std::int64_t pool_w) {
  const int first = static_cast<int>(first_position);
  if (pool_w == 1) {
    for (std::int64_t j = 0; j < count; ++j) {
      const real g = dy[j];  // read in any case: a load on condition is not vectorised
      to[j] = index[j] == first ? g : real(0);
    }
    return;
  }
  if (pool_w == 2) {
    for (std::int64_t j = 0; j < count; ++j) {
      const real g = dy[j];
      to[2 * j] = index[j] == first ? g : real(0);
      to[2 * j + 1] = index[j] == first + 1 ? g : real(0);
    }
    return;
  }
  for (std::int64_t j = 0; j < count; ++j) {
    for (std::int64_t b = 0; b < pool_w; ++b) {
      to[j * pool_w + b] = index[j] == first + b ? dy[j] : real(0);
    }
  }
}

real sum_alive(const real* __restrict dy, const std::uint8_t* __restrict index,
               std::int64_t count) {
  constexpr std::int64_t kBlock = 256;
  constexpr int kSums = 4;  // independent, so that the loop is not one chain of additions
  Vector sum[kSums] = {};
  real rest = 0;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t length = count - begin < kBlock ? count - begin : kBlock;
    real alive[kBlock];
    const real* from = dy + begin;
    if (index != nullptr) {
      for (std::int64_t j = 0; j < length; ++j) {
        const real g = from[j];
        alive[j] = index[begin + j] != kKilledByRelu ? g : real(0);
      }
      from = alive;
    }
    std::int64_t j = 0;
    for (; j + kSums * kLanes <= length; j += kSums * kLanes) {
      unroll<kSums>([&](auto i) { sum[i.value] += load(from + j + i.value * kLanes); });
    }
    for (; j < length; ++j) rest += from[j];
  }
  const Vector lanes = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  for (int lane = 0; lane < kLanes; ++lane) rest += lanes[lane];
  return rest;
}

}  // namespace

const Conv2dSimd conv2d_simd = {.lanes = kLanes,
                                .channel_block = kChannels,
                                .pixel_block = kColumns * kLanes,
                                .gradient_channel_block = kGradientChannels,
                                .tap_block = kGradientTaps,
                                .correlate = correlate,
                                .weight_gradient = weight_gradient,
                                .relu_maxpool_row = relu_maxpool_row,
                                .unpool_row = unpool_row,
                                .sum_alive = sum_alive};

}  // namespace serenade::cpu::SERENADE_ISA
