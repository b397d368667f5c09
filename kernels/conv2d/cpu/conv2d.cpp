// Convolution: the plain version (the definition) and the choice of the version in use.
// Formulas and shapes: kernels/conv2d/conv2d.h.

#include "kernels/conv2d/conv2d.h"

#include "kernels/conv2d/cpu/conv2d_simd.h"
#include "kernels/conv2d/cpu/first_layer.h"
#include "kernels/conv2d/cpu/versions.h"
#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

namespace {

// Calls visit(offset in x, offset in weight) for every input that output (n, k, i, j) sees.
template <class Visit>
void for_each_tap(const Conv2dShape& s, std::int64_t n, std::int64_t k, std::int64_t i,
                  std::int64_t j, const Visit& visit) {
  for (std::int64_t c = 0; c < s.C; ++c) {
    for (std::int64_t r = 0; r < s.R; ++r) {
      const std::int64_t h = i * s.stride_h + r - s.pad_top;
      if (h < 0 || h >= s.H) continue;
      for (std::int64_t t = 0; t < s.S; ++t) {
        const std::int64_t w = j * s.stride_w + t - s.pad_left;
        if (w < 0 || w >= s.W) continue;
        visit(((n * s.C + c) * s.H + h) * s.W + w, ((k * s.C + c) * s.R + r) * s.S + t);
      }
    }
  }
}

// Calls visit(n, k, i, j, offset in y) for every output.
template <class Visit>
void for_each_output(const Conv2dShape& s, const Visit& visit) {
  std::int64_t offset = 0;
  for (std::int64_t n = 0; n < s.N; ++n) {
    for (std::int64_t k = 0; k < s.K; ++k) {
      for (std::int64_t i = 0; i < s.out_h(); ++i) {
        for (std::int64_t j = 0; j < s.out_w(); ++j) visit(n, k, i, j, offset++);
      }
    }
  }
}

}  // namespace

void conv2d_forward_v0_plain(real* y, const real* x, const real* weight, const real* bias,
                             const Conv2dShape& shape) {
  for_each_output(shape, [&](auto n, auto k, auto i, auto j, auto out) {
    real sum = bias == nullptr ? 0 : bias[k];
    for_each_tap(shape, n, k, i, j, [&](auto from, auto tap) { sum += weight[tap] * x[from]; });
    y[out] = sum;
  });
}

void conv2d_backward_input_v0_plain(real* dx, const real* dy, const real* weight,
                                    const Conv2dShape& shape) {
  for_each_output(shape, [&](auto n, auto k, auto i, auto j, auto out) {
    for_each_tap(shape, n, k, i, j, [&](auto to, auto tap) { dx[to] += weight[tap] * dy[out]; });
  });
}

void conv2d_backward_weight_v0_plain(real* dweight, const real* dy, const real* x,
                                     const Conv2dShape& shape) {
  for_each_output(shape, [&](auto n, auto k, auto i, auto j, auto out) {
    for_each_tap(shape, n, k, i, j,
                 [&](auto from, auto tap) { dweight[tap] += dy[out] * x[from]; });
  });
}

bool conv2d_direct_supports(const Conv2dShape& s) {
  return s.stride_h == 1 && s.stride_w == 1 && s.pad_top < s.R && s.pad_bottom < s.R &&
         s.pad_left < s.S && s.pad_right < s.S;
}

namespace {

// v3 computes whole tiles and blocks of 16 channels, and a product costs it about twice as much as
// v2, transforms included.
bool winograd_wins(const Conv2dShape& s) {
  if (!conv2d_winograd_supports(s)) return false;
  constexpr std::int64_t kTile = 8, kChannelBlock = 16, kCostOfProduct = 2;
  const std::int64_t tiles =
      ceil_div(s.out_h(), kTile + 1 - s.R) * ceil_div(s.out_w(), kTile + 1 - s.S);
  const std::int64_t pairs =
      ceil_div(s.C, kChannelBlock) * ceil_div(s.K, kChannelBlock) * kChannelBlock * kChannelBlock;
  const std::int64_t direct = s.out_h() * s.out_w() * s.R * s.S * s.C * s.K;
  return kCostOfProduct * tiles * kTile * kTile * pairs < direct;
}

}  // namespace

