// Pooling (formulas: kernels/pool/pool.h, kernels/pool/windows.h).

#include <algorithm>
#include <limits>
#include <memory>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/positions.h"
#include "kernels/pool/pool.h"
#include "kernels/pool/windows.h"
#include "kernels/runtime/ceil_div.h"
#include "tensor/check.h"

namespace serenade {

namespace {

using Pair = std::array<std::int64_t, 2>;

void check_images(const char* op, const Variable& x) {
  check_defined(op, x);
  check(x.dim() == 4, op, "input must be [N, C, H, W]; got ", x.shape());
}

// Windows of the size of the stride, which have kernels of their own.
Variable max_of_blocks(const Variable& x, Pair window) {
  const PoolShape shape = {x.size(0) * x.size(1), x.size(2), x.size(3), window[0], window[1]};
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty({x.size(0), x.size(1), shape.out_h(), shape.out_w()}, input.device());
  const auto positions = position_storage<std::int32_t>(y.numel(), input.device());
  KERNEL(input.device(), max_pool2d_forward, y.data(),
         static_cast<std::int32_t*>(positions->data()), input.data(), shape);
  return make_result(
      "max_pool2d", y, {x},
      [positions, shape](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) {
          const Indices places =
              places_of_blocks(positions_on_host<std::int32_t>(*positions), shape.out_h(),
                               shape.out_w(), shape.window_h, shape.window_w, shape.width);
          return d.add(0, unpooled(d.dy(), places, d.shape(0)));
        }
        KERNEL(dy.device(), max_pool2d_backward, d[0].data(), dy.data(),
               static_cast<const std::int32_t*>(positions->data()), shape);
      },
      Saves::nothing);
}

// The gaps of a window may be all that lies in the image: its first element lies before it, in the
// padding, and its second behind it, where begin(i) is in -gaps .. -1.
void check_no_window_is_empty(const char* op, const WindowAxis& axis) {
  const std::int64_t gaps = axis.dilation - axis.size;
  if (axis.padding == 0 || gaps <= 0) return;
  const std::int64_t i =
      ceil_div(std::max<std::int64_t>(0, axis.padding - gaps), axis.stride);  // the first >= -gaps
  check(i >= axis.out || axis.begin(i) >= 0, op,
        "a window with gaps must hold an element of the input; window ", i, " does not");
}

WindowAxis sliding_axis(const char* op, const Variable& x, int axis, Pair window, Pair stride,
                        Pair padding, Pair dilation) {
  const auto k = static_cast<std::size_t>(axis);
  const std::int64_t size = x.size(2 + axis);
  check(window[k] >= 1 && window[k] <= kMaxElements && dilation[k] >= 1 &&
            dilation[k] <= kMaxElements / window[k],
        op, "window and dilation must be at least 1, and a window reach over less than 2^58; got ",
        window[k], " and ", dilation[k]);
  const std::int64_t reach = dilation[k] * (window[k] - 1) + 1;
  check(stride[k] >= 1, op, "strides must be at least 1; got ", stride[0], " and ", stride[1]);
  check(padding[k] >= 0 && padding[k] <= reach / 2, op,
        "padding must be between 0 and half of what a window reaches over, ", reach / 2, "; got ",
        padding[k]);
  check(padding[k] <= size, op, "padding must not be wider than the input, ", size, "; got ",
        padding[k]);
  check(size + 2 * padding[k] >= reach, op,
        "the window must fit the padded input; it reaches over ", reach, " of ",
        size + 2 * padding[k]);
  const WindowAxis result = {.size = size,
                             .out = (size + 2 * padding[k] - reach) / stride[k] + 1,
                             .window = window[k],
                             // A longer stride takes no further step either.
                             .stride = std::min(stride[k], size + 2 * padding[k]),
                             .padding = padding[k],
                             .dilation = dilation[k]};
  check_no_window_is_empty(op, result);
  return result;
}

WindowShape sliding(const char* op, const Variable& x, Pair window, Pair stride, Pair padding,
                    Pair dilation = {1, 1}) {
  check_images(op, x);
  if (stride == Pair{0, 0}) stride = window;
  return {.planes = x.size(0) * x.size(1),
          .rows = sliding_axis(op, x, 0, window, stride, padding, dilation),
          .columns = sliding_axis(op, x, 1, window, stride, padding, dilation)};
}

WindowShape adaptive(const char* op, const Variable& x, Pair size) {
  check_images(op, x);
  const auto axis = [&](int k) -> WindowAxis {
    const std::int64_t out = size[static_cast<std::size_t>(k)];
    check(out >= 1 && x.size(2 + k) >= 1, op, "sizes must be at least 1; got ", size[0], " x ",
          size[1], " of input ", x.shape());
    check(out <= kMaxElements / x.size(2 + k), op, "the result is too large; got ", size[0], " x ",
          size[1]);
    return {.size = x.size(2 + k), .out = out, .window = 0};
  };
  return {
      .planes = x.size(0) * x.size(1), .rows = axis(0), .columns = axis(1), .count_padding = false};
}

Shape result_shape(const char* op, const Variable& x, const WindowShape& s) {
  Shape shape = {x.size(0), x.size(1), s.rows.out, s.columns.out};
  element_count(shape, op);
  return shape;
}

Variable largest(const char* op, const Variable& x, const WindowShape& s) {
  check(s.rows.size * s.columns.size <= std::numeric_limits<std::int32_t>::max(), op,
        "a map holds at most 2^31 - 1 elements; got input ", x.shape());
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(result_shape(op, x, s), input.device());
  const auto positions = position_storage<std::int32_t>(y.numel(), input.device());
  KERNEL(input.device(), window_max_forward, y.data(),
         static_cast<std::int32_t*>(positions->data()), input.data(), s);
  return make_result(
      op, y, {x},
      [positions, s](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) {
          const auto places = positions_on_host<std::int32_t>(*positions);
          return d.add(0, unpooled(d.dy(), {places.begin(), places.end()}, d.shape(0)));
        }
        KERNEL(dy.device(), window_max_backward, d[0].data(), dy.data(),
               static_cast<const std::int32_t*>(positions->data()), s);
      },
      Saves::nothing);
}

