// Functions that choose elements by number. Indices lie in host memory and have no gradient.

#include "kernels/elementwise/index.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "kernels/runtime/memory.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// x as [outer, axis, inner]; outer is 0 where nothing is chosen, however long the axes are.
IndexShape index_shape(const Shape& shape, std::size_t axis, std::int64_t count) {
  IndexShape s{1, shape[axis], 1, count};
  Shape chosen = shape;
  chosen[axis] = count;
  if (std::find(chosen.begin(), chosen.end(), 0) != chosen.end()) {
    s.outer = 0;
    return s;
  }
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i != axis) (i < axis ? s.outer : s.inner) *= shape[i];
  }
  return s;
}

std::size_t checked_axis(const char* name, const Variable& x, std::int64_t axis) {
  check_defined(name, x);
  return static_cast<std::size_t>(normalized_axis(name, axis, x.dim()));
}

void check_indices(const char* name, const Indices& indices, std::int64_t size) {
  for (const std::int64_t index : indices) {
    check(0 <= index && index < size, name, "indices must be in 0 .. ", size - 1, "; got ", index);
  }
}

// Forward and backward share one copy.
std::shared_ptr<const Indices> shared(const Indices& indices) {
  return std::make_shared<const Indices>(indices);
}

// Refuses a shape that is not that of x but for the axis, and indices that do not fill it.
void check_chosen(const char* name, const Variable& x, std::size_t axis, const Indices& indices,
                  const Shape& shape) {
  Shape alike = shape;
  if (alike.size() == x.shape().size()) alike[axis] = x.shape()[axis];
  check(alike == x.shape(), name, "shapes must be the same but for axis ", axis, "; got ",
        x.shape(), " and ", shape);
  check(element_count(shape, name) == std::ssize(indices), name,
        "there must be one index for each element of ", shape, "; got ", indices.size());
  check_indices(name, indices, x.shape()[axis]);
}

// Zeros of `shape`, to which the elements of x [outer, count, inner] are added along the axis.
Variable scattered(const Variable& x, const Indices& places, const IndexShape& s,
                   const Shape& shape) {
  if (x.numel() == 0) return Tensor(shape, x.device());
  const Variable zeros = Tensor({s.outer, s.axis, s.inner}, x.device());
  const Variable lanes = reshape(x, {s.outer, s.count, s.inner});
  return reshape(scatter_add(zeros, 1, places, lanes), shape);
}

}  // namespace

Variable index_select(const Variable& x, std::int64_t axis, const Indices& indices) {
  const std::size_t at = checked_axis("index_select", x, axis);
  check_indices("index_select", indices, x.shape()[at]);
  Shape shape = x.shape();
  shape[at] = std::ssize(indices);
  element_count(shape, "index_select");
  const IndexShape s = index_shape(x.shape(), at, std::ssize(indices));
  const Tensor input = x.value().contiguous();
  const auto chosen = shared(indices);
  Tensor y = Tensor::empty(shape, x.device());
  KERNEL(y.device(), index_select_forward, y.data(), input.data(), chosen->data(), s);
  return make_result(
      "index_select", y, {x},
      [s, chosen](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) {  // to where each slice came from
          Indices places;
          for (std::int64_t o = 0; o < s.outer; ++o) {
            for (const std::int64_t index : *chosen) places.insert(places.end(), s.inner, index);
          }
          return d.add(0, scattered(d.dy(), places, s, d.shape(0)));
        }
        KERNEL(dy.device(), index_select_backward, d[0].data(), dy.data(), chosen->data(), s);
      },
      Saves::nothing);
}

Variable embedding(const Variable& table, const Indices& indices, const Shape& shape,
                   std::optional<std::int64_t> padding_index) {
  check_defined("embedding", table);
  check(table.dim() == 2, "embedding", "the table must be [entries, D]; got ", table.shape());
  const auto count = static_cast<std::int64_t>(indices.size());
  check(shape.empty() || element_count(shape, "embedding") == count, "embedding",
        "there must be one index for each element of the shape; got ", count, " for ", shape);
  for (const std::int64_t index : indices) {
    check(index >= 0 && index < table.size(0), "embedding", "indices must be 0 .. ",
          table.size(0) - 1, "; got ", index);
  }
  Variable rows = index_select(table, 0, indices);
  if (padding_index) {
    check(*padding_index >= 0 && *padding_index < table.size(0), "embedding",
          "padding_index must be 0 .. ", table.size(0) - 1, "; got ", *padding_index);
    std::vector<real> is_padding;
    for (const std::int64_t index : indices) is_padding.push_back(index == *padding_index);
    const Tensor mask = Tensor::from(is_padding, {count, 1}).to(table.device());
    rows = where(mask, rows.detach(), rows);
  }
  Shape result = shape.empty() ? Shape{count} : shape;
  result.push_back(table.size(1));
  return reshape(rows, result);
}

Variable gather(const Variable& x, std::int64_t axis, const Indices& indices, const Shape& shape) {
  const std::size_t at = checked_axis("gather", x, axis);
  check_chosen("gather", x, at, indices, shape);
  const IndexShape s = index_shape(x.shape(), at, shape[at]);
  const Tensor input = x.value().contiguous();
  const auto chosen = shared(indices);
  Tensor y = Tensor::empty(shape, x.device());
  KERNEL(y.device(), gather_forward, y.data(), input.data(), chosen->data(), s);
  return make_result(
      "gather", y, {x},
      [s, chosen](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) return d.add(0, scattered(d.dy(), *chosen, s, d.shape(0)));
        KERNEL(dy.device(), scatter_add, d[0].data(), dy.data(), chosen->data(), s);
      },
      Saves::nothing);
}

