// Branches of one convolutional layer (kernels/conv2d/conv2d.h): one call of the fused kernels per
// branch and sample, since the channels of one branch are not contiguous over samples. For large
// images that costs less than copying the map, and a sample keeps all threads busy.

#include "kernels/conv2d/conv2d.h"

namespace serenade::cpu {

namespace {

// Calls visit(branch, shape of one sample, offset of the sample in x, and of its part in the map).
template <class Visit>
void for_each_part(const Conv2dBranch* branches, std::int64_t count, std::int64_t channels,
                   std::int64_t pool_h, std::int64_t pool_w, const Visit& visit) {
  for (std::int64_t b = 0; b < count; ++b) {
    const Conv2dBranch& branch = branches[b];
    Conv2dShape shape = branch.shape;
    shape.N = 1;
    const std::int64_t plane = (shape.out_h() / pool_h) * (shape.out_w() / pool_w);
    for (std::int64_t n = 0; n < branch.shape.N; ++n) {
      visit(branch, shape, n * shape.C * shape.H * shape.W,
            (n * channels + branch.first_channel) * plane);
    }
  }
}

}  // namespace

void conv2d_relu_maxpool_branches_forward(real* y, std::uint8_t* index, const real* x,
                                          const Conv2dBranch* branches, std::int64_t count,
                                          std::int64_t channels, std::int64_t pool_h,
                                          std::int64_t pool_w) {
  for_each_part(branches, count, channels, pool_h, pool_w,
                [&](const Conv2dBranch& branch, const Conv2dShape& shape, auto image, auto part) {
                  conv2d_relu_maxpool_forward(y + part, index + part, x + image, branch.weight,
                                              branch.bias, shape, pool_h, pool_w);
                });
}

void conv2d_relu_maxpool_branches_backward(real* dx, const Conv2dBranch* branches,
                                           std::int64_t count, const real* dy,
                                           const std::uint8_t* index, const real* x,
                                           std::int64_t channels, std::int64_t pool_h,
                                           std::int64_t pool_w) {
  for_each_part(branches, count, channels, pool_h, pool_w,
                [&](const Conv2dBranch& branch, const Conv2dShape& shape, auto image, auto part) {
                  if (dx != nullptr) {
                    conv2d_relu_maxpool_backward_input(dx + image, dy + part, index + part,
                                                       branch.weight, shape, pool_h, pool_w);
                  }
                  if (branch.dweight != nullptr) {
                    conv2d_relu_maxpool_backward_weight(branch.dweight, dy + part, index + part,
                                                        x + image, shape, pool_h, pool_w);
                  }
                  if (branch.dbias != nullptr) {
                    conv2d_relu_maxpool_backward_bias(branch.dbias, dy + part, index + part, shape,
                                                      pool_h, pool_w);
                  }
                });
}

}  // namespace serenade::cpu
