// Functions that move elements without changing them. Their gradients move back.

#include <algorithm>
#include <utility>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/broadcast.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/runtime/memory.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// part = the elements start .. start + its size along an axis of `whole`, or += them.
void leave_part(const Gradients::Target& part, const Shape& shape, const Tensor& whole,
                std::int64_t axis, std::int64_t start) {
  if (element_count(shape) == 0) return;
  const std::int64_t step = whole.strides()[static_cast<std::size_t>(axis)];
  const std::int64_t row = shape[static_cast<std::size_t>(axis)] * step;  // neighbours in both
  const real* first = whole.data() + start * step;
  if (part.write == Write::set) {
    KERNEL(whole.device(), gather_strided, part.data, first, shape.data(), whole.strides().data(),
           static_cast<int>(shape.size()));
    return;
  }
  Broadcast rows;
  rows.dims = 2;
  rows.shape[0] = element_count(shape) / row;
  rows.shape[1] = row;
  rows.stride_a[0] = row;
  rows.stride_b[0] = whole.size(axis) * step;
  rows.stride_a[1] = rows.stride_b[1] = 1;
  KERNEL(whole.device(), add_forward, part.data, part.data, first, rows);
}

// The same elements of `whole` = part, or += part.
void write_part(Tensor& whole, const Tensor& part, std::int64_t axis, std::int64_t start,
                Write write) {
  if (part.numel() == 0) return;
  real* first = whole.data() + start * whole.strides()[static_cast<std::size_t>(axis)];
  const int dims = static_cast<int>(whole.dim());
  if (write == Write::set) {
    KERNEL(whole.device(), scatter_strided, first, part.data(), part.shape().data(),
           whole.strides().data(), dims);
  } else {
    KERNEL(whole.device(), scatter_add_strided, first, part.data(), part.shape().data(),
           whole.strides().data(), dims);
  }
}

}  // namespace

Variable reshape(const Variable& x, Shape shape) {
  check_defined("reshape", x);
  return make_result(
      "reshape", x.value().reshape(std::move(shape)), {x},
      [](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) return d.add(0, reshape(d.dy(), d.shape(0)));
        d.pass_on(0, dy);
      },
      Saves::nothing);
}

Variable flatten(const Variable& x, std::int64_t first, std::int64_t last) {
  check_defined("flatten", x);
  if (x.dim() == 0) return reshape(x, {1});
  const std::int64_t begin = normalized_axis("flatten", first, x.dim());
  const std::int64_t end = normalized_axis("flatten", last, x.dim());
  check(begin <= end, "flatten", "the first axis must not come after the last; got ", first,
        " and ", last, " of ", x.shape());
  Shape shape(x.shape().begin(), x.shape().begin() + begin);
  const auto sizes = x.shape().begin();
  shape.push_back(element_count(Shape(sizes + begin, sizes + end + 1), "flatten"));
  shape.insert(shape.end(), x.shape().begin() + end + 1, x.shape().end());
  return reshape(x, shape);
}

Variable permute(const Variable& x, const std::vector<std::int64_t>& order) {
  check_defined("permute", x);
  const Tensor moved = x.value().permute(order);  // a view
  std::vector<std::size_t> from(order.size());    // the axis of x for each of y
  for (std::size_t axis = 0; axis < order.size(); ++axis) {
    from[axis] = static_cast<std::size_t>(normalized_axis("permute", order[axis], x.dim()));
  }
  return make_result(
      "permute", moved.clone(), {x},
      [from](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) {
          std::vector<std::int64_t> back(from.size());
          for (std::size_t axis = 0; axis < from.size(); ++axis) {
            back[from[axis]] = static_cast<std::int64_t>(axis);
          }
          return d.add(0, permute(d.dy(), back));
        }
        // d x seen through the same permutation has the axes of dy in order, but strides of its
        // own.
        const Strides row_major = row_major_strides(d.shape(0));
        Strides strides(from.size());
        for (std::size_t axis = 0; axis < from.size(); ++axis)
          strides[axis] = row_major[from[axis]];
        const Gradients::Target dx = d.target(0);
        const int dims = static_cast<int>(dy.dim());
        if (dx.write == Write::set) {
          KERNEL(dy.device(), scatter_strided, dx.data, dy.data(), dy.shape().data(),
                 strides.data(), dims);
        } else {
          KERNEL(dy.device(), scatter_add_strided, dx.data, dy.data(), dy.shape().data(),
                 strides.data(), dims);
        }
      },
      Saves::nothing);
}

