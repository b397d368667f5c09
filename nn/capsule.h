#pragma once
// Capsule layers (Sabour, Frosst & Hinton 2017) and the sequence of them that recognises emotion in
// speech (Wu et al., ICASSP 2019). A capsule is a small vector: its direction says how a thing
// looks, its length, below 1, how sure the network is that the thing is there.

#include <array>

#include "autograd/functions.h"
#include "nn/conv.h"
#include "nn/module.h"

namespace serenade {

/// Capsules straight from an image: one strided 'same' convolution, cut into vectors, squashed.
/// x: [N, in_channels, F, T]; result [N, types * F' * T', dim], F' = ceil(F / stride[0]) and
/// T' = ceil(T / stride[1]). Channel type * dim + component of the convolution is component
/// `component` of type `type`; capsule index = (type, bin, step), row-major.
/// Parameters: weight [types * dim, in_channels, KH, KW], Xavier uniform; bias [types * dim],
/// zeros.
class PrimaryCapsules : public Module {
 public:
  struct Options {
    std::int64_t in_channels = 0;
    std::int64_t types = 8;
    std::int64_t dim = 8;
    std::array<std::int64_t, 2> kernel_size = {5, 5};
    std::array<std::int64_t, 2> stride = {4, 2};
  };

  explicit PrimaryCapsules(const Options& options);
  Variable forward(const Variable& x) const;

  /// How many capsules an image of F bins and T steps gives.
  std::int64_t capsule_count(std::int64_t bins, std::int64_t steps) const;

  const Options options;
  Variable weight;
  Variable bias;

 private:
  Variable convolve(const Variable& x) const;
};

/// Votes and dynamic routing: u_hat_ij = u_i W_ij, then routing by agreement (capsule_routing() in
/// autograd/functions.h). u: [N, in_capsules, in_dim]; result [N, out_capsules, out_dim].
/// Parameters: weight [in_capsules, out_capsules, in_dim, out_dim], Xavier uniform per matrix; bias
/// [out_capsules, out_dim], zeros. With `shared` the weight is [1, out_capsules, in_dim, out_dim],
/// the same for every input capsule, of which there may then be any number.
class CapsuleLayer : public Module {
 public:
  struct Options {
    std::int64_t in_capsules = 0;  ///< not read with `shared`
    std::int64_t out_capsules = 0;
    std::int64_t in_dim = 0;
    std::int64_t out_dim = 0;
    int iterations = 3;
    RoutingGradient gradient = RoutingGradient::full;
    bool shared = false;
    bool bias = true;
    double gain = 1;  ///< of the initial weights
  };

  explicit CapsuleLayer(const Options& options);

  /// lengths: one per sample, or empty; input capsules at and beyond it take no part.
  Variable forward(const Variable& u, const Indices& lengths = {}) const;

  const Options options;
  Variable weight;
  Variable bias;  ///< undefined without bias
};

/// Whether the utterance capsules add up their windows' votes or average them.
enum class UtteranceNorm {
  none,  ///< s_j = sum over windows: more windows, longer capsules
  mean   ///< votes divided by the number of windows: no dependence on the length of the utterance
};

/// The sequence part of CNN_SeqCap (Wu et al., ICASSP 2019). x: [N, in_channels, bins, T], what the
/// convolutions made of a spectrogram; result [N, classes, utterance_dim]. Per sample:
///   1. windows of `window` steps every `shift` steps (unfold() in autograd/functions.h)
///   2. per window PrimaryCapsules, and a CapsuleLayer to `window_capsules` capsules
///   3. per window one vector o_t = [the capsules' values, their lengths]
///   4. one CapsuleLayer from the vectors o_t, shared by all windows, to the classes' capsules
/// Parameters: primary.*, window_caps.*, utterance_caps.* (see the two classes above).
class SequentialCapsules : public Module {
 public:
  struct Options {
    std::int64_t in_channels = 16;
    std::int64_t bins = 0;  ///< frequency axis of the input
    std::int64_t window = 10;
    std::int64_t shift = 5;
    std::int64_t types = 8;
    std::int64_t primary_dim = 8;
    std::array<std::int64_t, 2> kernel_size = {5, 5};
    std::array<std::int64_t, 2> stride = {4, 2};
    std::int64_t window_capsules = 8;
    std::int64_t window_dim = 8;
    std::int64_t classes = 4;
    std::int64_t utterance_dim = 16;
    int iterations = 3;
    RoutingGradient gradient = RoutingGradient::full;
    UtteranceNorm utterance_norm = UtteranceNorm::none;
    double vote_gain = 1;  ///< of the initial vote weights of both layers
  };

  explicit SequentialCapsules(const Options& options);

  /// lengths: valid steps of each sample, 1 .. T, or empty (all T). A padded batch gives the same
  /// capsules as its samples alone: steps beyond the length count as zero, and windows beyond the
  /// last one that the sample would have by itself are masked.
  Variable forward(const Variable& x, const Indices& lengths = {});

  /// Windows that a sample of `steps` steps has.
  std::int64_t window_count(std::int64_t steps) const;

  /// Mean length of the capsules of the last forward, to be logged: near 0, capsules have vanished
  /// and gradients with them. 0 before the first forward.
  double mean_window_norm() const;
  double mean_utterance_norm() const;

  const Options options;
  PrimaryCapsules primary;
  CapsuleLayer window_caps;
  CapsuleLayer utterance_caps;

 private:
  Variable window_vectors(const Variable& x);
  Variable scaled_by_count(const Variable& vectors, const Indices& counts) const;

  Tensor last_window_capsules_;     // [N, windows, window_capsules, window_dim]
  Tensor last_utterance_capsules_;  // [N, classes, utterance_dim]
  Indices last_counts_;             // windows of each sample
};

}  // namespace serenade
