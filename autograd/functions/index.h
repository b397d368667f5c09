#pragma once
// Elements chosen by number. Conventions: autograd/functions.h.

#include <cstdint>
#include <optional>

#include "autograd/functions/indices.h"
#include "autograd/variable.h"

namespace serenade {

//
// Indices lie in host memory, row-major where they belong to a shape, in 0 .. size of the axis - 1.

/// Slices indices[0], indices[1], .. of an axis: rows of an embedding, an order, a subset.
Variable index_select(const Variable& x, std::int64_t axis, const Indices& indices);
/// Rows of a table [entries, D], one for each index: [shape, D], as many indices as `shape` has
/// elements; [indices, D] without a shape. The row of padding_index gets no gradient.
Variable embedding(const Variable& table, const Indices& indices, const Shape& shape = {},
                   std::optional<std::int64_t> padding_index = {});
/// y[.., k, ..] = x[.., indices[.., k, ..], ..]. shape: of the indices and of y; that of x but for
/// the axis.
Variable gather(const Variable& x, std::int64_t axis, const Indices& indices, const Shape& shape);
/// x, with source[.., k, ..] added at [.., indices[.., k, ..], ..], in the order of k. One index
/// for each element of source, whose shape is that of x but for the axis.
Variable scatter_add(const Variable& x, std::int64_t axis, const Indices& indices,
                     const Variable& source);
struct TopK {
  Variable values;
  Indices indices;  ///< one for each of the values, row-major
};
/// The k largest along an axis, the largest first, the earlier first on ties; NaN counts as the
/// largest.
TopK topk(const Variable& x, std::int64_t k, std::int64_t axis = -1);

/// [N, classes]: 1 at each index, 0 elsewhere.
Tensor one_hot(const Indices& indices, std::int64_t classes);
/// [rows, columns]: 1 at (i, j) where j - i <= diagonal (tril), or >= diagonal (triu), else 0.
Tensor tril_mask(std::int64_t rows, std::int64_t columns, std::int64_t diagonal = 0);
Tensor triu_mask(std::int64_t rows, std::int64_t columns, std::int64_t diagonal = 0);

}  // namespace serenade
