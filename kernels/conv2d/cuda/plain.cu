// Convolution v0: the formula of kernels/conv2d/conv2d.h, one thread per result. Any shape; what it
// costs is that each of C * R * S factors comes from memory (mostly a cache) for every output.

#include "kernels/conv2d/cuda/map.cuh"
#include "kernels/conv2d/cuda/versions.h"

namespace serenade::cuda {
namespace {

/// bias[k] + sum over c, r, s of weight times x at output (n, k, i, j).
__device__ __forceinline__ real output_at(GlobalPointer<const real> x,
                                          GlobalPointer<const real> weight,
                                          GlobalPointer<const real> bias, const ConvSizes& s,
                                          std::int64_t n, int k, int i, int j) {
  real sum = 0;
  if (bias) sum = bias[k];
  for (int c = 0; c < s.C; ++c) {
    for (int r = 0; r < s.R; ++r) {
      const int h = i * s.stride_h + r - s.pad_top;
      if (h < 0 || h >= s.H) continue;
      const std::int64_t row = ((n * s.C + c) * s.H + h) * s.W;
      for (int t = 0; t < s.S; ++t) {
        const int w = j * s.stride_w + t - s.pad_left;
        if (w < 0 || w >= s.W) continue;
        const real factor = weight[((k * s.C + c) * s.R + r) * s.S + t], value = x[row + w];
        sum += factor * value;
      }
    }
  }
  return sum;
}

constexpr int kLineThreads = 128;

/// One block per row of y, one thread per element of it: a pixel, or a window of the pooling.
template <bool Pooled>
__global__ void __launch_bounds__(kLineThreads, 8)
    forward_plain(MapSink y, GlobalPointer<const real> x, GlobalPointer<const real> weight,
                  GlobalPointer<const real> bias, ConvSizes s) {
  const int rows = y.map.pooled_h(), columns = y.map.pooled_w();
  const unsigned plane = blockIdx.x / static_cast<unsigned>(rows);
  const std::int64_t n = plane / static_cast<unsigned>(s.K);
  const int k = static_cast<int>(plane % static_cast<unsigned>(s.K));
  const int i = static_cast<int>(blockIdx.x % static_cast<unsigned>(rows));
  for (int j = static_cast<int>(threadIdx.x); j < columns; j += kLineThreads) {
    const std::int64_t at = y.map.offset(n, k, i, j);
    if constexpr (Pooled) {
      WindowMaximum maximum;
      for (int e = 0; e < y.map.pool_h * y.map.pool_w; ++e) {
        const int a = e / y.map.pool_w, b = e - a * y.map.pool_w;
        maximum.see(output_at(x, weight, bias, s, n, k, i * y.map.pool_h + a, j * y.map.pool_w + b),
                    e);
      }
      maximum.store(y, at);
    } else {
      y.data[at] = output_at(x, weight, bias, s, n, k, i, j);
    }
  }
}

/// One thread per element of dx, which gathers from the outputs that saw it.
__global__ void __launch_bounds__(kLoopThreads)
    backward_input_plain(GlobalPointer<real> dx, MapSource dy, GlobalPointer<const real> weight,
                         ConvSizes s) {
  const std::int64_t count = s.N * s.C * s.H * s.W;
  for (std::int64_t at = loop_begin(); at < count; at += grid_stride()) {
    const std::int64_t row = at / s.W, plane = row / s.H, n = plane / s.C;
    const int c = static_cast<int>(plane - n * s.C);
    const int h = static_cast<int>(row - plane * s.H), w = static_cast<int>(at - row * s.W);
    real sum = 0;
    for (int r = 0; r < s.R; ++r) {
      const int i = (h + s.pad_top - r) / s.stride_h;
      if (h + s.pad_top - r < 0 || i * s.stride_h != h + s.pad_top - r) continue;
      for (int t = 0; t < s.S; ++t) {
        const int j = (w + s.pad_left - t) / s.stride_w;
        if (w + s.pad_left - t < 0 || j * s.stride_w != w + s.pad_left - t) continue;
        for (int k = 0; k < s.K; ++k) {
          const real factor = weight[((k * s.C + c) * s.R + r) * s.S + t];
          sum += factor * dy.at(n, k, i, j);
        }
      }
    }
    dx[at] += sum;
  }
}

constexpr int kSumThreads = 128;

/// The sum over a chunk of pixels of dy times the x under tap blockIdx.x. partials: [chunks][taps]
__global__ void __launch_bounds__(kSumThreads)
    sum_pixels_plain(GlobalPointer<real> partials, MapSource dy, GlobalPointer<const real> x,
                     ConvSizes s, std::int64_t chunk) {
  SERENADE_SHARED(real, scratch, [32]);
  int k = static_cast<int>(blockIdx.x);
  const int t = k % s.S, r = k / s.S % s.R, c = k / (s.S * s.R) % s.C;
  k /= s.S * s.R * s.C;
  const std::int64_t pixels = s.N * s.out_h * s.out_w, begin = blockIdx.y * chunk;
  const std::int64_t end = begin + chunk < pixels ? begin + chunk : pixels;
  real sum = 0;
  for (std::int64_t at = begin + threadIdx.x; at < end; at += kSumThreads) {
    const std::int64_t row = at / s.out_w, n = row / s.out_h;
    const int i = static_cast<int>(row - n * s.out_h), j = static_cast<int>(at - row * s.out_w);
    const int h = i * s.stride_h + r - s.pad_top, w = j * s.stride_w + t - s.pad_left;
    if (h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
    const real value = x[((n * s.C + c) * s.H + h) * s.W + w];
    sum += dy.at(n, k, i, j) * value;
  }
  sum = block_reduce(sum, SharedPointer<real>(scratch), Plus{});
  if (threadIdx.x == 0)
    partials[static_cast<std::int64_t>(blockIdx.y) * gridDim.x + blockIdx.x] = sum;
}

/// A piece of one channel and sample of dy; where there is an index, without the windows that ReLU
/// killed. blockIdx.x: piece, samples outermost, which lie `sample` apart; blockIdx.y: channel.
/// partials: [pieces][channels]
__global__ void __launch_bounds__(kSumThreads)
    sum_alive(GlobalPointer<real> partials, GlobalPointer<const real> dy,
              GlobalPointer<const std::uint8_t> index, std::int64_t sample, std::int64_t plane,
              std::int64_t piece, unsigned pieces) {
  SERENADE_SHARED(real, scratch, [32]);
  const std::int64_t n = blockIdx.x / pieces, begin = blockIdx.x % pieces * piece;
  const std::int64_t end = begin + piece < plane ? begin + piece : plane;
  const std::int64_t from = n * sample + blockIdx.y * plane;
  real sum = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kSumThreads) {
    const real value = dy[from + i];
    bool alive = true;
    if (index) alive = std::uint8_t(index[from + i]) != kKilledByRelu;
    if (alive) sum += value;
  }
  sum = block_reduce(sum, SharedPointer<real>(scratch), Plus{});
  if (threadIdx.x == 0) {
    partials[static_cast<std::int64_t>(blockIdx.x) * gridDim.y + blockIdx.y] = sum;
  }
}

constexpr int kAddColumns = 32, kAddRows = 32;

/// One total per column of the block. Its rows share the partials, which they add in order; then
/// the rows are added in order. Where totals are few, as those of a bias, one block has all the
/// work, and only rows and the loads that each has under way hide the way to memory.
__global__ void __launch_bounds__(kAddColumns* kAddRows)
    add_partials_in_order(GlobalPointer<real> totals, GlobalPointer<const real> partials,
                          std::int64_t count, std::int64_t size) {
  SERENADE_SHARED(real, sums, [kAddRows][kAddColumns]);
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kAddColumns + threadIdx.x;
  const std::int64_t share = (count + kAddRows - 1) / kAddRows, begin = threadIdx.y * share;
  const std::int64_t end = begin + share < count ? begin + share : count;
  real sum = 0;
  if (i < size) {
    SERENADE_UNROLL_BY(8) for (std::int64_t p = begin; p < end; ++p) {
      const real partial = partials[p * size + i];
      sum += partial;
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || i >= size) return;
  for (int row = 1; row < kAddRows; ++row) {
    const real more = sums[row][threadIdx.x];
    sum += more;
  }
  totals[i] += sum;
}

}  // namespace

void conv2d_forward_v0_plain(const ConvSink& y, const real* x, const real* weight, const real* bias,
                             const Conv2dShape& shape) {
  const std::int64_t lines = shape.N * shape.K * (shape.out_h() / y.pool_h);
  if (lines == 0) return;
  SERENADE_LAUNCH(y.index == nullptr ? forward_plain<false> : forward_plain<true>,
                  dim3(static_cast<unsigned>(lines)), dim3(kLineThreads), 0, current_stream(),
                  output_map(y, shape), x, weight, bias, ConvSizes(shape));
}

void conv2d_backward_input_v0_plain(real* dx, const ConvSource& dy, const real* weight,
                                    const Conv2dShape& shape) {
  const std::int64_t count = shape.N * shape.C * shape.H * shape.W;
  if (count == 0) return;
  SERENADE_LAUNCH(backward_input_plain, loop_grid(count), dim3(kLoopThreads), 0, current_stream(),
                  dx, gradient_map(dy, shape), weight, ConvSizes(shape));
}

void conv2d_backward_weight_v0_plain(real* dweight, const ConvSource& dy, const real* x,
                                     const Conv2dShape& shape) {
  // Chunks of pixels, from the sizes alone.
  constexpr std::int64_t kMinPixels = 4096, kMaxChunks = 256;
  const std::int64_t pixels = shape.N * shape.out_h() * shape.out_w();
  const std::int64_t taps = shape.K * shape.C * shape.R * shape.S;
  if (taps == 0 || pixels == 0) return;
  std::int64_t chunks = std::clamp<std::int64_t>(pixels / kMinPixels, 1, kMaxChunks);
  const std::int64_t chunk = (pixels + chunks - 1) / chunks;
  chunks = (pixels + chunk - 1) / chunk;
  const DeviceArray<real> partials(chunks * taps);
  SERENADE_LAUNCH(sum_pixels_plain,
                  dim3(static_cast<unsigned>(taps), static_cast<unsigned>(chunks)),
                  dim3(kSumThreads), 0, current_stream(), partials.data(), gradient_map(dy, shape),
                  x, ConvSizes(shape), chunk);
  add_conv_partials(dweight, partials.data(), chunks, taps);
}

void conv2d_backward_bias_v0_plain(real* dbias, const ConvSource& dy, const Conv2dShape& shape) {
  constexpr std::int64_t kPiece = 8192;
  const std::int64_t plane = (shape.out_h() / dy.pool_h) * (shape.out_w() / dy.pool_w);
  const std::int64_t pieces = (plane + kPiece - 1) / kPiece;
  if (shape.N * pieces == 0) return;
  const DeviceArray<real> partials(shape.N * pieces * shape.K);
  SERENADE_LAUNCH(sum_alive,
                  dim3(static_cast<unsigned>(shape.N * pieces), static_cast<unsigned>(shape.K)),
                  dim3(kSumThreads), 0, current_stream(), partials.data(), dy.data, dy.index,
                  (dy.channels == 0 ? shape.K : dy.channels) * plane, plane, kPiece,
                  static_cast<unsigned>(pieces));
  add_conv_partials(dbias, partials.data(), shape.N * pieces, shape.K);
}

void add_conv_partials(real* totals, const real* partials, std::int64_t count, std::int64_t size) {
  if (size == 0) return;
  SERENADE_LAUNCH(add_partials_in_order, dim3(blocks_for(size, kAddColumns)),
                  dim3(kAddColumns, kAddRows), 0, current_stream(), totals, partials, count, size);
}

}  // namespace serenade::cuda
