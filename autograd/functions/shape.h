#pragma once
// What moves elements and computes nothing. Conventions: autograd/functions.h.

#include <cstdint>
#include <vector>

#include "autograd/functions/reduce.h"
#include "autograd/variable.h"

namespace serenade {

/// Same elements, row-major; one size may be -1.
Variable reshape(const Variable& x, Shape shape);
/// Merges the axes first .. last into one.
Variable flatten(const Variable& x, std::int64_t first = 0, std::int64_t last = -1);
Variable permute(const Variable& x, const std::vector<std::int64_t>& order);
Variable transpose(const Variable& x, std::int64_t axis_a, std::int64_t axis_b);
Variable slice(const Variable& x, std::int64_t axis, std::int64_t start, std::int64_t length);
Variable concat(const std::vector<Variable>& parts, std::int64_t axis);
/// The parts, all of one shape, beside each other along a new axis.
Variable stack(const std::vector<Variable>& parts, std::int64_t axis = 0);
/// Pieces of `size` along an axis, the last one smaller where they do not divide it evenly.
std::vector<Variable> split(const Variable& x, std::int64_t size, std::int64_t axis = 0);
/// split into pieces of ceil(size / count): at most `count` of them.
std::vector<Variable> chunk(const Variable& x, std::int64_t count, std::int64_t axis = 0);
/// Repeats axes of size 1 and adds axes in front, as broadcasting does.
Variable expand(const Variable& x, const Shape& shape);
/// Tiles: the whole of x, counts[k] times along axis k; more counts than axes add axes in front.
Variable repeat(const Variable& x, const std::vector<std::int64_t>& counts);
/// The elements along these axes in reverse order.
Variable flip(const Variable& x, const AxisList& axes);
/// Adds `before` and `after` zeros along an axis.
Variable pad(const Variable& x, std::int64_t axis, std::int64_t before, std::int64_t after);
/// Cuts overlapping windows out of the last axis: [N, C, F, T] to [N, windows, C, F, size]. Windows
/// start every `step` steps; one that runs past the end is completed with zeros and is kept where
/// it holds at least one step that no earlier window has: 1 + max(0, ceil((T - size) / step))
/// windows.
Variable unfold(const Variable& x, std::int64_t size, std::int64_t step);

}  // namespace serenade
