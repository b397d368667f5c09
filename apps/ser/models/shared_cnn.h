#pragma once
// The convolutional part that both systems of the paper share (Wu et al., ICASSP 2022, Table 1),
// and its share of the search space.

#include <array>
#include <memory>

#include "apps/ser/models/recognizer.h"

namespace serenade::ser {

/// By how much the CNN pools frequency bins and frames.
inline constexpr std::int64_t kBinPooling = 32;  // 2 * 2 * 2 * 4
inline constexpr std::int64_t kStepPooling = 4;  // 2 * 2

/// The choices conv1 .. conv4 of a system named options.name; a system adds its own.
SearchSpace cnn_search_space(const RecognizerOptions& options);

///   spectrogram [N, 1, F, T]
///     conv1 1->8 and conv2 1->8 in parallel, concatenated; ReLU; max-pool 2x1
///     conv3 16->16; ReLU; max-pool 2x2
///     conv4 16->16; ReLU; max-pool 2x2; max-pool 4x1             [N, 16, F / 32, T / 4]
class SharedCnn : public Layer {
 public:
  static constexpr std::int64_t kChannels = 16;  ///< of the output

  SharedCnn(const RecognizerOptions& options, Builder& builder);

  /// An utterance shorter than one pooled step is brought to that length with zeros, the mean of
  /// normalised features.
  Variable forward(const Variable& x) override;
  /// Steps of the output, and multiply-accumulates, of an utterance of so many frames.
  static std::int64_t output_steps(std::int64_t frames);
  std::int64_t macs(std::int64_t frames) const;
  /// Frequency bins of the output.
  std::int64_t output_bins() const { return bins_ / kBinPooling; }

 private:
  std::int64_t bins_;
  std::unique_ptr<Layer> conv1_, conv2_, conv3_, conv4_;
};

}  // namespace serenade::ser
