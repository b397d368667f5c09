// Convolution v1: a block of 32 x 8 outputs of one channel reads the inputs it needs once into
// shared memory, one input channel at a time, and the weights of that channel beside them. Every
// input then serves all the taps that use it, R * S of them for stride 1, without another access to
// global memory; a multiply-add still costs two loads from shared memory, and that is its bound:
// 32 lanes x 2 loads per 32 multiply-adds leave a quarter of the rate of multiplication at best.
// Shared memory: 2.1 KB for 5 x 5 and stride 1. 16 x more reads of x than v2, which shares an input
// among 16 output channels.

#include "kernels/conv2d/cuda/map.cuh"

namespace serenade::cuda {
namespace {

constexpr int kRows = 8, kColumns = 32, kThreads = kRows * kColumns;
constexpr std::int64_t kMaxWords = 48 * 1024 / sizeof(real);

std::int64_t tile_rows(const Conv2dShape& s) { return (kRows - 1) * s.stride_h + s.R; }
std::int64_t tile_columns(const Conv2dShape& s) { return (kColumns - 1) * s.stride_w + s.S; }
std::int64_t shared_words(const Conv2dShape& s) {
  return tile_rows(s) * tile_columns(s) + s.R * s.S;
}

/// blockIdx.x: tile, row-major in planes [N, K].
__global__ void __launch_bounds__(kThreads)
    convolve_shared_tile(MapSink y, MapSource x, GlobalPointer<const real> weight,
                         GlobalPointer<const real> bias, ConvSizes s, int tiles_h, int tiles_w) {
  SERENADE_DYNAMIC_SHARED(real, pool);
  const int rows = (kRows - 1) * s.stride_h + s.R, columns = (kColumns - 1) * s.stride_w + s.S;
  const SharedPointer<real> tile = pool, taps = tile + rows * columns;
  const unsigned line = blockIdx.x / static_cast<unsigned>(tiles_w);
  const unsigned plane = line / static_cast<unsigned>(tiles_h);
  const int k = static_cast<int>(plane % static_cast<unsigned>(s.K));
  const std::int64_t n = plane / static_cast<unsigned>(s.K);
  const int top = static_cast<int>(line % static_cast<unsigned>(tiles_h)) * kRows;
  const int left = static_cast<int>(blockIdx.x % static_cast<unsigned>(tiles_w)) * kColumns;
  const int thread = static_cast<int>(threadIdx.x), i = thread / kColumns, j = thread % kColumns;
  real sum = 0;
  if (bias) sum = bias[k];
  for (int c = 0; c < s.C; ++c) {
    __syncthreads();
    for (int e = thread; e < rows * columns; e += kThreads) {
      tile[e] = x.at(n, c, top * s.stride_h - s.pad_top + e / columns,
                     left * s.stride_w - s.pad_left + e % columns);
    }
    for (int e = thread; e < s.R * s.S; e += kThreads) {
      taps[e] = real(weight[(static_cast<std::int64_t>(k) * s.C + c) * s.R * s.S + e]);
    }
    __syncthreads();
    for (int r = 0; r < s.R; ++r) {
      for (int t = 0; t < s.S; ++t) {
        const real factor = taps[r * s.S + t];
        const real value = tile[(i * s.stride_h + r) * columns + j * s.stride_w + t];
        sum += factor * value;
      }
    }
  }
  y.put(n, k, top + i, left + j, sum);
}

}  // namespace

bool conv2d_shared_tile_supports(const Conv2dShape& shape) {
  return shared_words(shape) <= kMaxWords;
}

void conv2d_forward_v1_shared_tile(const ConvSink& y, const real* x, const real* weight,
                                   const real* bias, const Conv2dShape& shape) {
  const std::int64_t tiles_h = (shape.out_h() + kRows - 1) / kRows;
  const std::int64_t tiles_w = (shape.out_w() + kColumns - 1) / kColumns;
  const std::int64_t blocks = shape.N * shape.K * tiles_h * tiles_w;
  if (blocks == 0) return;
  SERENADE_LAUNCH(convolve_shared_tile, dim3(static_cast<unsigned>(blocks)), dim3(kThreads),
                  sizeof(real) * static_cast<std::size_t>(shared_words(shape)), current_stream(),
                  output_map(y, shape),
                  (MapSource{x, nullptr, map_windows(shape.C, shape.H, shape.W)}), weight, bias,
                  ConvSizes(shape), static_cast<int>(tiles_h), static_cast<int>(tiles_w));
}

}  // namespace serenade::cuda
