#include "nn/linear.h"

#include "nn/init.h"
#include "tensor/check.h"

namespace serenade {

Linear::Linear(const Options& chosen) : options(chosen) {
  check(options.in_features > 0 && options.out_features > 0, "Linear",
        "in_features and out_features must be positive; got ", options.in_features, " and ",
        options.out_features);
  weight = register_parameter("weight",
                              init::xavier_uniform({options.out_features, options.in_features}));
  if (options.bias) bias = register_parameter("bias", init::zeros({options.out_features}));
}

Variable Linear::forward(const Variable& x) { return linear(x, weight, bias); }

std::optional<LinearForm> Linear::linear_form() {
  return LinearForm{.weight = weight, .bias = bias};
}

}  // namespace serenade
