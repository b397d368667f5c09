#pragma once
// Inputs that need not be there, as kernels take them: null where they are not.

#include "autograd/engine.h"
#include "autograd/variable.h"

namespace serenade {

inline Tensor contiguous_or_none(const Variable& x) {
  return x.defined() ? x.value().contiguous() : Tensor();
}

inline const real* pointer_or_null(const Tensor& x) { return x.defined() ? x.data() : nullptr; }

/// Where to add the gradient of input i, or null.
inline real* wanted(Gradients& d, std::size_t i) { return d.wants(i) ? d[i].data() : nullptr; }

}  // namespace serenade
