#pragma once
// Scores of a network before it is trained, for the price of a step or less (Abdelfattah, Mehrotra,
// Dudziak & Lane, "Zero-cost proxies for lightweight NAS", ICLR 2021). Higher is said to be better;
// how much they say about a space is to be measured there, by rank correlation with trainings.
//
// Traps. A score that is mostly the size of a network ranks by size: compare with macs(). All are
// of the network in evaluation mode, which the caller sets: dropout would be part of the score.

#include <cstdint>
#include <functional>
#include <vector>

#include "autograd/variable.h"
#include "nas/strategy.h"
#include "nn/layer.h"
#include "nn/module.h"
#include "tensor/tensor.h"

namespace serenade {

/// Multiplications of one example in a layer that is linear in its weights, for an input x:
/// [N, in, H, W] of a convolution, [N, .., in] of a dense layer. A bias has none.
std::int64_t macs(const LinearForm& layer, const Variable& x);

/// sum over the parameters W of |dL / dW|_2 (grad_norm there). No .grad changes.
double gradient_norm(const Module& network, const LossFunction& loss);

/// How well ReLUs tell the examples of a batch apart: log det K, K_ij = the number of units that
/// are on for both of the examples i and j, or off for both (Mellor, Turner, Storkey & Crowley,
/// "Neural architecture search without training", ICML 2021). activations: what ReLUs return,
/// [N, ..] each. -infinity where two examples have the same code. Throws std::invalid_argument
/// where there are none, or they are of different N.
double naswot(const std::vector<Tensor>& activations);

/// Synaptic flow (Tanaka, Kunin, Yamins & Ganguli, NeurIPS 2020): with |W| in place of every
/// weight, without biases, and an input of ones, R is the sum of the outputs, and the score is the
/// sum of W dR/dW over all weights.
struct Synflow {
  double log_score = 0;       ///< natural logarithm; -infinity where nothing flows
  std::vector<double> flows;  ///< per parameter, sum of W dR/dW, up to one factor for all of them
};

/// forward: the output for an input of ones. Biases are the parameters with "bias" in their names.
/// The parameters are changed for the time of the call, and come back as they were.
///
/// R of a deep network overflows (factors of a hundred per layer are usual). So each weight is
/// divided by the largest sum of one of its rows, after which no output exceeds the largest input,
/// and the logarithms of these divisors are added to the result. That is exact where every way
/// through the network meets every weight once, as in a sequence of convolutions, ReLUs, pooling
/// and dense layers; give the part of a network that is one.
Synflow synflow(const Module& network, const std::function<Variable()>& forward);

}  // namespace serenade
