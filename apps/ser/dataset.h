#pragma once
// From pictures of recordings to batches: normalisation, two-second segments, whole utterances.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/ser/feature_cache.h"
#include "tensor/tensor.h"

namespace serenade::ser {

/// Over what the mean and the deviation are taken: each bin of the training recordings; all their
/// bins together; or each bin of the recording itself.
enum class NormalisationKind { per_bin, global, per_utterance };

std::string to_string(NormalisationKind kind);
NormalisationKind normalisation_kind(const std::string& word);  ///< throws InputError

/// x -> (x - mean[f]) / deviation[f]. A bin that never changes gets deviation 1, hence zeros.
struct Normalisation {
  NormalisationKind kind = NormalisationKind::per_bin;
  std::vector<float> mean;       ///< [bins]; empty for per_utterance
  std::vector<float> deviation;  ///< [bins]; empty for per_utterance
};

/// Statistics over the given recordings: pass those of the training speakers only. One sweep; the
/// same bits for any number of threads. Throws std::invalid_argument when there is no recording.
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

  /// The order of the segments in one epoch: a pure function of seed and epoch.
  std::vector<std::int64_t> epoch_order(std::uint64_t seed, std::uint64_t epoch) const;

  /// Segments by their indices, normalised, then padded with zeros: [N, 1, F, length].
  Batch make_batch(const std::vector<std::int64_t>& segments) const;

  /// One whole recording, normalised: [1, 1, F, T].
  Batch utterance(std::int64_t recording) const;

  /// Whole recordings of one and the same length: [N, 1, F, T].
  Batch utterances(const std::vector<std::int64_t>& recordings) const;

  /// The set's recordings in groups of equal length, each of at most `max_batch` recordings and
  /// (unless it is a single one) `max_frames` frames in all; every recording once.
  std::vector<std::vector<std::int64_t>> equal_length_groups(std::int64_t max_batch = 16,
                                                             std::int64_t max_frames = 4096) const;

 private:
  void copy_normalised(std::int64_t recording, std::int64_t start, std::int64_t frames,
                       std::int64_t row_length, float* out) const;

  std::vector<Features> features_;
  std::vector<int> labels_;
  std::vector<std::int64_t> recordings_;
  Normalisation normalisation_;
  SegmentOptions options_;
  std::vector<Segment> segments_;
  std::int64_t bins_ = 0;
};

}  // namespace serenade::ser
