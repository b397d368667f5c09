#include "nn/attention.h"

#include "nn/init.h"

namespace serenade {

AttentionPooling::AttentionPooling(const Options& chosen)
    : options(chosen),
      proj({.in_features = options.input_size, .out_features = options.channels}),
      top_down({.in_features = options.channels, .out_features = options.classes}) {
  register_module("proj", proj);
  // A Linear from C channels to one map, kept as a vector.
  const Tensor map = init::xavier_uniform({1, options.channels});
  bottom_up = register_parameter("bottom_up", map.reshape({options.channels}));
  register_module("top_down", top_down);
}

Variable AttentionPooling::forward(const Variable& h, const Indices& lengths) {
  return attention_pooling(h,
                           {.proj_weight = proj.weight,
                            .proj_bias = proj.bias,
                            .bottom_up = bottom_up,
                            .top_down_weight = top_down.weight,
                            .top_down_bias = top_down.bias},
                           {.relu = options.relu, .lengths = lengths});
}

}  // namespace serenade
