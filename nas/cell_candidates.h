#pragma once
// The operations of DARTS's cells (Liu, Simonyan & Yang, ICLR 2019, section 3.1), for images
// [N, C, H, W]. All keep the channels; at stride 2 they halve H and W, which must be even.
//
//   none                      zero
//   skip_connect              x; at stride 2: factorized_reduce
//   max_pool_3x3, avg_pool_3x3    windows at every place, or every second; padding takes no part
//   sep_conv_3x3, _5x5        twice: ReLU, depthwise, 1x1 convolution, batch normalisation
//   dil_conv_3x3, _5x5        once, the depthwise kernel with a step of two between its taps
//
// Windows may have any odd size. Convolutions have no bias: the normalisation after them takes it
// away. For the same reason a Site's gain is not read.

#include <cstdint>
#include <memory>

#include "nas/candidates.h"

namespace serenade {

/// searching: batch normalisations have no weight and bias, by which a candidate could grow in
/// place of its alpha, and pooling is followed by one, so that all candidates are of one size.
/// Without, the operations are those of a network that is trained alone.
CandidateTable cell_candidates(bool searching);

/// Convolution with a square kernel and `padding` on all sides, batch normalisation.
std::unique_ptr<Layer> conv_norm(std::int64_t in_channels, std::int64_t out_channels,
                                 std::int64_t kernel, std::int64_t padding);

/// ReLU, 1x1 convolution, batch normalisation.
std::unique_ptr<Layer> relu_conv_norm(std::int64_t in_channels, std::int64_t out_channels,
                                      bool affine);

/// The same at stride 2, H and W even, out_channels even: one half of the channels reads the pixels
/// at even places, the other those at odd ones, so that no pixel is left out entirely.
std::unique_ptr<Layer> factorized_reduce(std::int64_t in_channels, std::int64_t out_channels,
                                         bool affine);

}  // namespace serenade