Variable average(const char* op, const Variable& x, const WindowShape& s);

// The gradient of average: linear too, with average as its own.
Variable spread_means(const char* op, const Variable& dy, const WindowShape& s,
                      const Shape& images) {
  const Tensor given = dy.value().contiguous();
  Tensor dx(images, given.device());
  KERNEL(given.device(), window_mean_backward, dx.data(), given.data(), s);
  return make_result(
      op, dx, {dy},
      [op, s](const Tensor& g, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) return d.add(0, average(op, d.dy(), s));
        Tensor means = Tensor::empty(d.shape(0), g.device());
        KERNEL(g.device(), window_mean_forward, means.data(), g.data(), s);
        d.pass_on(0, means);
      },
      Saves::nothing);
}

Variable average(const char* op, const Variable& x, const WindowShape& s) {
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(result_shape(op, x, s), input.device());
  KERNEL(input.device(), window_mean_forward, y.data(), input.data(), s);
  return make_result(
      op, y, {x},
      [op, s](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) return d.add(0, spread_means(op, d.dy(), s, d.shape(0)));
        KERNEL(dy.device(), window_mean_backward, d[0].data(), dy.data(), s);
      },
      Saves::nothing);
}

}  // namespace

Variable max_pool2d(const Variable& x, Pair window, const MaxPoolOptions& options) {
  const WindowShape s =
      sliding("max_pool2d", x, window, options.stride, options.padding, options.dilation);
  const bool blocks = s.rows.stride == window[0] && s.columns.stride == window[1] &&
                      options.padding == Pair{0, 0} && options.dilation == Pair{1, 1} &&
                      window[0] * window[1] <= std::numeric_limits<std::int32_t>::max();
  return blocks ? max_of_blocks(x, window) : largest("max_pool2d", x, s);
}

Variable avg_pool2d(const Variable& x, Pair window, const AvgPoolOptions& options) {
  WindowShape s = sliding("avg_pool2d", x, window, options.stride, options.padding);
  s.count_padding = options.count_include_pad;
  return average("avg_pool2d", x, s);
}

Variable adaptive_avg_pool2d(const Variable& x, Pair size) {
  return average("adaptive_avg_pool2d", x, adaptive("adaptive_avg_pool2d", x, size));
}

Variable adaptive_max_pool2d(const Variable& x, Pair size) {
  return largest("adaptive_max_pool2d", x, adaptive("adaptive_max_pool2d", x, size));
}

namespace {

constexpr std::int64_t kLongestSide = std::numeric_limits<std::int32_t>::max();

// The elements i H / H' along an axis.
Variable nearest_along(const Variable& x, std::int64_t axis, std::int64_t size) {
  Indices from(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i)
    from[static_cast<std::size_t>(i)] = i * x.size(axis) / size;
  return index_select(x, axis, from);
}

// Between the two elements around each place along an axis.
Variable linear_along(const Variable& x, std::int64_t axis, std::int64_t size, bool align_corners) {
  const std::int64_t before = x.size(axis);
  const auto count = static_cast<std::size_t>(size);
  Indices low(count), high(count);
  std::vector<real> shares(count);  // of the higher one
  for (std::int64_t i = 0; i < size; ++i) {
    const double place =
        align_corners ? (size == 1 ? 0 : double(i) * double(before - 1) / double(size - 1))
                      : std::max(0.0, (double(i) + 0.5) * double(before) / double(size) - 0.5);
    const auto lower = std::min(static_cast<std::int64_t>(place), before - 1);
    const auto at = static_cast<std::size_t>(i);
    low[at] = lower;
    high[at] = std::min(lower + 1, before - 1);
    shares[at] = static_cast<real>(place - static_cast<double>(lower));
  }
  Shape along(x.shape().size(), 1);
  along[static_cast<std::size_t>(axis)] = size;
  const Variable share = Tensor::from(shares, along).to(x.device());
  return index_select(x, axis, low) * (1 - share) + index_select(x, axis, high) * share;
}

}  // namespace

Variable interpolate(const Variable& x, Pair size, const InterpolateOptions& options) {
  check_images("interpolate", x);
  for (std::size_t k = 0; k < 2; ++k) {
    check(size[k] >= 1 && size[k] <= kLongestSide && x.shape()[2 + k] >= 1 &&
              x.shape()[2 + k] <= kLongestSide,
          "interpolate", "sizes must be in 1 .. 2^31 - 1; got ", size[0], " x ", size[1],
          " of input ", x.shape());
  }
  const Shape result = {x.size(0), x.size(1), size[0], size[1]};
  if (element_count(result, "interpolate") == 0) return reshape(x, result);
  if (options.mode == Interpolation::nearest) {
    return nearest_along(nearest_along(x, 2, size[0]), 3, size[1]);
  }
  return linear_along(linear_along(x, 2, size[0], options.align_corners), 3, size[1],
                      options.align_corners);
}

}  // namespace serenade
