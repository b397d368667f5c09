#pragma once
// The number type of the whole library: float in the product; double in the second test build
// (SERENADE_DOUBLE), where the very same kernels, fast ones included, are checked against finite
// differences.

namespace serenade {

#ifdef SERENADE_DOUBLE
using real = double;
#else
using real = float;
#endif

}  // namespace serenade
