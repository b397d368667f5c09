// Merging candidate kernels (formula and shapes: kernels/mixed/mixed.h). A few tens of thousands of
// values per training step: plain loops are in use, and one thread.

#include "kernels/mixed/mixed.h"

namespace serenade::cpu {

void mixed_kernel_forward(real* merged, const MixedCandidate* candidates, std::int64_t count,
                          const real* coefficients, std::int64_t planes, std::int64_t height,
                          std::int64_t width) {
  for (std::int64_t i = 0; i < planes * height * width; ++i) merged[i] = 0;
  for (std::int64_t q = 0; q < count; ++q) {
    const MixedCandidate& candidate = candidates[q];
    const real c = coefficients[candidate.coefficient];
    for (std::int64_t p = 0; p < planes; ++p) {
      for (std::int64_t r = 0; r < candidate.kernel_h; ++r) {
        const real* from = candidate.weight + (p * candidate.kernel_h + r) * candidate.kernel_w;
        real* to = merged + (p * height + candidate.offset_h + r) * width + candidate.offset_w;
        for (std::int64_t s = 0; s < candidate.kernel_w; ++s) to[s] += c * from[s];
      }
    }
  }
}

void mixed_kernel_backward(real* dcoefficients, const MixedCandidate* candidates,
                           std::int64_t count, const real* dmerged, const real* coefficients,
                           std::int64_t planes, std::int64_t height, std::int64_t width) {
  for (std::int64_t q = 0; q < count; ++q) {
    const MixedCandidate& candidate = candidates[q];
    const real c = coefficients[candidate.coefficient];
    double dot = 0;  // thousands of products of mixed sign: float would lose digits of dc_i
    for (std::int64_t p = 0; p < planes; ++p) {
      for (std::int64_t r = 0; r < candidate.kernel_h; ++r) {
        const std::int64_t row = (p * candidate.kernel_h + r) * candidate.kernel_w;
        const real* crop =
            dmerged + (p * height + candidate.offset_h + r) * width + candidate.offset_w;
        for (std::int64_t s = 0; s < candidate.kernel_w; ++s) {
          dot += double(candidate.weight[row + s]) * double(crop[s]);
        }
        if (candidate.dweight == nullptr) continue;
        for (std::int64_t s = 0; s < candidate.kernel_w; ++s) {
          candidate.dweight[row + s] += c * crop[s];
        }
      }
    }
    if (dcoefficients != nullptr) dcoefficients[candidate.coefficient] += static_cast<real>(dot);
  }
}

}  // namespace serenade::cpu
