// Convolution: the choice of the version in use (formulas and shapes: kernels/conv2d/conv2d.h; the
// steps: kernels/conv2d/cuda/versions.h).

#include "kernels/conv2d/conv2d.h"

#include <algorithm>

#include "kernels/conv2d/cuda/cudnn.h"
#include "kernels/conv2d/cuda/versions.h"
#include "kernels/runtime/cuda_device.h"

namespace serenade::cuda {

ConvVersion conv2d_version(const Conv2dShape& shape, ConvPass pass, bool tensor_cores,
                           std::int64_t pool_h, std::int64_t pool_w) {
  if (!conv2d_register_block_supports(shape, pool_h, pool_w)) {
    const bool tiled = pass == ConvPass::forward && conv2d_shared_tile_supports(shape);
    return tiled ? ConvVersion::shared_tile : ConvVersion::plain;
  }
  // v3 computes whole blocks of 8 input and 16 output channels: with few of them most is padding,
  // and the first layers (1 to 8) take no longer than their bytes in v2.
  constexpr std::int64_t kMinChannels = 8;
  const bool wide = std::min(shape.C, shape.K) >= kMinChannels;
  return tensor_cores && wide && sizeof(real) == 4 ? ConvVersion::tensor_core
                                                   : ConvVersion::register_block;
}

namespace {

ConvVersion version_in_use(const Conv2dShape& shape, ConvPass pass, std::int64_t pool_h = 1,
                           std::int64_t pool_w = 1) {
  return conv2d_version(shape, pass, float32_math() == Float32Math::tf32, pool_h, pool_w);
}

void forward(const ConvSink& y, const real* x, const real* weight, const real* bias,
             const Conv2dShape& shape) {
  const ConvPass pass = y.index == nullptr ? ConvPass::forward : ConvPass::forward_pooled;
  switch (version_in_use(shape, pass, y.pool_h, y.pool_w)) {
    case ConvVersion::tensor_core:
      return conv2d_forward_v3_tensor_core(y, x, weight, bias, shape);
    case ConvVersion::shared_tile:
      return conv2d_forward_v1_shared_tile(y, x, weight, bias, shape);
    case ConvVersion::register_block:
      return conv2d_forward_v2_register_block(y, x, weight, bias, shape);
    default:
      return conv2d_forward_v0_plain(y, x, weight, bias, shape);
  }
}

void backward_input(real* dx, const ConvSource& dy, const real* weight, const Conv2dShape& shape) {
  switch (version_in_use(shape, ConvPass::backward_input)) {
    case ConvVersion::tensor_core:
      return conv2d_backward_input_v3_tensor_core(dx, dy, weight, shape);
    case ConvVersion::register_block:
      return conv2d_backward_input_v2_register_block(dx, dy, weight, shape);
    default:
      return conv2d_backward_input_v0_plain(dx, dy, weight, shape);
  }
}

void backward_weight(real* dweight, const ConvSource& dy, const real* x, const Conv2dShape& shape) {
  switch (version_in_use(shape, ConvPass::backward_weight)) {
    case ConvVersion::tensor_core:
      return conv2d_backward_weight_v3_tensor_core(dweight, dy, x, shape);
    case ConvVersion::register_block:
      return conv2d_backward_weight_v2_register_block(dweight, dy, x, shape);
    default:
      return conv2d_backward_weight_v0_plain(dweight, dy, x, shape);
  }
}

bool cudnn_in_use() { return convolution_library() == ConvolutionLibrary::cudnn; }

}  // namespace

void conv2d_forward(real* y, const real* x, const real* weight, const real* bias,
                    const Conv2dShape& shape) {
  if (cudnn_in_use()) return conv2d_forward_cudnn(y, x, weight, bias, shape);
  forward({.data = y}, x, weight, bias, shape);
}

void conv2d_backward_input(real* dx, const real* dy, const real* weight, const Conv2dShape& shape) {
  if (cudnn_in_use()) return conv2d_backward_input_cudnn(dx, dy, weight, shape);
  backward_input(dx, {.data = dy}, weight, shape);
}

void conv2d_backward_weight(real* dweight, const real* dy, const real* x,
                            const Conv2dShape& shape) {
  if (cudnn_in_use()) return conv2d_backward_weight_cudnn(dweight, dy, x, shape);
  backward_weight(dweight, {.data = dy}, x, shape);
}

void conv2d_backward_bias(real* dbias, const real* dy, const Conv2dShape& shape) {
  conv2d_backward_bias_v0_plain(dbias, {.data = dy}, shape);
}

// The fused functions are ours in any case: cuDNN has no pooling that keeps the index of the
// maximum.

void conv2d_relu_maxpool_forward(real* y, std::uint8_t* index, const real* x, const real* weight,
                                 const real* bias, const Conv2dShape& shape, std::int64_t pool_h,
                                 std::int64_t pool_w) {
  forward({y, index, pool_h, pool_w}, x, weight, bias, shape);
}

void conv2d_relu_maxpool_backward_input(real* dx, const real* dy, const std::uint8_t* index,
                                        const real* weight, const Conv2dShape& shape,
                                        std::int64_t pool_h, std::int64_t pool_w) {
  backward_input(dx, {dy, index, pool_h, pool_w}, weight, shape);
}

void conv2d_relu_maxpool_backward_weight(real* dweight, const real* dy, const std::uint8_t* index,
                                         const real* x, const Conv2dShape& shape,
                                         std::int64_t pool_h, std::int64_t pool_w) {
  backward_weight(dweight, {dy, index, pool_h, pool_w}, x, shape);
}

void conv2d_relu_maxpool_backward_bias(real* dbias, const real* dy, const std::uint8_t* index,
                                       const Conv2dShape& shape, std::int64_t pool_h,
                                       std::int64_t pool_w) {
  conv2d_backward_bias_v0_plain(dbias, {dy, index, pool_h, pool_w}, shape);
}

// Branches: as one layer where they are a first layer, else branch by branch, all samples at once.

void conv2d_relu_maxpool_branches_forward(real* y, std::uint8_t* index, const real* x,
                                          const Conv2dBranch* branches, std::int64_t count,
                                          std::int64_t channels, std::int64_t pool_h,
                                          std::int64_t pool_w) {
  if (conv2d_first_layer_supports(branches, count, pool_h, pool_w)) {
    return conv2d_first_layer_forward(y, index, x, branches, count, channels);
  }
  for (std::int64_t b = 0; b < count; ++b) {
    const Conv2dShape& s = branches[b].shape;
    const std::int64_t first =
        branches[b].first_channel * (s.out_h() / pool_h) * (s.out_w() / pool_w);
    forward({y + first, index + first, pool_h, pool_w, channels}, x, branches[b].weight,
            branches[b].bias, s);
  }
}

void conv2d_relu_maxpool_branches_backward(real* dx, const Conv2dBranch* branches,
                                           std::int64_t count, const real* dy,
                                           const std::uint8_t* index, const real* x,
                                           std::int64_t channels, std::int64_t pool_h,
                                           std::int64_t pool_w) {
  const bool first_layer = conv2d_first_layer_supports(branches, count, pool_h, pool_w);
  for (std::int64_t b = 0; b < count; ++b) {
    const Conv2dBranch& branch = branches[b];
    const Conv2dShape& s = branch.shape;
    const std::int64_t first = branch.first_channel * (s.out_h() / pool_h) * (s.out_w() / pool_w);
    const ConvSource part{dy + first, index + first, pool_h, pool_w, channels};
    if (dx != nullptr) backward_input(dx, part, branch.weight, s);
    if (first_layer && branch.dweight != nullptr) {
      conv2d_first_layer_backward_weight(branch, dy, index, x, channels);
      continue;
    }
    if (branch.dweight != nullptr) backward_weight(branch.dweight, part, x, s);
    if (branch.dbias != nullptr) conv2d_backward_bias_v0_plain(branch.dbias, part, s);
  }
}

}  // namespace serenade::cuda