Conv2dVersion conv2d_version(const Conv2dShape& shape, Conv2dPass pass) {
  if (!conv2d_direct_supports(shape)) return Conv2dVersion::implicit;
  // v4 packs what it multiplies, and many channels use what is packed; the gradients of v1 copy
  // nothing for a 1x1 kernel.
  constexpr std::int64_t kManyPairs = 4096;
  if (shape.R == 1 && shape.S == 1 && shape.C * shape.K >= kManyPairs) {
    return pass == Conv2dPass::forward ? Conv2dVersion::implicit : Conv2dVersion::im2col;
  }
  // v3 rounds an entry of the weight gradient to a few millionths of the largest one, v2 to a tenth
  // of that. Adam's first steps depend on signs alone, so where v2 takes no time, it is in use.
  constexpr std::int64_t kMinPixels = 4096;
  const bool small =
      pass == Conv2dPass::backward_weight && shape.N * shape.out_h() * shape.out_w() <= kMinPixels;
  if (!small && winograd_wins(shape)) return Conv2dVersion::winograd;
  // In rows shorter than the kernel most of what v2 computes is thrown away.
  if (shape.out_w() < 2 * (shape.S - 1)) return Conv2dVersion::implicit;
  // v2 computes whole blocks of channels of its result, which is x's gradient in the second pass.
  constexpr std::int64_t kBlock = 8, kManyChannels = 32;
  if (pass == Conv2dPass::backward_input) {
    return shape.C < kBlock ? Conv2dVersion::implicit : Conv2dVersion::direct;
  }
  const bool many = shape.K >= kManyChannels && shape.R * shape.S > 1;
  return many || shape.K < 3 ? Conv2dVersion::implicit : Conv2dVersion::direct;
}

// What the layers above call ----------------------------------------------------------------------

namespace {

void forward(const RowSink& y, const real* x, const real* weight, const real* bias,
             const Conv2dShape& shape) {
  switch (conv2d_version(shape, Conv2dPass::forward)) {
    case Conv2dVersion::winograd:
      return conv2d_forward_v3_winograd(y, x, weight, bias, shape);
    case Conv2dVersion::direct:
      return conv2d_forward_v2_direct(y, x, weight, bias, shape);
    case Conv2dVersion::im2col:
      return conv2d_forward_v1_im2col(y, x, weight, bias, shape);
    default:
      return conv2d_forward_v4_implicit(y, x, weight, bias, shape);
  }
}

void backward_input(real* dx, const RowSource& dy, const real* weight, const Conv2dShape& shape) {
  switch (conv2d_version(shape, Conv2dPass::backward_input)) {
    case Conv2dVersion::winograd:
      return conv2d_backward_input_v3_winograd(dx, dy, weight, shape);
    case Conv2dVersion::direct:
      return conv2d_backward_input_v2_direct(dx, dy, weight, shape);
    case Conv2dVersion::im2col:
      return conv2d_backward_input_v1_im2col(dx, dy, weight, shape);
    default:
      return conv2d_backward_input_v4_implicit(dx, dy, weight, shape);
  }
}

void backward_weight(real* dweight, const RowSource& dy, const real* x, const Conv2dShape& shape) {
  switch (conv2d_version(shape, Conv2dPass::backward_weight)) {
    case Conv2dVersion::winograd:
      return conv2d_backward_weight_v3_winograd(dweight, dy, x, shape);
    case Conv2dVersion::direct:
      return conv2d_backward_weight_v2_direct(dweight, dy, x, shape);
    case Conv2dVersion::im2col:
      return conv2d_backward_weight_v1_im2col(dweight, dy, x, shape);
    default:
      return conv2d_backward_weight_v4_implicit(dweight, dy, x, shape);
  }
}

// dbias[k] += sum over samples of dy[:, k], leaving out what ReLU killed where there is an index.
void backward_bias(real* dbias, const real* dy, const std::uint8_t* index, std::int64_t samples,
                   std::int64_t channels, std::int64_t pixels) {
  const Conv2dSimd& simd = conv2d_simd();
  parallel_for(channels, [&](std::int64_t k) {
    real total = 0;
    for (std::int64_t n = 0; n < samples; ++n) {
      const std::int64_t start = (n * channels + k) * pixels;
      total += simd.sum_alive(dy + start, index == nullptr ? nullptr : index + start, pixels);
    }
    dbias[k] += total;
  });
}

}  // namespace

void conv2d_forward(real* y, const real* x, const real* weight, const real* bias,
                    const Conv2dShape& shape) {
  forward({.data = y}, x, weight, bias, shape);
}

void conv2d_backward_input(real* dx, const real* dy, const real* weight, const Conv2dShape& shape) {
  backward_input(dx, {.data = dy}, weight, shape);
}

void conv2d_backward_weight(real* dweight, const real* dy, const real* x,
                            const Conv2dShape& shape) {
  backward_weight(dweight, {.data = dy}, x, shape);
}

void conv2d_backward_bias(real* dbias, const real* dy, const Conv2dShape& shape) {
  backward_bias(dbias, dy, nullptr, shape.N, shape.K, shape.out_h() * shape.out_w());
}

void conv2d_relu_maxpool_forward(real* y, std::uint8_t* index, const real* x, const real* weight,
                                 const real* bias, const Conv2dShape& shape, std::int64_t pool_h,
                                 std::int64_t pool_w) {
  if (conv2d_first_layer_supports(shape, pool_h, pool_w)) {
    return conv2d_first_layer_forward(y, index, x, weight, bias, shape, pool_w);
  }
  forward({.data = y, .index = index, .pool_h = pool_h, .pool_w = pool_w}, x, weight, bias, shape);
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
  const std::int64_t pooled = (shape.out_h() / pool_h) * (shape.out_w() / pool_w);
  backward_bias(dbias, dy, index, shape.N, shape.K, pooled);
}

}  // namespace serenade::cpu
