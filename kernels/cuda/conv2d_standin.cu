// Convolution, the plain version: the formulas of kernels/conv2d.h, one thread per result.

#include "kernels/conv2d.h"
#include "kernels/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

__device__ __forceinline__ real at(GlobalPointer<const real> x, const Conv2dShape& s,
                                   std::int64_t plane, std::int64_t row, std::int64_t column) {
  if (row < 0 || row >= s.H || column < 0 || column >= s.W) return 0;
  return x[(plane * s.H + row) * s.W + column];
}

/// The sum for output pixel (i, j) of channel k of sample n.
__device__ real pixel(GlobalPointer<const real> x, GlobalPointer<const real> weight,
                      GlobalPointer<const real> bias, const Conv2dShape& s, std::int64_t n,
                      std::int64_t k, std::int64_t i, std::int64_t j) {
  real sum = 0;
  for (std::int64_t c = 0; c < s.C; ++c) {
    for (std::int64_t r = 0; r < s.R; ++r) {
      for (std::int64_t t = 0; t < s.S; ++t) {
        const real w = weight[((k * s.C + c) * s.R + r) * s.S + t];
        sum += w * at(x, s, n * s.C + c, i * s.stride_h + r - s.pad_top,
                      j * s.stride_w + t - s.pad_left);
      }
    }
  }
  if (bias) sum += real(bias[k]);
  return sum;
}

__global__ void forward_kernel(GlobalPointer<real> y, GlobalPointer<const real> x,
                               GlobalPointer<const real> weight, GlobalPointer<const real> bias,
                               Conv2dShape s) {
  const std::int64_t h = s.out_h(), w = s.out_w(), count = s.N * s.K * h * w;
  for (std::int64_t p = loop_begin(); p < count; p += loop_step()) {
    y[p] = pixel(x, weight, bias, s, p / (w * h * s.K), p / (w * h) % s.K, p / w % h, p % w);
  }
}

__global__ void input_kernel(GlobalPointer<real> dx, GlobalPointer<const real> dy,
                             GlobalPointer<const real> weight, Conv2dShape s) {
  const std::int64_t h = s.out_h(), w = s.out_w(), count = s.N * s.C * s.H * s.W;
  for (std::int64_t p = loop_begin(); p < count; p += loop_step()) {
    const std::int64_t n = p / (s.W * s.H * s.C), c = p / (s.W * s.H) % s.C;
    const std::int64_t row = p / s.W % s.H + s.pad_top, column = p % s.W + s.pad_left;
    real sum = 0;
    for (std::int64_t r = 0; r < s.R; ++r) {
      for (std::int64_t t = 0; t < s.S; ++t) {
        const std::int64_t i = row - r, j = column - t;
        if (i < 0 || j < 0 || i % s.stride_h != 0 || j % s.stride_w != 0) continue;
        if (i / s.stride_h >= h || j / s.stride_w >= w) continue;
        for (std::int64_t k = 0; k < s.K; ++k) {
          const real d = dy[((n * s.K + k) * h + i / s.stride_h) * w + j / s.stride_w];
          const real v = weight[((k * s.C + c) * s.R + r) * s.S + t];
          sum += d * v;
        }
      }
    }
    dx[p] += sum;
  }
}

__global__ void weight_kernel(GlobalPointer<real> dweight, GlobalPointer<const real> dy,
                              GlobalPointer<const real> x, Conv2dShape s) {
  SERENADE_SHARED(real, scratch, [32]);
  const std::int64_t h = s.out_h(), w = s.out_w(), q = blockIdx.x;
  const std::int64_t t = q % s.S, r = q / s.S % s.R, c = q / (s.S * s.R) % s.C;
  const std::int64_t k = q / (s.S * s.R * s.C);
  real sum = 0;
  for (std::int64_t p = threadIdx.x; p < s.N * h * w; p += blockDim.x) {
    const std::int64_t n = p / (h * w), i = p / w % h, j = p % w;
    const real d = dy[((n * s.K + k) * h + i) * w + j];
    sum +=
        d * at(x, s, n * s.C + c, i * s.stride_h + r - s.pad_top, j * s.stride_w + t - s.pad_left);
  }
  sum = over_block<real>(sum, scratch, Plus{});
  if (threadIdx.x == 0) dweight[q] += sum;
}

__global__ void bias_kernel(GlobalPointer<real> dbias, GlobalPointer<const real> dy, std::int64_t N,
                            std::int64_t K, std::int64_t pixels) {
  SERENADE_SHARED(real, scratch, [32]);
  const std::int64_t k = blockIdx.x;
  real sum = 0;
  for (std::int64_t p = threadIdx.x; p < N * pixels; p += blockDim.x) {
    sum += real(dy[(p / pixels * K + k) * pixels + p % pixels]);
  }
  sum = over_block<real>(sum, scratch, Plus{});
  if (threadIdx.x == 0) dbias[k] += sum;
}

