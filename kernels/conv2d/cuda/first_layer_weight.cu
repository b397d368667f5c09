// The weight and bias gradients of the first layer, straight from the pooled gradient and the
// indices of its windows of 2 x 1. A block goes over a strip of tiles of 32 x 32 pixels, whose
// inputs it loads into shared memory. A thread has 2 channels, 4 neighbouring windows at a time and
// all taps: 32 sums for 2 x 8, 60 for 3 x 10, which stay in registers for the whole strip. It reads
// each of its windows once, 16 bytes of gradients and 4 of indices, and spreads them over the two
// rows of the pool in registers: the gradient before the pool is never stored. At the end lanes and
// warps add up in a fixed order, every block writes one partial gradient, and a second kernel adds
// those in their order.
//
// Per 4 windows of 2 channels: 256 multiply-adds with 16 taps, for 9 loads of inputs (2 x 8) or 18
// (8 x 2) and 4 of windows. Kernels are computed as the next larger of 2 x 8, 8 x 2, 3 x 10 and
// 10 x 3; what they do not have is not stored. Shared memory: 7.9 KB, of inputs and then of sums.
// 256 threads of 103 (2 x 8) to 128 registers (3 x 10), 2 blocks per multiprocessor.
//
// One branch to 8 channels, 2 x 8 or 8 x 2, on 2048 x 200: 0.05 GFLOP; computed are 0.10, with a
// zero for the row that lost, 1.6 us at 67 TFLOP/s. 6.6 MB of gradients, 1.6 MB of indices and 1.6
// MB of x, 2.3 us at 4.3 TB/s.

#include "kernels/conv2d/cuda/tile.cuh"

namespace serenade::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kChannels = 8, kOwn = 2;            // of a branch; of a thread
constexpr int kColumnLanes = 8;                   // of a warp; the others have other channels
constexpr int kTileRows = 32, kTileColumns = 32;  // before the pooling
constexpr int kPitch = 44;                        // kernels up to 10 wide reach column 43
constexpr int kShared = 1984;  // a tile of inputs, 41 x 44, or the sums of 8 warps, 8 x 31 each
constexpr std::int64_t kMaxStrips = 264;  // 2 for each multiprocessor of an H200

struct FirstWeight {
  MapSource x, dy;
  int R, S, pad_top, pad_left;
  int tiles_h, tiles_w;
  std::int64_t tiles, tiles_per_strip;
  bool vec4s;  // rows of dy and of indices may be read 4 elements at a time
};

/// Gradients of 4 windows before the pool, in its upper and lower row; 0 outside the map.
struct Spread {
  real row[2][4];

  __device__ __forceinline__ Spread(const FirstWeight& p, std::int64_t n, int k, int i, int j) {
    const MapWindows& map = p.dy.map;
    Vec4 d{};
    FourBytes winner{{kKilledByRelu, kKilledByRelu, kKilledByRelu, kKilledByRelu}};
    if (k < map.channels && j < map.width) {
      const std::int64_t from = map.offset(n, k, i, j);
      if (p.vec4s) {
        d = load_vector<Vec4>(p.dy.data + from);
        winner = load_vector<FourBytes>(p.dy.index + from);
      } else {
        SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
          if (j + e >= map.width) continue;
          d.value[e] = p.dy.data[from + e];
          winner.value[e] = p.dy.index[from + e];
        }
      }
    }
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
      row[0][e] = winner.value[e] == 0 ? d.value[e] : real(0);
      row[1][e] = winner.value[e] == 1 ? d.value[e] : real(0);
    }
  }

  __device__ __forceinline__ real sum() const {
    real total = 0;
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) total += row[0][e] + row[1][e];
    return total;
  }
};

/// The taps of one channel, row by row, followed by the bias.
template <int R, int S>
using TapSums = real[R * S + 1];

/// sums[c] += over 4 windows; `x` begins at the first input of the pair of rows.
template <int R, int S>
__device__ __forceinline__ void add_windows(TapSums<R, S> (&sums)[kOwn], const Spread (&d)[kOwn],
                                            SharedPointer<const real> x) {
  constexpr int kVec4s = (S + 6) / 4;
  SERENADE_UNROLL for (int h = 0; h <= R; ++h) {
    real in[4 * kVec4s];
    SERENADE_UNROLL for (int q = 0; q < kVec4s; ++q) {
      const Vec4 four = load_vector<Vec4>(x + (h * kPitch + 4 * q));
      SERENADE_UNROLL for (int e = 0; e < 4; ++e) in[4 * q + e] = four.value[e];
    }
    SERENADE_UNROLL for (int a = 0; a < 2; ++a) {
      const int r = h - a;
      if (r < 0 || r >= R) continue;
      SERENADE_UNROLL for (int c = 0; c < kOwn; ++c) {
        SERENADE_UNROLL for (int s = 0; s < S; ++s) {
          SERENADE_UNROLL for (int j = 0; j < 4; ++j) {
            sums[c][r * S + s] += d[c].row[a][j] * in[s + j];
          }
        }
      }
    }
  }
  SERENADE_UNROLL for (int c = 0; c < kOwn; ++c) sums[c][R * S] += d[c].sum();
}