Variable transpose(const Variable& x, std::int64_t axis_a, std::int64_t axis_b) {
  check_defined("transpose", x);
  std::vector<std::int64_t> order(static_cast<std::size_t>(x.dim()));
  for (std::size_t axis = 0; axis < order.size(); ++axis) {
    order[axis] = static_cast<std::int64_t>(axis);
  }
  const std::int64_t a = normalized_axis("transpose", axis_a, x.dim());
  const std::int64_t b = normalized_axis("transpose", axis_b, x.dim());
  std::swap(order[static_cast<std::size_t>(a)], order[static_cast<std::size_t>(b)]);
  return permute(x, order);
}

Variable slice(const Variable& x, std::int64_t axis, std::int64_t start, std::int64_t length) {
  check_defined("slice", x);
  const std::int64_t at = normalized_axis("slice", axis, x.dim());
  // A copy even where the elements are neighbours: a small piece should not keep the whole alive.
  return make_result(
      "slice", x.value().slice(at, start, length).clone(), {x},
      [at, start](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) {
          const std::int64_t after = d.shape(0)[static_cast<std::size_t>(at)] - start - dy.size(at);
          return d.add(0, pad(d.dy(), at, start, after));
        }
        write_part(d[0], dy, at, start, Write::add);
      },
      Saves::nothing);
}

Variable concat(const std::vector<Variable>& parts, std::int64_t axis) {
  check(!parts.empty(), "concat", "at least one part; got none");
  for (const Variable& part : parts) check_defined("concat", part);
  const Shape& first = parts[0].shape();
  const std::int64_t at = normalized_axis("concat", axis, parts[0].dim());
  Shape shape = first;
  std::int64_t total = 0;
  for (const Variable& part : parts) {
    Shape alike = part.shape();
    if (alike.size() == first.size()) {
      alike[static_cast<std::size_t>(at)] = first[static_cast<std::size_t>(at)];
    }
    check(alike == first, "concat", "parts must have the same shape but for axis ", at, "; got ",
          first, " and ", part.shape());
    check_same_device("concat", parts[0], part);
    total += part.size(at);
    shape[static_cast<std::size_t>(at)] = total;
    element_count(shape, "concat");  // at each part, so that the total cannot overflow
  }
  Tensor y = Tensor::empty(shape, parts[0].device());
  std::vector<std::int64_t> starts;
  std::int64_t start = 0;
  for (const Variable& part : parts) {
    write_part(y, part.value().contiguous(), at, start, Write::set);
    starts.push_back(start);
    start += part.size(at);
  }
  return make_result(
      "concat", y, parts,
      [at, starts](const Tensor& dy, Gradients& d) {
        for (std::size_t i = 0; i < starts.size(); ++i) {
          if (!d.wants(i)) continue;
          if (d.create_graph()) {
            const std::int64_t size = d.shape(i)[static_cast<std::size_t>(at)];
            d.add(i, slice(d.dy(), at, starts[i], size));
          } else {
            leave_part(d.target(i), d.shape(i), dy, at, starts[i]);
          }
        }
      },
      Saves::nothing);
}

Variable stack(const std::vector<Variable>& parts, std::int64_t axis) {
  check(!parts.empty(), "stack", "at least one part; got none");
  std::vector<Variable> rows;
  for (const Variable& part : parts) {
    check_defined("stack", part);
    check(part.shape() == parts[0].shape(), "stack", "parts must have the same shape; got ",
          parts[0].shape(), " and ", part.shape());
    Shape shape = part.shape();
    shape.insert(shape.begin() + normalized_axis("stack", axis, part.dim() + 1), 1);
    rows.push_back(reshape(part, shape));
  }
  return concat(rows, axis);
}

