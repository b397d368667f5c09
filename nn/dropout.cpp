#include "nn/dropout.h"

#include "tensor/check.h"

namespace serenade {

Dropout::Dropout(const Options& chosen) : options(chosen) {
  check(options.p >= 0 && options.p < 1, "Dropout", "p must be in [0, 1); got ", options.p);
}

Variable Dropout::forward(const Variable& x) {
  if (!training() || options.p == 0) return x;
  return dropout(x, options.p, next_default_key(Purpose::dropout));
}

Variable Dropout::forward(const Variable& x, const RandomKey& key) {
  if (!training() || options.p == 0) return x;
  return dropout(x, options.p, key);
}

}  // namespace serenade
