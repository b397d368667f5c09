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

Variable DropPath::operator()(const Variable& x) {
  check(p >= 0 && p < 1, "DropPath", "p must be 0 <= p < 1; got ", p);
  if (p == 0) return x;
  Shape shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  Tensor factors(shape);
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    const bool stays = uniform(key, drawn++) >= p;
    factors.data()[n] = stays ? static_cast<real>(1 / (1 - p)) : real(0);
  }
  return mul(x, factors.to(x.device()));
}

}  // namespace serenade