std::vector<Variable> split(const Variable& x, std::int64_t size, std::int64_t axis) {
  check_defined("split", x);
  const std::int64_t at = normalized_axis("split", axis, x.dim());
  check(size >= 1, "split", "pieces must have a size; got ", size);
  std::vector<Variable> pieces;
  for (std::int64_t start = 0; start < x.size(at); start += std::min(size, x.size(at) - start)) {
    pieces.push_back(slice(x, at, start, std::min(size, x.size(at) - start)));
  }
  return pieces;
}

std::vector<Variable> chunk(const Variable& x, std::int64_t count, std::int64_t axis) {
  check_defined("chunk", x);
  const std::int64_t size = x.size(normalized_axis("chunk", axis, x.dim()));
  check(count >= 1, "chunk", "there must be a piece; got ", count);
  return split(x, std::max<std::int64_t>(1, size / count + (size % count > 0 ? 1 : 0)), axis);
}

Variable expand(const Variable& x, const Shape& shape) {
  check_defined("expand", x);
  const Tensor repeated = x.value().expand(shape);  // a view
  element_count(shape, "expand");
  return make_result(
      "expand", repeated.clone(), {x},
      [from = x.shape(), shape](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) return d.add(0, d.dy());
        KERNEL(dy.device(), add_backward, d[0].data(), dy.data(), 1, make_broadcast(from, shape),
               Write::add);
      },
      Saves::nothing);
}

Variable repeat(const Variable& x, const std::vector<std::int64_t>& counts) {
  check_defined("repeat", x);
  check(std::ssize(counts) >= x.dim() && std::ssize(counts) <= kMaxDims, "repeat",
        "a count for each axis, at most ", kMaxDims, " in all; got ", counts.size(), " for ",
        x.shape());
  Shape total(counts.size() - x.shape().size(), 1);
  total.insert(total.end(), x.shape().begin(), x.shape().end());
  Variable y = reshape(x, total);
  for (std::size_t axis = 0; axis < counts.size(); ++axis) {
    check(counts[axis] >= 0 && counts[axis] <= kMaxElements, "repeat",
          "counts must not be negative, nor beyond 2^58; got ", counts[axis]);
    element_count({counts[axis], y.shape()[axis]}, "repeat");
    Shape tiled = y.shape();
    tiled[axis] *= counts[axis];
    element_count(tiled, "repeat");
    Shape outer{1, 1, 1};
    for (std::size_t i = 0; i < tiled.size(); ++i) {
      if (i != axis) outer[i < axis ? 0 : 2] *= tiled[i];
    }
    if (counts[axis] == 1) continue;
    const std::int64_t block = y.shape()[axis] * outer[2];
    y = reshape(expand(reshape(y, {outer[0], 1, block}), {outer[0], counts[axis], block}), tiled);
  }
  return y;
}

Variable pad(const Variable& x, std::int64_t axis, std::int64_t before, std::int64_t after) {
  check_defined("pad", x);
  const std::int64_t at = normalized_axis("pad", axis, x.dim());
  check(std::min(before, after) >= 0 && std::max(before, after) <= kMaxElements, "pad",
        "the numbers of zeros must not be negative, nor beyond 2^58; got ", before, " and ", after);
  Shape shape = x.shape();
  shape[static_cast<std::size_t>(at)] += before + after;
  element_count(shape, "pad");
  Tensor y(shape, x.device());
  write_part(y, x.value().contiguous(), at, before, Write::set);
  return make_result(
      "pad", y, {x},
      [at, before](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) {
          return d.add(0, slice(d.dy(), at, before, d.shape(0)[static_cast<std::size_t>(at)]));
        }
        leave_part(d.target(0), d.shape(0), dy, at, before);
      },
      Saves::nothing);
}

}  // namespace serenade
