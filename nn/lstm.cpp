#include "nn/lstm.h"

#include <algorithm>

#include "nn/init.h"
#include "tensor/check.h"

namespace serenade {

template <class Options>
RecurrentStack::Sizes RecurrentStack::sizes_of(const char* op, std::int64_t gates,
                                               const Options& options) {
  return {.op = op,
          .gates = gates,
          .input_size = options.input_size,
          .hidden_size = options.hidden_size,
          .num_layers = options.num_layers,
          .bidirectional = options.bidirectional,
          .bias = options.bias,
          .dropout = options.dropout};
}

RecurrentStack::RecurrentStack(const Sizes& sizes) : op_(sizes.op), dropout_({.p = sizes.dropout}) {
  const std::int64_t H = sizes.hidden_size;
  check(sizes.input_size > 0 && H > 0 && sizes.num_layers > 0, op_,
        "input_size, hidden_size and num_layers must be positive; got ", sizes.input_size, ", ", H,
        " and ", sizes.num_layers);
  element_count({sizes.gates, H, std::max(2 * H, sizes.input_size)}, op_);
  for (std::int64_t layer = 0; layer < sizes.num_layers; ++layer) add_weights(sizes, layer);
  register_module("dropout", dropout_);  // has no parameters, but a training mode
}

void RecurrentStack::add_weights(const Sizes& sizes, std::int64_t layer) {
  const std::int64_t directions = sizes.bidirectional ? 2 : 1,
                     rows = sizes.gates * sizes.hidden_size;
  const std::int64_t inputs = layer == 0 ? sizes.input_size : directions * sizes.hidden_size;
  weights_.emplace_back();
  for (std::int64_t direction = 0; direction < directions; ++direction) {
    const std::string suffix =
        (layer == 0 ? "" : "_l" + std::to_string(layer)) + (direction == 0 ? "" : "_reverse");
    RecurrentWeights w;
    w.weight_ih = register_parameter("weight_ih" + suffix,
                                     init::xavier_uniform_blocks({rows, inputs}, sizes.gates));
    w.weight_hh = register_parameter(
        "weight_hh" + suffix, init::orthogonal_blocks({rows, sizes.hidden_size}, sizes.gates));
    if (sizes.bias) {
      w.bias_ih = register_parameter("bias_ih" + suffix, init::zeros({rows}));
      w.bias_hh = register_parameter("bias_hh" + suffix, init::zeros({rows}));
    }
    weights_.back().push_back(w);
  }
}

LstmResult RecurrentStack::run(const Variable& x, const LstmState& start, const OneLayer& one) {
  const auto layers = static_cast<std::int64_t>(weights_.size());
  if (layers == 1) return one(x, weights_[0], start);
  const std::int64_t states = layers * directions();
  for (const auto& [name, state] : {std::pair("h0", start.h), std::pair("c0", start.c)}) {
    if (!state.defined()) continue;
    check(state.dim() == 3 && state.size(0) == states, op_, name, " must be [", states,
          ", N, H], layers times directions; got ", state.shape());
  }
  LstmResult result{x, {}};
  std::vector<Variable> last_h, last_c;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const auto own = [&](const Variable& all) {
      return all.defined() ? slice(all, 0, layer * directions(), directions()) : Variable();
    };
    const Variable input = layer == 0 ? x : dropout_.forward(result.output);
    result = one(input, weights_[layer], {own(start.h), own(start.c)});
    last_h.push_back(result.last.h);
    if (result.last.c.defined()) last_c.push_back(result.last.c);
  }
  result.last.h = concat(last_h, 0);
  if (!last_c.empty()) result.last.c = concat(last_c, 0);
  return result;
}

LSTM::LSTM(const Options& chosen) : RecurrentStack(sizes_of("LSTM", 4, chosen)), options(chosen) {
  check(options.bias || options.forget_bias == 0, "LSTM",
        "forget_bias must be 0 without biases; got ", options.forget_bias);
  if (options.forget_bias == 0) return;
  const std::int64_t H = options.hidden_size;
  for (const std::vector<RecurrentWeights>& layer : weights()) {
    for (RecurrentWeights w : layer) {
      w.bias_ih.value().slice(0, H, H).fill_(static_cast<real>(options.forget_bias));
    }
  }
}

LstmResult LSTM::forward(const Variable& x, const LstmState& start, const Indices& lengths) {
  return run(x, start,
             [&lengths](const Variable& input, const std::vector<RecurrentWeights>& directions,
                        const LstmState& own) {
               return lstm(input, directions, own, {.lengths = lengths});
             });
}

RNN::RNN(const Options& chosen) : RecurrentStack(sizes_of("RNN", 1, chosen)), options(chosen) {}

RnnResult RNN::forward(const Variable& x, const Variable& h0, const Indices& lengths) {
  const LstmResult result =
      run(x, {h0, {}},
          [this, &lengths](const Variable& input, const std::vector<RecurrentWeights>& directions,
                           const LstmState& own) {
            const RnnResult one = rnn(input, directions, own.h,
                                      {.nonlinearity = options.nonlinearity, .lengths = lengths});
            return LstmResult{one.output, {one.last, {}}};
          });
  return {result.output, result.last.h};
}

}  // namespace serenade
