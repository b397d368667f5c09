#pragma once
// What the functions of sequences check of their inputs.

#include "autograd/functions/indices.h"
#include "autograd/variable.h"
#include "tensor/check.h"

namespace serenade {

/// Lengths are one per sequence, 1 .. steps, or none.
inline void check_lengths(const char* op, const Indices& lengths, std::int64_t batch,
                          std::int64_t steps) {
  if (lengths.empty()) return;
  check(static_cast<std::int64_t>(lengths.size()) == batch, op,
        "lengths must be one per sequence, ", batch, "; got ", lengths.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    check(lengths[i] >= 1 && lengths[i] <= steps, op, "lengths must be in 1 .. ", steps, "; got ",
          lengths[i], " for sequence ", i);
  }
}

inline void check_shape(const char* op, const char* what, const Variable& v, const Shape& shape) {
  check(v.defined(), op, what, " must have shape ", shape, "; got none");
  check(v.shape() == shape, op, what, " must have shape ", shape, "; got ", v.shape());
}

inline const std::int64_t* lengths_or_null(const Indices& lengths) {
  return lengths.empty() ? nullptr : lengths.data();
}

}  // namespace serenade
