#pragma once
// Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000) and the plain recurrent
// layer (Elman 1990), in one or several layers; the formulas stand at lstm() and rnn() in
// autograd/functions/lstm.h.

#include <functional>
#include <string>
#include <vector>

#include "autograd/functions/lstm.h"
#include "nn/dropout.h"
#include "nn/layer.h"

namespace serenade {

/// What LSTM and RNN have in common: the weights of all layers, and how layers follow each other.
///
/// H = hidden_size, G = gates; layer l reads the output of layer l - 1, with dropout in between.
/// Parameters: weight_ih [G H, inputs of the layer], Xavier uniform per gate; weight_hh [G H, H],
/// orthogonal per gate; bias_ih and bias_hh [G H], zeros. The backward direction has its own, with
/// the suffix _reverse. These are the names of the first layer. Those of the second are
/// weight_ih_l1, weight_ih_l1_reverse and so on, as in PyTorch, of the third weight_ih_l2.
class RecurrentStack : public Layer {
 public:
  std::int64_t directions() const { return weights_[0].size() == 2 ? 2 : 1; }

  /// Per layer: forward, then backward.
  const std::vector<std::vector<RecurrentWeights>>& weights() const { return weights_; }

 protected:
  struct Sizes {
    const char* op;
    std::int64_t gates, input_size, hidden_size, num_layers;
    bool bidirectional, bias;
    double dropout;
  };
  template <class Options>
  static Sizes sizes_of(const char* op, std::int64_t gates, const Options& options);

  using OneLayer = std::function<LstmResult(
      const Variable& x, const std::vector<RecurrentWeights>& weights, const LstmState& start)>;

  explicit RecurrentStack(const Sizes& sizes);

  /// start and the result's last state: [layers * directions, N, H], those of a layer neighbours.
  LstmResult run(const Variable& x, const LstmState& start, const OneLayer& one);

 private:
  void add_weights(const Sizes& sizes, std::int64_t layer);

  const char* op_;
  std::vector<std::vector<RecurrentWeights>> weights_;
  Dropout dropout_;
};

/// x: [N, T, input_size]; result [N, T, H] or, bidirectional, [N, T, 2 H] with the forward half
/// first. Parameters: RecurrentStack, with 4 gates in the order i, f, g, o.
class LSTM : public RecurrentStack {
 public:
  struct Options {
    std::int64_t input_size = 0;
    std::int64_t hidden_size = 0;
    std::int64_t num_layers = 1;
    bool bidirectional = false;
    bool bias = true;
    double dropout = 0;  ///< between layers, in training
    /// Added to the forget gates through bias_ih, as a start: 1 lets a new network remember
    /// (Gers et al. 2000; Jozefowicz et al. 2015). 0 as in PyTorch.
    double forget_bias = 0;
  };

  explicit LSTM(const Options& options);

  /// From a state of zeros, all sequences T steps long.
  Variable forward(const Variable& x) override { return forward(x, {}, {}).output; }
  /// start: [layers * directions, N, H] each, or undefined (zeros). lengths: one per sequence,
  /// 1 .. T, or empty (all T); outputs at and beyond a sequence's length are zero, and the backward
  /// direction starts at its last valid step. The last state of the result has the shape of start.
  LstmResult forward(const Variable& x, const LstmState& start, const Indices& lengths = {});

  const Options options;
};

/// x: [N, T, input_size]; result [N, T, H] or, bidirectional, [N, T, 2 H] with the forward half
/// first. Parameters: RecurrentStack, with one gate.
class RNN : public RecurrentStack {
 public:
  struct Options {
    std::int64_t input_size = 0;
    std::int64_t hidden_size = 0;
    std::int64_t num_layers = 1;
    RnnNonlinearity nonlinearity = RnnNonlinearity::tanh;
    bool bidirectional = false;
    bool bias = true;
    double dropout = 0;  ///< between layers, in training
  };

  explicit RNN(const Options& options);

  /// From a state of zeros, all sequences T steps long.
  Variable forward(const Variable& x) override { return forward(x, {}, {}).output; }
  /// h0: [layers * directions, N, H] or undefined (zeros); lengths and result: as of LSTM.
  RnnResult forward(const Variable& x, const Variable& h0, const Indices& lengths = {});

  const Options options;
};

}  // namespace serenade
