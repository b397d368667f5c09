#pragma once
// The ladder of the convolution. Every step computes the same and takes any sizes it says it takes.
//
//   v0 plain   the formula as loops: definition and test oracle
//   v1 im2col  every output pixel's inputs written out as a column, then one matrix product: fast
//              for any stride, but each input is copied R * S times
//   v2 direct  stride 1: the padded image itself serves as the im2col matrix (conv2d_simd.h)
//   v3 winograd  stride 1, kernels of 3 to 7: 8 x 8 products per tile in place of R * S per output
//              (winograd.h)
//   v4 implicit  the product of v1 without its matrix: the panels that a product reads are packed
//              from the image (window.h)
//
// ReLU and pooling are one more way to write a block of rows (RowSink), and a pooled gradient one
// more way to read them (RowSource), so that every step has its fused form for free.

#include <cstdint>

#include "kernels/conv2d/conv2d.h"

namespace serenade::cpu {

enum class Conv2dVersion { plain, im2col, direct, winograd, implicit };

enum class Conv2dPass { forward, backward_input, backward_weight };

/// The version in use for one pass over a shape.
Conv2dVersion conv2d_version(const Conv2dShape& shape, Conv2dPass pass);

/// True if v2 takes the shape: stride 1 and no padding wider than the kernel reaches.
bool conv2d_direct_supports(const Conv2dShape& shape);

/// True if v3 takes the shape: v2 does, kernels of 3 to 7 rows and columns, up to 256 channels.
bool conv2d_winograd_supports(const Conv2dShape& shape);

/// Where rows of an image [N, channels, height, width] come from: stored as they are, or, where
/// index is not null, as the gradient after ReLU and pooling: data and index are then
/// [N, channels, height / pool_h, width / pool_w].
struct RowSource {
  const real* data = nullptr;
  const std::uint8_t* index = nullptr;
  std::int64_t pool_h = 1;
  std::int64_t pool_w = 1;
};

/// Where computed rows of an image [N, channels, height, width] go: stored, added, or, where index
/// is not null, through ReLU and pooling into data and index.
struct RowSink {
  real* data = nullptr;
  bool add = false;
  std::uint8_t* index = nullptr;
  std::int64_t pool_h = 1;
  std::int64_t pool_w = 1;
};

/// Sizes of the image that rows are read from or written to.
struct ImageShape {
  std::int64_t channels;
  std::int64_t height;
  std::int64_t width;
};

/// Writes one row of the image, `width` reals, to `to`.
void read_row(real* to, const RowSource& source, const ImageShape& image, std::int64_t sample,
              std::int64_t channel, std::int64_t row);

/// Hands rows first .. first + rows - 1 of every channel to the sink; block: channels planes of
/// `plane` reals with rows of `pitch`. When pooling, `first` is a multiple of pool_h.
void write_rows(const RowSink& sink, const ImageShape& image, std::int64_t sample,
                std::int64_t first, std::int64_t rows, const real* block, std::int64_t plane,
                std::int64_t pitch);

// The versions. Sources and sinks of y and dy are images [N, K, out_h, out_w]. --------------------

void conv2d_forward_v0_plain(real* y, const real* x, const real* weight, const real* bias,
                             const Conv2dShape& shape);
void conv2d_forward_v1_im2col(const RowSink& y, const real* x, const real* weight, const real* bias,
                              const Conv2dShape& shape);
void conv2d_forward_v2_direct(const RowSink& y, const real* x, const real* weight, const real* bias,
                              const Conv2dShape& shape);
void conv2d_forward_v3_winograd(const RowSink& y, const real* x, const real* weight,
                                const real* bias, const Conv2dShape& shape);
void conv2d_forward_v4_implicit(const RowSink& y, const real* x, const real* weight,
                                const real* bias, const Conv2dShape& shape);

void conv2d_backward_input_v0_plain(real* dx, const real* dy, const real* weight,
                                    const Conv2dShape& shape);
void conv2d_backward_input_v1_im2col(real* dx, const RowSource& dy, const real* weight,
                                     const Conv2dShape& shape);
void conv2d_backward_input_v2_direct(real* dx, const RowSource& dy, const real* weight,
                                     const Conv2dShape& shape);
void conv2d_backward_input_v3_winograd(real* dx, const RowSource& dy, const real* weight,
                                       const Conv2dShape& shape);
void conv2d_backward_input_v4_implicit(real* dx, const RowSource& dy, const real* weight,
                                       const Conv2dShape& shape);

void conv2d_backward_weight_v0_plain(real* dweight, const real* dy, const real* x,
                                     const Conv2dShape& shape);
void conv2d_backward_weight_v1_im2col(real* dweight, const RowSource& dy, const real* x,
                                      const Conv2dShape& shape);
void conv2d_backward_weight_v2_direct(real* dweight, const RowSource& dy, const real* x,
                                      const Conv2dShape& shape);
void conv2d_backward_weight_v3_winograd(real* dweight, const RowSource& dy, const real* x,
                                        const Conv2dShape& shape);
void conv2d_backward_weight_v4_implicit(real* dweight, const RowSource& dy, const real* x,
                                        const Conv2dShape& shape);

/// Number of partial sums a weight gradient of this size is cut into. It depends on the shape only,
/// never on the number of threads, and so do the bits of the result.
std::int64_t conv2d_weight_partials(const Conv2dShape& shape, std::int64_t units);

/// dweight += sum over partials, in order. partials: [count][size].
void add_partials(real* dweight, const real* partials, std::int64_t count, std::int64_t size);

}  // namespace serenade::cpu