Variable scatter_add(const Variable& x, std::int64_t axis, const Indices& indices,
                     const Variable& source) {
  const std::size_t at = checked_axis("scatter_add", x, axis);
  check_defined("scatter_add", source);
  check_same_device("scatter_add", x, source);
  check_chosen("scatter_add", x, at, indices, source.shape());
  const IndexShape s = index_shape(x.shape(), at, source.shape()[at]);
  const Tensor added = source.value().contiguous();
  const auto chosen = shared(indices);
  Tensor y = x.value().clone();
  KERNEL(y.device(), scatter_add, y.data(), added.data(), chosen->data(), s);
  return make_result(
      "scatter_add", y, {x, source},
      [s, chosen](const Tensor& dy, Gradients& d) {
        if (d.create_graph()) {
          d.add(0, d.dy());
          if (!d.wants(1)) return;
          if (chosen->empty()) return d.add(1, Tensor(d.shape(1), dy.device()));
          const Variable lanes = reshape(d.dy(), {s.outer, s.axis, s.inner});
          const Variable at_source = gather(lanes, 1, *chosen, {s.outer, s.count, s.inner});
          return d.add(1, reshape(at_source, d.shape(1)));
        }
        d.pass_on(0, dy);
        if (d.wants(1)) KERNEL(dy.device(), gather_add, d[1].data(), dy.data(), chosen->data(), s);
      },
      Saves::nothing);
}

Variable flip(const Variable& x, const AxisList& axes) {
  check_defined("flip", x);
  Variable y = x;
  for (const std::int64_t axis : axes.axes()) {
    const std::int64_t size = x.size(axis);
    if (x.numel() == 0) continue;  // an axis of an empty tensor may be longer than any memory
    Indices order(static_cast<std::size_t>(size));
    std::iota(order.rbegin(), order.rend(), 0);
    y = index_select(y, axis, order);
  }
  return y;
}

TopK topk(const Variable& x, std::int64_t k, std::int64_t axis) {
  const std::size_t at = checked_axis("topk", x, axis);
  const std::int64_t size = x.shape()[at];
  check(0 <= k && k <= size, "topk", "k must be in 0 .. ", size, ", the size of axis ", at,
        "; got ", k);
  Shape shape = x.shape();
  shape[at] = k;
  const IndexShape s = index_shape(x.shape(), at, k);
  const Tensor input = x.value().to(Device::cpu).contiguous();
  Indices found(static_cast<std::size_t>(s.outer * k * s.inner));
  Indices order(static_cast<std::size_t>(x.numel() > 0 ? size : 0));
  for (std::int64_t lane = 0; lane < s.outer * s.inner; ++lane) {
    const std::int64_t o = lane / s.inner, i = lane % s.inner;
    const real* values = input.data() + o * size * s.inner + i;
    const auto before = [&](std::int64_t a, std::int64_t b) {
      const real x_a = values[a * s.inner], x_b = values[b * s.inner];
      const bool nan_a = x_a != x_a, nan_b = x_b != x_b;
      if (nan_a || nan_b) return nan_a && (!nan_b || a < b);
      return x_a > x_b || (x_a == x_b && a < b);
    };
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
    for (std::int64_t n = 0; n < k; ++n) {
      found[static_cast<std::size_t>((o * k + n) * s.inner + i)] =
          order[static_cast<std::size_t>(n)];
    }
  }
  return {gather(x, axis, found, shape), found};
}

// Tensors made of numbers -------------------------------------------------------------------------

Tensor one_hot(const Indices& indices, std::int64_t classes) {
  check(classes >= 1, "one_hot", "there must be a class; got ", classes);
  check_indices("one_hot", indices, classes);
  Tensor y({std::ssize(indices), classes});
  for (std::size_t n = 0; n < indices.size(); ++n) {
    y.data()[static_cast<std::int64_t>(n) * classes + indices[n]] = 1;
  }
  return y;
}

namespace {

// Ones on and below the diagonal, or on and above it.
Tensor triangle(const char* name, std::int64_t rows, std::int64_t columns, std::int64_t diagonal,
                bool below) {
  check(rows >= 0 && columns >= 0, name, "sizes must not be negative; got ", rows, " and ",
        columns);
  Tensor y({rows, columns});
  diagonal = std::clamp(diagonal, -rows, columns);  // beyond, nothing changes
  for (std::int64_t i = 0; i < rows; ++i) {
    real* row = y.data() + i * columns;
    const std::int64_t zero = 0, edge = std::clamp(i + diagonal + below, zero, columns);
    std::fill(below ? row : row + edge, below ? row + edge : row + columns, real(1));
  }
  return y;
}

}  // namespace

Tensor tril_mask(std::int64_t rows, std::int64_t columns, std::int64_t diagonal) {
  return triangle("tril_mask", rows, columns, diagonal, true);
}
Tensor triu_mask(std::int64_t rows, std::int64_t columns, std::int64_t diagonal) {
  return triangle("triu_mask", rows, columns, diagonal, false);
}

}  // namespace serenade
