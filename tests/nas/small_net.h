#pragma once
// A network of two choices, a layer and a width, for tests.

#include <memory>

#include "autograd/functions.h"
#include "nas/builder.h"
#include "nn/linear.h"

namespace serenade {

/// Convolution, dense layer of the chosen width, and one that reads that width.
struct SmallNet : Module {
  std::unique_ptr<Layer> conv, dense;
  Linear out;

  explicit SmallNet(Builder& builder)
      : conv(builder.choose("conv", {.in_channels = 1, .out_channels = 2})),
        dense(builder.choose("dense", {.in_channels = 2 * 3 * 4})),
        out({.in_features = builder.width("dense"), .out_features = 3}) {
    register_module("conv", *conv);
    register_module("dense", *dense);
    register_module("out", out);
  }

  // x: [N, 1, 3, 4].
  Variable forward(const Variable& x) {
    return out.forward(relu(dense->forward(flatten(relu(conv->forward(x)), 1))));
  }
};

}  // namespace serenade
