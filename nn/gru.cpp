#include "nn/gru.h"

#include <algorithm>

#include "nn/init.h"
#include "tensor/check.h"

namespace serenade {

GRU::GRU(const Options& chosen) : options(chosen) {
  const std::int64_t hidden = options.hidden_size;
  check(options.input_size > 0 && hidden > 0, "GRU",
        "input_size and hidden_size must be positive; got ", options.input_size, " and ", hidden);
  element_count({hidden, std::max(hidden, options.input_size)}, "GRU");
  check(options.reset == GruReset::after || options.bias == GruBias::one, "GRU",
        "reset 'before' must have one bias per gate; got two");
  constexpr std::int64_t kGates = 3;
  for (std::int64_t direction = 0; direction < directions(); ++direction) {
    const std::string suffix = direction == 0 ? "" : "_reverse";
    GruWeights w;
    w.weight_ih = register_parameter(
        "weight_ih" + suffix,
        init::xavier_uniform_blocks({kGates * hidden, options.input_size}, kGates));
    w.weight_hh = register_parameter("weight_hh" + suffix,
                                     init::orthogonal_blocks({kGates * hidden, hidden}, kGates));
    w.bias_ih = register_parameter("bias_ih" + suffix, init::zeros({kGates * hidden}));
    if (options.bias == GruBias::two) {
      w.bias_hh = register_parameter("bias_hh" + suffix, init::zeros({kGates * hidden}));
    }
    weights_.push_back(w);
  }
}

Variable GRU::forward(const Variable& x, const Variable& h0, const Indices& lengths) {
  return gru(x, weights_, h0, {.reset = options.reset, .lengths = lengths});
}

Variable GRU::last_state(const Variable& output, const Indices& lengths) const {
  const Variable states = gru_last_state(output, directions(), lengths);
  return reshape(permute(states, {1, 0, 2}), {output.size(0), directions() * options.hidden_size});
}

}  // namespace serenade
