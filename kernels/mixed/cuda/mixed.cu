// Merging candidate kernels on the device (formula and shapes: kernels/mixed/mixed.h).
//
// A union of 16 x 16 planes of 6 x 6 has 9216 values, 37 KB: nothing for the device, so launches
// are what it costs. Forward one, whatever the number of candidates; backward one for all weights,
// which also sums what each block sees of every <W_i, crop_i(dU)>, and one that adds up these sums
// in order.

#include "kernels/mixed/mixed.h"

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

constexpr int kPiece = 4 * kLoopThreads;  // weights of a candidate per block

/// [planes, height, width]. A layer has far fewer than 2^31 weights.
struct Box {
  int planes, height, width;
  __host__ __device__ int count() const { return planes * height * width; }
};

Box box_of(std::int64_t planes, std::int64_t height, std::int64_t width) {
  return {static_cast<int>(planes), static_cast<int>(height), static_cast<int>(width)};
}

__global__ void __launch_bounds__(kLoopThreads)
    merge(GlobalPointer<real> merged, GlobalPointer<const MixedCandidate> candidates, int count,
          GlobalPointer<const real> coefficients, Box box) {
  for (std::int64_t i = loop_begin(); i < box.count(); i += grid_stride()) {
    const int line = static_cast<int>(i) / box.width, column = static_cast<int>(i) % box.width;
    const int plane = line / box.height, row = line % box.height;
    real sum = 0;
    for (int q = 0; q < count; ++q) {
      const MixedCandidate c = candidates[q];
      const std::int64_t r = row - c.offset_h, s = column - c.offset_w;
      if (r < 0 || r >= c.kernel_h || s < 0 || s >= c.kernel_w) continue;
      const GlobalPointer<const real> weight = c.weight;
      sum += coefficients[c.coefficient] * weight[(plane * c.kernel_h + r) * c.kernel_w + s];
    }
    merged[i] = sum;
  }
}

/// dW_i += c_i crop_i(dU), and dots [candidates, gridDim.x]: each block's part of <W_i,
/// crop_i(dU)>. blockIdx.y: the candidate; blockIdx.x: the piece of its weights. dots may be null.
__global__ void __launch_bounds__(kLoopThreads)
    split_gradient(GlobalPointer<double> dots, GlobalPointer<const MixedCandidate> candidates,
                   GlobalPointer<const real> dmerged, GlobalPointer<const real> coefficients,
                   Box box) {
  SERENADE_SHARED(double, scratch, [32]);
  const MixedCandidate c = candidates[blockIdx.y];
  const GlobalPointer<const real> weight = c.weight;
  const GlobalPointer<real> dweight = c.dweight;
  const real coefficient = coefficients[c.coefficient];
  const int kernel_h = static_cast<int>(c.kernel_h), kernel_w = static_cast<int>(c.kernel_w);
  const int corner = static_cast<int>(c.offset_h) * box.width + static_cast<int>(c.offset_w);
  const int piece = static_cast<int>(blockIdx.x) * kPiece;
  const int end = min(piece + kPiece, box.planes * kernel_h * kernel_w);
  double dot = 0;
  for (int i = piece + static_cast<int>(threadIdx.x); i < end; i += kLoopThreads) {
    const int line = i / kernel_w, column = i % kernel_w;
    const int plane = line / kernel_h, row = line % kernel_h;
    const real d = dmerged[(plane * box.height + row) * box.width + column + corner];
    const real w = weight[i];
    dot += static_cast<double>(w) * static_cast<double>(d);
    if (c.dweight != nullptr) dweight[i] += coefficient * d;
  }
  dot = block_reduce(dot, SharedPointer<double>(scratch), Plus{});
  if (dots != nullptr && threadIdx.x == 0) {
    dots[static_cast<std::int64_t>(blockIdx.y) * gridDim.x + blockIdx.x] = dot;
  }
}

/// dcoefficients += the sums of dots [count, pieces]. One candidate per thread; of candidates that
/// share a coefficient the first one's thread serves all, so that no two threads write the same
/// element.
__global__ void __launch_bounds__(kLoopThreads)
    add_dots(GlobalPointer<real> dcoefficients, GlobalPointer<const MixedCandidate> candidates,
             int count, GlobalPointer<const double> dots, std::int64_t pieces) {
  for (int q = static_cast<int>(threadIdx.x); q < count; q += kLoopThreads) {
    const MixedCandidate own = candidates[q];
    bool is_first = true;
    double total = 0;
    for (int other = 0; other < count; ++other) {
      const MixedCandidate candidate = candidates[other];
      if (candidate.coefficient != own.coefficient) continue;
      is_first = is_first && other >= q;
      for (std::int64_t i = 0; i < pieces; ++i) total += dots[other * pieces + i];
    }
    if (is_first) dcoefficients[own.coefficient] += static_cast<real>(total);
  }
}

}  // namespace

void mixed_kernel_forward(real* merged, const MixedCandidate* candidates, std::int64_t count,
                          const real* coefficients, std::int64_t planes, std::int64_t height,
                          std::int64_t width) {
  const Box box = box_of(planes, height, width);
  if (box.count() == 0) return;
  const OnDevice<MixedCandidate> uploaded(candidates, count);
  SERENADE_LAUNCH(merge, loop_grid(box.count()), dim3(kLoopThreads), 0, current_stream(), merged,
                  uploaded.data(), static_cast<int>(count), coefficients, box);
}

void mixed_kernel_backward(real* dcoefficients, const MixedCandidate* candidates,
                           std::int64_t count, const real* dmerged, const real* coefficients,
                           std::int64_t planes, std::int64_t height, std::int64_t width) {
  const Box box = box_of(planes, height, width);
  if (count == 0 || box.count() == 0) return;
  std::int64_t largest = 0;
  for (std::int64_t q = 0; q < count; ++q) {
    largest = std::max(largest, planes * candidates[q].kernel_h * candidates[q].kernel_w);
  }
  const std::int64_t pieces = (largest + kPiece - 1) / kPiece;
  const OnDevice<MixedCandidate> uploaded(candidates, count);
  const DeviceArray<double> dots(dcoefficients == nullptr ? 0 : count * pieces);
  const dim3 grid(static_cast<unsigned>(pieces), static_cast<unsigned>(count));
  SERENADE_LAUNCH(split_gradient, grid, dim3(kLoopThreads), 0, current_stream(),
                  dcoefficients == nullptr ? nullptr : dots.data(), uploaded.data(), dmerged,
                  coefficients, box);
  if (dcoefficients == nullptr) return;
  SERENADE_LAUNCH(add_dots, dim3(1), dim3(kLoopThreads), 0, current_stream(), dcoefficients,
                  uploaded.data(), static_cast<int>(count), dots.data(), pieces);
}

}  // namespace serenade::cuda
