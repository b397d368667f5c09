#pragma once
// From spectrograms of recordings to batches: normalisation, two-second segments, whole utterances.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/ser/common/enum_setting.h"
#include "apps/ser/features/feature_cache.h"
#include "tensor/tensor.h"

namespace serenade::ser {

/// Over what the mean and the stddev are taken: each bin of the training recordings; all their
/// bins together; or each bin of the recording itself. utterance_mean: the mean of each bin of the
/// recording itself, and the stddev of the training recordings about such means. Subtracting the
/// mean of logarithms takes away a recording's level, and the channel it came through (cepstral
/// mean subtraction; Atal, JASA 1974), but not how much a bin varies, as per_utterance does.
enum class NormalisationKind { per_bin, global, per_utterance, utterance_mean };

inline EnumNames<NormalisationKind> enum_names(NormalisationKind) {
  return {{NormalisationKind::per_bin, "per_bin"},
          {NormalisationKind::global, "global"},
          {NormalisationKind::per_utterance, "per_utterance"},
          {NormalisationKind::utterance_mean, "utterance_mean"}};
}

/// x -> (x - mean[f]) / stddev[f]. A bin that never changes gets stddev 1, hence zeros.
struct Normalisation {
  NormalisationKind kind = NormalisationKind::per_bin;
  std::vector<float> mean;    ///< [bins]; empty for per_utterance, zeros for utterance_mean
  std::vector<float> stddev;  ///< [bins]; empty for per_utterance
};

/// Statistics over the given recordings: pass those of the training speakers only. The moments of
/// each row of each spectrogram are merged in the order given: the same bits for any number of
/// threads. Throws std::invalid_argument when there is no recording.
Normalisation fit_normalisation(const std::vector<Features>& features,
                                const std::vector<std::int64_t>& recordings,
                                NormalisationKind kind = NormalisationKind::per_bin);

/// Frames [start, start + frames) of a recording.
struct Segment {
  std::int64_t recording = 0;
  std::int64_t start = 0;
  std::int64_t frames = 0;  ///< real ones; the rest of the segment is padding
};

struct SegmentOptions {
  std::int64_t length = 200;  ///< frames: 2 seconds
  std::int64_t minimum = 50;  ///< a shorter tail is dropped, unless it is all there is
};

/// Cuts a recording into segments that do not overlap.
std::vector<Segment> cut_segments(std::int64_t recording, std::int64_t frames,
                                  const SegmentOptions& options = {});

/// What a batch is made of.
struct BatchPlan {
  std::vector<Segment> pieces;  ///< one per example
  std::int64_t length = 0;      ///< frames of the batch: at least those of each piece
  /// Of each piece, a factor on the samples of its recording; empty: as recorded.
  std::vector<float> gains = {};
};

struct Batch {
  Tensor input;                      ///< [N, 1, F, T]
  std::vector<std::int64_t> labels;  ///< [N]
};

/// A set of recordings ready for training or evaluation. Indices of recordings are those of the
/// vectors given to the constructor, whichever subset the set holds.
class Dataset {
 public:
  /// features, labels: of all recordings of the corpus (handles are shared, nothing is copied).
  /// recordings: those that belong to this set.
  Dataset(std::vector<Features> features, std::vector<int> labels,
          std::vector<std::int64_t> recordings, Normalisation normalisation,
          SegmentOptions options = {});

  const std::vector<std::int64_t>& recordings() const { return recordings_; }
  const std::vector<Segment>& segments() const { return segments_; }
  std::int64_t segment_count() const { return static_cast<std::int64_t>(segments_.size()); }
  std::int64_t bins() const { return bins_; }
  int label(std::int64_t recording) const { return labels_.at(recording); }
  std::int64_t frames(std::int64_t recording) const { return features_.at(recording).frames; }

  /// From here on plan_training() draws gains of at most so many decibels up or down. settings: of
  /// the features, which must be float32 in host memory, of a kind whose level can be changed
  /// (features/level_change.h). The normalisation stays that of the recordings as they are.
  void augment_gain(double decibels, const FeatureSettings& settings);

  /// The order of the segments in one epoch: a pure function of seed and epoch.
  std::vector<std::int64_t> epoch_order(std::uint64_t seed, std::uint64_t epoch) const;

  /// Where the spectrograms are and batches are made, and how their values are stored.
  Device device() const { return features_[recordings_.front()].device; }
  SpectrogramFormat format() const { return features_[recordings_.front()].format; }

  /// Segments by their indices, and whole recordings of one and the same length.
  BatchPlan plan_segments(const std::vector<std::int64_t>& segments) const;
  /// plan_segments(), after augment_gain() with a gain for each recording, uniform in decibels: a
  /// pure function of seed, epoch and recording.
  BatchPlan plan_training(const std::vector<std::int64_t>& segments, std::uint64_t seed,
                          std::uint64_t epoch) const;
  BatchPlan plan_utterances(const std::vector<std::int64_t>& recordings) const;

  /// The pieces, normalised, then padded with zeros: [N, 1, F, length], on device().
  Batch gather(const BatchPlan& plan) const;

  Batch make_batch(const std::vector<std::int64_t>& segments) const;
  Batch utterance(std::int64_t recording) const { return utterances({recording}); }
  Batch utterances(const std::vector<std::int64_t>& recordings) const;

  /// For batches on another device than the spectrograms' (batch_queue.h): the frames of a plan's
  /// pieces alone, one [F, frames] after the other, as stored but for gains. pack() is for those in
  /// host memory, gather_packed() for the same bytes on the device of `statistics`, a copy of
  /// statistics(). The batch has the bits of gather().
  std::size_t packed_bytes(const BatchPlan& plan) const;
  void pack(const BatchPlan& plan, void* packed, int threads) const;
  Batch gather_packed(const BatchPlan& plan, const void* packed, const Tensor& statistics) const;

  /// Mean and 1 / stddev of every row, [1 or recordings, 2, F], on device().
  const Tensor& statistics() const { return statistics_; }

  /// The set's recordings in groups of equal length, each of at most `max_batch` recordings and
  /// (unless it is a single one) `max_frames` frames in all; every recording once.
  std::vector<std::vector<std::int64_t>> equal_length_groups(std::int64_t max_batch = 16,
                                                             std::int64_t max_frames = 4096) const;

 private:
  void set_statistics(const Normalisation& normalisation);
  const Features& spectrogram_of(const Segment& piece, std::int64_t length) const;
  Batch gather(const BatchPlan& plan, const Tensor& statistics, const void* packed) const;

  std::vector<Features> features_;
  std::vector<int> labels_;
  std::vector<std::int64_t> recordings_;
  SegmentOptions options_;
  std::vector<Segment> segments_;
  std::int64_t bins_ = 0;
  double gain_decibels_ = 0;       // the largest; 0: none is drawn
  FeatureSettings gain_settings_;  // of the features, where gains are drawn
  Tensor statistics_;
  std::vector<std::int64_t> own_statistics_;  // of each recording, where it has its own; else empty
};

}  // namespace serenade::ser
