// Depthwise convolution on the device (formulas: kernels/depthwise/depthwise.h).
//
// Forward one thread per output, the input's gradient one per element of x, which asks each tap for
// the output that saw it: no two threads write the same element, and what neighbours read twice is
// found in the caches. The weight's gradient has one block per tap, whose threads share the
// outputs.

#include "kernels/depthwise/depthwise.h"

#include "kernels/runtime/cuda/loops.cuh"
#include "kernels/runtime/cuda/place.cuh"

namespace serenade::cuda {
namespace {

__global__ void __launch_bounds__(kLoopThreads)
    depthwise_outputs(GlobalPointer<real> y, GlobalPointer<const real> x,
                      GlobalPointer<const real> weight, GlobalPointer<const real> bias,
                      DepthwiseShape s) {
  const std::int64_t out_h = s.out_h(), out_w = s.out_w(), count = s.N * s.C * s.M * out_h * out_w;
  for (std::int64_t at = loop_begin(); at < count; at += grid_stride()) {
    const Place output(at, out_h, out_w);
    const std::int64_t k = output.plane % (s.C * s.M), item = output.plane / s.M;
    real sum = 0;
    if (bias) sum = bias[k];
    for (std::int64_t r = 0; r < s.R; ++r) {
      const std::int64_t h = output.i * s.stride_h + r * s.dilation_h - s.pad_top;
      if (h < 0 || h >= s.H) continue;
      for (std::int64_t t = 0; t < s.S; ++t) {
        const std::int64_t w = output.j * s.stride_w + t * s.dilation_w - s.pad_left;
        if (w < 0 || w >= s.W) continue;
        const real factor = weight[(k * s.R + r) * s.S + t], value = x[(item * s.H + h) * s.W + w];
        sum += factor * value;
      }
    }
    y[at] = sum;
  }
}

__global__ void __launch_bounds__(kLoopThreads)
    depthwise_inputs(GlobalPointer<real> dx, GlobalPointer<const real> dy,
                     GlobalPointer<const real> weight, DepthwiseShape s) {
  const std::int64_t out_h = s.out_h(), out_w = s.out_w(), count = s.N * s.C * s.H * s.W;
  for (std::int64_t at = loop_begin(); at < count; at += grid_stride()) {
    const Place element(at, s.H, s.W);
    const std::int64_t c = element.plane % s.C;
    real sum = 0;
    for (std::int64_t r = 0; r < s.R; ++r) {
      const std::int64_t h = element.i + s.pad_top - r * s.dilation_h, i = h / s.stride_h;
      if (h < 0 || i * s.stride_h != h || i >= out_h) continue;
      for (std::int64_t t = 0; t < s.S; ++t) {
        const std::int64_t w = element.j + s.pad_left - t * s.dilation_w, j = w / s.stride_w;
        if (w < 0 || j * s.stride_w != w || j >= out_w) continue;
        for (std::int64_t m = 0; m < s.M; ++m) {
          const real factor = weight[((c * s.M + m) * s.R + r) * s.S + t];
          const real d = dy[((element.plane * s.M + m) * out_h + i) * out_w + j];
          sum += factor * d;
        }
      }
    }
    dx[at] += sum;
  }
}

constexpr int kSumThreads = 128;

/// One block per tap of one kernel; blockIdx.x: its index in dweight.
__global__ void __launch_bounds__(kSumThreads)
    depthwise_taps(GlobalPointer<real> dweight, GlobalPointer<const real> dy,
                   GlobalPointer<const real> x, DepthwiseShape s) {
  SERENADE_SHARED(real, scratch, [32]);
  const std::int64_t t = blockIdx.x % s.S, r = blockIdx.x / s.S % s.R, k = blockIdx.x / (s.S * s.R);
  const std::int64_t out_h = s.out_h(), out_w = s.out_w(), count = s.N * out_h * out_w;
  real sum = 0;
  for (std::int64_t at = threadIdx.x; at < count; at += kSumThreads) {
    const Place output(at, out_h, out_w);
    const std::int64_t h = output.i * s.stride_h + r * s.dilation_h - s.pad_top;
    const std::int64_t w = output.j * s.stride_w + t * s.dilation_w - s.pad_left;
    if (h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
    const real value = x[((output.plane * s.C + k / s.M) * s.H + h) * s.W + w];
    const real d = dy[((output.plane * s.C * s.M + k) * out_h + output.i) * out_w + output.j];
    sum += d * value;
  }
  sum = block_reduce(sum, SharedPointer<real>(scratch), Plus{});
  if (threadIdx.x == 0) dweight[blockIdx.x] += sum;
}

}  // namespace

void depthwise_conv2d_forward(real* y, const real* x, const real* weight, const real* bias,
                              const DepthwiseShape& s) {
  const std::int64_t count = s.N * s.C * s.M * s.out_h() * s.out_w();
  if (count == 0) return;
  SERENADE_LAUNCH(depthwise_outputs, loop_grid(count), dim3(kLoopThreads), 0, current_stream(), y,
                  x, weight, bias, s);
}

void depthwise_conv2d_backward_input(real* dx, const real* dy, const real* weight,
                                     const DepthwiseShape& s) {
  const std::int64_t count = s.N * s.C * s.H * s.W;
  if (count == 0) return;
  SERENADE_LAUNCH(depthwise_inputs, loop_grid(count), dim3(kLoopThreads), 0, current_stream(), dx,
                  dy, weight, s);
}

void depthwise_conv2d_backward_weight(real* dweight, const real* dy, const real* x,
                                      const DepthwiseShape& s) {
  const std::int64_t taps = s.C * s.M * s.R * s.S;
  if (taps == 0) return;
  SERENADE_LAUNCH(depthwise_taps, dim3(static_cast<unsigned>(taps)), dim3(kSumThreads), 0,
                  current_stream(), dweight, dy, x, s);
}

}  // namespace serenade::cuda
