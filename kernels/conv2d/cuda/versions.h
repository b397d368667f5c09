#pragma once
// The ladder of the convolution. Every step computes the same.
//
//   v0 plain           one thread per output (or input, or weight), the formula: any shape
//   v1 shared tile     forward: inputs in shared memory serve all taps that read them; in use for
//                      strides and large kernels without pooling
//   v2 register block  stride 1, kernels up to 8 x 8: a thread has 4 columns times 16 channels in
//                      registers, inputs and weights in shared memory
//   v3 tensor core     the same shapes in TF32 products of 16 x 8 x 8 by whole warps, an input read
//                      once for all rows of the kernel; float only, and only where
//                      Float32Math::tf32 allows the rounding
//   first layer        branches from one channel to 8 each, pooled over pairs of rows: one launch
//                      for all of them, the pairs times 4 columns times 8 channels in registers
//
// A ConvSource says how an image is stored, a ConvSink how it is to be stored: as it is, or through
// ReLU and pooling, in which case `index` is not null (kernels/conv2d/conv2d.h).

#include <cstdint>

#include "kernels/conv2d/conv2d.h"

namespace serenade::cuda {

/// dy: [N, K, out_h, out_w], or per window of the pooling where index is not null; then it may be a
/// part of a map of so many channels (0: it is the map).
struct ConvSource {
  const real* data = nullptr;
  const std::uint8_t* index = nullptr;
  std::int64_t pool_h = 1, pool_w = 1;
  std::int64_t channels = 0;
};

/// y: the same.
struct ConvSink {
  real* data = nullptr;
  std::uint8_t* index = nullptr;
  std::int64_t pool_h = 1, pool_w = 1;
  std::int64_t channels = 0;
};

enum class ConvVersion { plain, shared_tile, register_block, tensor_core };
enum class ConvPass { forward, forward_pooled, backward_input, backward_weight };

/// The version in use. Depends on sizes only, and on `tensor_cores`: whether they may be used.
/// Windows are those of forward_pooled.
ConvVersion conv2d_version(const Conv2dShape& shape, ConvPass pass, bool tensor_cores,
                           std::int64_t pool_h = 1, std::int64_t pool_w = 1);

/// True if a tile of v1 fits shared memory. It stores its result as it is, without pooling.
bool conv2d_shared_tile_supports(const Conv2dShape& shape);

/// True if v2 and v3 take the shape, and windows of pool_h x pool_w if its result is to be pooled.
bool conv2d_register_block_supports(const Conv2dShape& shape, std::int64_t pool_h = 1,
                                    std::int64_t pool_w = 1);

void conv2d_forward_v0_plain(const ConvSink& y, const real* x, const real* weight, const real* bias,
                             const Conv2dShape& shape);
void conv2d_forward_v1_shared_tile(const ConvSink& y, const real* x, const real* weight,
                                   const real* bias, const Conv2dShape& shape);
void conv2d_forward_v2_register_block(const ConvSink& y, const real* x, const real* weight,
                                      const real* bias, const Conv2dShape& shape);
void conv2d_forward_v3_tensor_core(const ConvSink& y, const real* x, const real* weight,
                                   const real* bias, const Conv2dShape& shape);

void conv2d_backward_input_v0_plain(real* dx, const ConvSource& dy, const real* weight,
                                    const Conv2dShape& shape);
void conv2d_backward_input_v2_register_block(real* dx, const ConvSource& dy, const real* weight,
                                             const Conv2dShape& shape);
void conv2d_backward_input_v3_tensor_core(real* dx, const ConvSource& dy, const real* weight,
                                          const Conv2dShape& shape);

void conv2d_backward_weight_v0_plain(real* dweight, const ConvSource& dy, const real* x,
                                     const Conv2dShape& shape);
void conv2d_backward_weight_v2_register_block(real* dweight, const ConvSource& dy, const real* x,
                                              const Conv2dShape& shape);
void conv2d_backward_weight_v3_tensor_core(real* dweight, const ConvSource& dy, const real* x,
                                           const Conv2dShape& shape);

void conv2d_backward_bias_v0_plain(real* dbias, const ConvSource& dy, const Conv2dShape& shape);

/// True if the two functions below take the branches: up to 4, from 1 to at most 8 channels each,
/// kernels of up to 3 x 10 or 10 x 3 taps, stride 1, windows of 2 x 1.
bool conv2d_first_layer_supports(const Conv2dBranch* branches, std::int64_t count,
                                 std::int64_t pool_h, std::int64_t pool_w);
/// conv2d_relu_maxpool_branches_forward in one launch.
void conv2d_first_layer_forward(real* y, std::uint8_t* index, const real* x,
                                const Conv2dBranch* branches, std::int64_t count,
                                std::int64_t channels);
/// dweight, and dbias where it is not null, of one branch. dy, index: the joined map.
void conv2d_first_layer_backward_weight(const Conv2dBranch& branch, const real* dy,
                                        const std::uint8_t* index, const real* x,
                                        std::int64_t channels);

/// totals[i] += sum over p < count of partials[p][i], in the order of p. partials: [count][size].
void add_conv_partials(real* totals, const real* partials, std::int64_t count, std::int64_t size);

}  // namespace serenade::cuda
