#pragma once
// Gated recurrent unit (Cho et al. 2014); the formulas stand at gru() in autograd/functions.h.

#include "nn/layer.h"
#include "tensor/enum_names.h"

namespace serenade {

/// How many bias vectors each gate has. PyTorch and cuDNN keep two, whose sum is what counts in the
/// gates r and z; the parameter counts of the paper that this project follows need one.
enum class GruBias { one, two };
inline EnumNames<GruBias> enum_names(GruBias) {
  return {{GruBias::one, "one"}, {GruBias::two, "two"}};
}

/// x: [N, T, input_size]; result [N, T, H] or, bidirectional, [N, T, 2 H] with the forward half
/// first (H = hidden_size).
/// Parameters, gates stacked in the order r, z, n: weight_ih [3 H, input_size], Xavier uniform per
/// gate; weight_hh [3 H, H], orthogonal per gate; bias_ih [3 H] and, with GruBias::two, bias_hh
/// [3 H], zeros. The backward direction has its own, with the suffix _reverse.
class GRU : public Layer {
 public:
  struct Options {
    std::int64_t input_size = 0;
    std::int64_t hidden_size = 0;
    bool bidirectional = false;
    GruBias bias = GruBias::one;
    GruReset reset = GruReset::after;  ///< before: only with GruBias::one
  };

  explicit GRU(const Options& options);

  /// From a state of zeros, all sequences T steps long.
  Variable forward(const Variable& x) override { return forward(x, {}, {}); }
  /// h0: [directions, N, H] or undefined (zeros). lengths: one per sequence, 1 .. T, or empty (all
  /// T); outputs at and beyond a sequence's length are zero, and the backward direction starts at
  /// its last valid step.
  Variable forward(const Variable& x, const Variable& h0, const Indices& lengths = {});

  /// The final state of each direction out of forward()'s result: [N, directions * H], the forward
  /// state first.
  Variable last_state(const Variable& output, const Indices& lengths = {}) const;

  std::int64_t directions() const { return options.bidirectional ? 2 : 1; }

  const std::vector<GruWeights>& weights() const { return weights_; }  ///< forward, then backward

  const Options options;

 private:
  std::vector<GruWeights> weights_;
};

}  // namespace serenade
