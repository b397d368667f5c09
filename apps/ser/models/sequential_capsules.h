#pragma once
// The sequence of capsule layers that recognises emotion in speech (Wu et al., ICASSP 2019).

#include <array>

#include "nn/capsule.h"
#include "nn/layer.h"
#include "tensor/enum_names.h"

namespace serenade::ser {

/// Whether the utterance capsules add up their windows' votes or average them.
enum class UtteranceNorm {
  none,  ///< s_j = sum over windows: more windows, longer capsules
  mean   ///< votes divided by the number of windows: no dependence on the length of the utterance
};
inline EnumNames<UtteranceNorm> enum_names(UtteranceNorm) {
  return {{UtteranceNorm::none, "none"}, {UtteranceNorm::mean, "mean"}};
}

/// The sequence part of CNN_SeqCap (Wu et al., ICASSP 2019). x: [N, in_channels, bins, T], what the
/// convolutions made of a spectrogram; result [N, classes, utterance_dim]. Per sample:
///   1. windows of `window` steps every `shift` steps (unfold() in autograd/functions.h)
///   2. per window PrimaryCapsules, and a CapsuleLayer to `window_capsules` capsules
///   3. per window one vector o_t = [the capsules' values, their lengths]
///   4. one CapsuleLayer from the vectors o_t, shared by all windows, to the classes' capsules
/// Parameters: primary.*, window_caps.*, utterance_caps.* (see the two classes above).
class SequentialCapsules : public Layer {
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

  Variable forward(const Variable& x) override { return forward(x, Indices{}); }
  /// lengths: valid steps of each sample, 1 .. T, or empty (all T). A padded batch gives the same
  /// capsules as its samples alone: steps beyond the length count as zero, and windows beyond the
  /// last one that the sample would have by itself are masked.
  Variable forward(const Variable& x, const Indices& lengths);

  /// Windows that a sample of `steps` steps has.
  std::int64_t window_count(std::int64_t steps) const;

  /// Multiply-accumulates of a sample of so many steps: the convolution, the votes, and for every
  /// iteration of the routing the weighted sum of the votes and, but for the last, the agreement.
  std::int64_t macs(std::int64_t steps) const;

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

}  // namespace serenade::ser