/// Goes over the tiles of the block's strip.
template <int R, int S>
__device__ __forceinline__ void sum_strip(TapSums<R, S> (&sums)[kOwn], SharedPointer<real> tile,
                                          const FirstWeight& p) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int column = lane % kColumnLanes * 4, channel = lane / kColumnLanes * kOwn;
  const std::int64_t begin = blockIdx.x * p.tiles_per_strip;
  const std::int64_t end = min(p.tiles, begin + p.tiles_per_strip);
  SERENADE_UNROLL_BY(1) for (std::int64_t at = begin; at < end; ++at) {
    const std::int64_t line = at / p.tiles_w, n = line / p.tiles_h;
    const int top = static_cast<int>(line - n * p.tiles_h) * kTileRows;
    const int left = static_cast<int>(at - line * p.tiles_w) * kTileColumns;
    __syncthreads();
    load_box<kPitch>(
        tile, 0, p.x,
        {n, 0, top - p.pad_top, left - p.pad_left, 1, kTileRows + R - 1, kTileColumns + S - 1});
    __syncthreads();
    SERENADE_UNROLL_BY(1) for (int i = warp; i < kTileRows / 2; i += kWarps) {
      if (top / 2 + i >= p.dy.map.pooled_h()) break;
      const Spread d[kOwn] = {Spread(p, n, channel, top / 2 + i, left + column),
                              Spread(p, n, channel + 1, top / 2 + i, left + column)};
      add_windows<R, S>(sums, d, tile + (2 * i * kPitch + column));
    }
  }
}

/// partials: [strips][K][p.R][p.S], bias_partials: [strips][K]; blockIdx.x: strip.
template <int R, int S>
__global__ void __launch_bounds__(kThreads, sizeof(real) == 4 ? 2 : 1)
    sum_first_layer(GlobalPointer<real> partials, GlobalPointer<real> bias_partials,
                    FirstWeight p) {
  constexpr int kSums = R * S + 1;
  static_assert((kTileRows + R - 1) * kPitch <= kShared && kWarps * kChannels * kSums <= kShared);
  SERENADE_SHARED(real, shared, [kShared]);
  const SharedPointer<real> scratch = shared;
  TapSums<R, S> sums[kOwn] = {};
  sum_strip<R, S>(sums, scratch, p);
  __syncthreads();
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  SERENADE_UNROLL for (int c = 0; c < kOwn; ++c) {
    SERENADE_UNROLL for (int e = 0; e < kSums; ++e) {
      const real total = warp_reduce(sums[c][e], kColumnLanes, Plus{});
      if (lane % kColumnLanes == 0) {
        scratch[(warp * kChannels + lane / kColumnLanes * kOwn + c) * kSums + e] = total;
      }
    }
  }
  __syncthreads();
  const int K = p.dy.map.channels;
  for (int e = static_cast<int>(threadIdx.x); e < K * kSums; e += kThreads) {
    real total = 0;
    for (int other = 0; other < kWarps; ++other) {
      const real more = scratch[other * kChannels * kSums + e];
      total += more;
    }
    const int k = e / kSums, tap = e - k * kSums, r = tap / S, s = tap - r * S;
    const std::int64_t channel = static_cast<std::int64_t>(blockIdx.x) * K + k;
    if (tap == R * S) {
      bias_partials[channel] = total;
    } else if (r < p.R && s < p.S) {
      partials[(channel * p.R + r) * p.S + s] = total;
    }
  }
}

template <int R, int S>
void launch(const FirstWeight& p, std::int64_t strips, real* partials, real* bias_partials) {
  SERENADE_LAUNCH((sum_first_layer<R, S>), dim3(static_cast<unsigned>(strips)), dim3(kThreads), 0,
                  current_stream(), partials, bias_partials, p);
}

}  // namespace

void conv2d_first_layer_backward_weight(const Conv2dBranch& branch, const real* dy,
                                        const std::uint8_t* index, const real* x,
                                        std::int64_t channels) {
  const Conv2dShape& s = branch.shape;
  const std::int64_t first = branch.first_channel * (s.out_h() / 2) * s.out_w();
  const ConvSource part{dy + first, index + first, 2, 1, channels};
  FirstWeight p{};
  p.x = {x, nullptr, map_windows(1, s.H, s.W)};
  p.dy = gradient_map(part, s);
  p.R = static_cast<int>(s.R);
  p.S = static_cast<int>(s.S);
  p.pad_top = static_cast<int>(s.pad_top);
  p.pad_left = static_cast<int>(s.pad_left);
  p.tiles_h = static_cast<int>((s.out_h() / 2 * 2 + kTileRows - 1) / kTileRows);
  p.tiles_w = static_cast<int>((s.out_w() + kTileColumns - 1) / kTileColumns);
  p.tiles = s.N * p.tiles_h * p.tiles_w;
  p.vec4s = s.out_w() % 4 == 0 && is_vec4_aligned(part.data) &&
            reinterpret_cast<std::uintptr_t>(part.index) % alignof(FourBytes) == 0;
  if (p.tiles == 0) return;
  p.tiles_per_strip = (p.tiles + kMaxStrips - 1) / kMaxStrips;
  const std::int64_t strips = (p.tiles + p.tiles_per_strip - 1) / p.tiles_per_strip;
  const std::int64_t size = s.K * s.R * s.S;
  const DeviceArray<real> partials(strips * size), bias_partials(strips * s.K);
  if (s.R <= 2 && s.S <= 8) {
    launch<2, 8>(p, strips, partials.data(), bias_partials.data());
  } else if (s.R <= 8 && s.S <= 2) {
    launch<8, 2>(p, strips, partials.data(), bias_partials.data());
  } else if (s.R <= 3) {
    launch<3, 10>(p, strips, partials.data(), bias_partials.data());
  } else {
    launch<10, 3>(p, strips, partials.data(), bias_partials.data());
  }
  add_conv_partials(branch.dweight, partials.data(), strips, size);
  if (branch.dbias != nullptr) {
    add_conv_partials(branch.dbias, bias_partials.data(), strips, s.K);
  }
}

}  // namespace serenade::cuda
