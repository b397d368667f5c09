#pragma once
// Shapes and strides. A shape lists sizes, outermost axis first; strides count elements.

#include <cstdint>
#include <string>
#include <vector>

namespace serenade {

using Shape = std::vector<std::int64_t>;
using Strides = std::vector<std::int64_t>;

/// No tensor has more elements, zero sizes taken as 1. So what is computed of counts (bytes,
/// offsets, the sum of two) fits 64 bits, and so does the product of any of a shape's sizes.
inline constexpr std::int64_t kMaxElements = std::int64_t{1} << 58;

/// Number of elements: the product of the sizes; 1 for a scalar (empty shape). The one place where
/// sizes from outside are multiplied: throws std::invalid_argument naming `op` where a size is
/// negative or the product is beyond kMaxElements.
std::int64_t element_count(const Shape& shape, const char* op = "tensor");

/// Strides of a row-major array of this shape.
Strides row_major_strides(const Shape& shape);

/// "[2, 3, 4]"; a scalar prints "[]".
std::string to_string(const Shape& shape);

/// The shape that a and b broadcast to by NumPy's rule: aligned at the last axis, each pair of
/// sizes equal or one of them 1. Throws std::invalid_argument naming `op` and both shapes, or as
/// element_count() does.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

/// Turns a possibly negative axis (-1 = last) into 0 .. dims-1; throws naming `op`.
std::int64_t normalized_axis(const char* op, std::int64_t axis, std::int64_t dims);

}  // namespace serenade