__global__ void pool_kernel(GlobalPointer<real> y, GlobalPointer<std::uint8_t> index,
                            GlobalPointer<const real> x, GlobalPointer<const real> weight,
                            GlobalPointer<const real> bias, Conv2dShape s, int pool_h, int pool_w) {
  const std::int64_t h = s.out_h() / pool_h, w = s.out_w() / pool_w, count = s.N * s.K * h * w;
  for (std::int64_t p = loop_begin(); p < count; p += loop_step()) {
    const std::int64_t n = p / (w * h * s.K), k = p / (w * h) % s.K, i = p / w % h, j = p % w;
    real best = 0;
    int place = kKilledByRelu;
    for (int a = 0; a < pool_h * pool_w; ++a) {
      const real v =
          pixel(x, weight, bias, s, n, k, i * pool_h + a / pool_w, j * pool_w + a % pool_w);
      if (v > best || (v != v && best == best)) {
        best = v;
        place = a;
      }
    }
    y[p] = best;
    index[p] = static_cast<std::uint8_t>(place);
  }
}

__global__ void unpool_kernel(GlobalPointer<real> full, GlobalPointer<const real> dy,
                              GlobalPointer<const std::uint8_t> index, Conv2dShape s, int pool_h,
                              int pool_w) {
  const std::int64_t h = s.out_h() / pool_h, w = s.out_w() / pool_w, count = s.N * s.K * h * w;
  for (std::int64_t p = loop_begin(); p < count; p += loop_step()) {
    const std::int64_t plane = p / (w * h), i = p / w % h, j = p % w;
    const int place = std::uint8_t(index[p]);
    if (place == kKilledByRelu) continue;
    full[(plane * s.out_h() + i * pool_h + place / pool_w) * s.out_w() + j * pool_w +
         place % pool_w] = real(dy[p]);
  }
}

std::int64_t outputs(const Conv2dShape& s) { return s.N * s.K * s.out_h() * s.out_w(); }

// dy before the pool: zeros but for each window's winner.
struct Unpooled {
  DeviceArray<real> full;
  Unpooled(const real* dy, const std::uint8_t* index, const Conv2dShape& s, std::int64_t pool_h,
           std::int64_t pool_w)
      : full(outputs(s)) {
    clear(full.data(), static_cast<std::size_t>(outputs(s)) * sizeof(real));
    const std::int64_t count = s.N * s.K * (s.out_h() / pool_h) * (s.out_w() / pool_w);
    if (count == 0) return;
    SERENADE_LAUNCH(unpool_kernel, loop_grid(count), kLoopThreads, 0, current_stream(), full.data(),
                    dy, index, s, static_cast<int>(pool_h), static_cast<int>(pool_w));
  }
};

}  // namespace

void conv2d_forward(real* y, const real* x, const real* weight, const real* bias,
                    const Conv2dShape& s) {
  SERENADE_LAUNCH(forward_kernel, loop_grid(outputs(s)), kLoopThreads, 0, current_stream(), y, x,
                  weight, bias, s);
}
void conv2d_backward_input(real* dx, const real* dy, const real* weight, const Conv2dShape& s) {
  SERENADE_LAUNCH(input_kernel, loop_grid(s.N * s.C * s.H * s.W), kLoopThreads, 0, current_stream(),
                  dx, dy, weight, s);
}
void conv2d_backward_weight(real* dweight, const real* dy, const real* x, const Conv2dShape& s) {
  SERENADE_LAUNCH(weight_kernel, static_cast<unsigned>(s.K * s.C * s.R * s.S), 64, 0,
                  current_stream(), dweight, dy, x, s);
}
void conv2d_backward_bias(real* dbias, const real* dy, const Conv2dShape& s) {
  SERENADE_LAUNCH(bias_kernel, static_cast<unsigned>(s.K), 64, 0, current_stream(), dbias, dy, s.N,
                  s.K, s.out_h() * s.out_w());
}
void conv2d_relu_maxpool_forward(real* y, std::uint8_t* index, const real* x, const real* weight,
                                 const real* bias, const Conv2dShape& s, std::int64_t pool_h,
                                 std::int64_t pool_w) {
  const std::int64_t count = s.N * s.K * (s.out_h() / pool_h) * (s.out_w() / pool_w);
  if (count == 0) return;
  SERENADE_LAUNCH(pool_kernel, loop_grid(count), kLoopThreads, 0, current_stream(), y, index, x,
                  weight, bias, s, static_cast<int>(pool_h), static_cast<int>(pool_w));
}
void conv2d_relu_maxpool_backward_input(real* dx, const real* dy, const std::uint8_t* index,
                                        const real* weight, const Conv2dShape& s,
                                        std::int64_t pool_h, std::int64_t pool_w) {
  const Unpooled full(dy, index, s, pool_h, pool_w);
  conv2d_backward_input(dx, full.full.data(), weight, s);
}
void conv2d_relu_maxpool_backward_weight(real* dweight, const real* dy, const std::uint8_t* index,
                                         const real* x, const Conv2dShape& s, std::int64_t pool_h,
                                         std::int64_t pool_w) {
  const Unpooled full(dy, index, s, pool_h, pool_w);
  conv2d_backward_weight(dweight, full.full.data(), x, s);
}
void conv2d_relu_maxpool_backward_bias(real* dbias, const real* dy, const std::uint8_t* index,
                                       const Conv2dShape& s, std::int64_t pool_h,
                                       std::int64_t pool_w) {
  const Unpooled full(dy, index, s, pool_h, pool_w);
  conv2d_backward_bias(dbias, full.full.data(), s);
}

}  // namespace serenade::cuda
