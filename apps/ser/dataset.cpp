// Normalisation, segments and batches.

#include "apps/ser/dataset.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "apps/ser/error.h"
#include "apps/ser/parallel.h"
#include "tensor/check.h"
#include "tensor/random.h"

namespace serenade::ser {

namespace {

// Below this a bin is constant: dividing by its rounding noise would only make it loud.
constexpr double kSmallestDeviation = 1e-5;

// Count, mean and sum of squared distances of a set of numbers, in double. Two sets merge by the
// formula of Chan, Golub and LeVeque (1983), which does not cancel as sum x^2 - (sum x)^2 does.
struct Moments {
  double count = 0, mean = 0, squares = 0;

  static Moments of(const float* values, std::int64_t count) {
    Moments moments;
    moments.count = static_cast<double>(count);
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += values[i];
    moments.mean = sum / moments.count;
    for (std::int64_t i = 0; i < count; ++i) {
      const double distance = values[i] - moments.mean;
      moments.squares += distance * distance;
    }
    return moments;
  }

  void merge(const Moments& other) {
    const double all = count + other.count;
    const double distance = other.mean - mean;
    squares += other.squares + distance * distance * count * other.count / all;
    mean += distance * other.count / all;
    count = all;
  }

  float deviation() const {
    const double value = std::sqrt(squares / count);
    return value < kSmallestDeviation ? 1.0f : static_cast<float>(value);
  }
};

const std::vector<std::pair<std::string, NormalisationKind>>& kind_words() {
  static const std::vector<std::pair<std::string, NormalisationKind>> words = {
      {"per_bin", NormalisationKind::per_bin},
      {"global", NormalisationKind::global},
      {"per_utterance", NormalisationKind::per_utterance}};
  return words;
}

}  // namespace

std::string to_string(NormalisationKind kind) {
  for (const auto& [word, value] : kind_words()) {
    if (value == kind) return word;
  }
  return "?";
}

NormalisationKind normalisation_kind(const std::string& word) {
  for (const auto& [name, value] : kind_words()) {
    if (name == word) return value;
  }
  throw InputError("unknown normalisation \"" + word +
                   "\"; choose one of per_bin, global, per_utterance");
}

Normalisation fit_normalisation(const std::vector<Features>& features,
                                const std::vector<std::int64_t>& recordings,
                                NormalisationKind kind) {
  check(!recordings.empty(), "fit_normalisation", "needs at least one recording; got none");
  Normalisation normalisation;
  normalisation.kind = kind;
  if (kind == NormalisationKind::per_utterance) return normalisation;
  const std::int64_t bins = features.at(recordings.front()).bins;
  for (const std::int64_t r : recordings) {
    check(features.at(r).bins == bins, "fit_normalisation", "recordings must have equal bins; got ",
          bins, " and ", features[r].bins);
  }
  // Each bin is swept by one thread in the order of the recordings, so that threads cannot change
  // a bit; a thread takes a few bins at a time to walk through each mapped file in long strides.
  constexpr std::int64_t kBlock = 64;
  std::vector<Moments> moments(bins);
  parallel_for((bins + kBlock - 1) / kBlock, 0, [&](std::int64_t block) {
    const std::int64_t last = std::min(bins, (block + 1) * kBlock);
    for (const std::int64_t r : recordings) {
      const Features& picture = features[r];
      for (std::int64_t f = block * kBlock; f < last; ++f) {
        moments[f].merge(Moments::of(picture.values + f * picture.frames, picture.frames));
      }
    }
  });
  if (kind == NormalisationKind::global) {
    Moments all;
    for (const Moments& bin : moments) all.merge(bin);
    moments.assign(bins, all);
  }
  for (const Moments& bin : moments) {
    normalisation.mean.push_back(static_cast<float>(bin.mean));
    normalisation.deviation.push_back(bin.deviation());
  }
  return normalisation;
}

std::vector<Segment> cut_segments(std::int64_t recording, std::int64_t frames,
                                  const SegmentOptions& options) {
  check(options.length >= 1 && options.minimum >= 1 && frames >= 1, "cut_segments",
        "length, minimum and frames must be at least 1; got ", options.length, ", ",
        options.minimum, ", ", frames);
  std::vector<Segment> segments;
  for (std::int64_t start = 0; start < frames; start += options.length) {
    const std::int64_t real_frames = std::min(options.length, frames - start);
    const bool whole = real_frames == options.length;
    if (whole || start == 0 || real_frames >= options.minimum) {
      segments.push_back({recording, start, real_frames});
    }
  }
  return segments;
}

Dataset::Dataset(std::vector<Features> features, std::vector<int> labels,
                 std::vector<std::int64_t> recordings, Normalisation normalisation,
                 SegmentOptions options)
    : features_(std::move(features)),
      labels_(std::move(labels)),
      recordings_(std::move(recordings)),
      normalisation_(std::move(normalisation)),
      options_(options) {
  check(features_.size() == labels_.size(), "Dataset", "needs one label per recording; got ",
        features_.size(), " recordings and ", labels_.size(), " labels");
  check(!recordings_.empty(), "Dataset", "needs at least one recording; got none");
  bins_ = features_.at(recordings_.front()).bins;
  for (const std::int64_t r : recordings_) {
    check(features_.at(r).bins == bins_, "Dataset", "recordings must have equal bins; got ", bins_,
          " and ", features_[r].bins);
    const std::vector<Segment> cut = cut_segments(r, features_[r].frames, options_);
    segments_.insert(segments_.end(), cut.begin(), cut.end());
  }
  const bool own = normalisation_.kind == NormalisationKind::per_utterance;
  const auto rows = static_cast<std::int64_t>(normalisation_.mean.size());
  check(own || (rows == bins_ && normalisation_.deviation.size() == normalisation_.mean.size()),
        "Dataset", "normalisation must have one mean and deviation per bin; got ", rows, " for ",
        bins_, " bins");
}

std::vector<std::int64_t> Dataset::epoch_order(std::uint64_t seed, std::uint64_t epoch) const {
  return permutation({seed, Purpose::shuffle, epoch}, segment_count());
}

// out: bins rows, row_length apart, of which the first `frames` values are written.
void Dataset::copy_normalised(std::int64_t recording, std::int64_t start, std::int64_t frames,
                              std::int64_t row_length, float* out) const {
  const Features& picture = features_.at(recording);
  const bool own = normalisation_.kind == NormalisationKind::per_utterance;
  for (std::int64_t f = 0; f < bins_; ++f) {
    const float* row = picture.values + f * picture.frames;
    float mean, deviation;
    if (own) {
      const Moments moments = Moments::of(row, picture.frames);
      mean = static_cast<float>(moments.mean);
      deviation = moments.deviation();
    } else {
      mean = normalisation_.mean[f];
      deviation = normalisation_.deviation[f];
    }
    const float scale = 1.0f / deviation;
    float* target = out + f * row_length;
    for (std::int64_t t = 0; t < frames; ++t) target[t] = (row[start + t] - mean) * scale;
  }
}

Batch Dataset::make_batch(const std::vector<std::int64_t>& segments) const {
  check(!segments.empty(), "make_batch", "needs at least one segment; got none");
  const auto count = static_cast<std::int64_t>(segments.size());
  Batch batch;
  batch.input = Tensor({count, 1, bins_, options_.length});  // zeros: the padding
  float* out = batch.input.data();
  for (const std::int64_t index : segments) {
    const Segment& segment = segments_.at(index);
    copy_normalised(segment.recording, segment.start, segment.frames, options_.length, out);
    batch.labels.push_back(labels_[segment.recording]);
    out += bins_ * options_.length;
  }
  return batch;
}

Batch Dataset::utterance(std::int64_t recording) const { return utterances({recording}); }

Batch Dataset::utterances(const std::vector<std::int64_t>& recordings) const {
  check(!recordings.empty(), "utterances", "needs at least one recording; got none");
  const std::int64_t length = frames(recordings.front());
  Batch batch;
  batch.input = Tensor::empty({static_cast<std::int64_t>(recordings.size()), 1, bins_, length});
  float* out = batch.input.data();
  for (const std::int64_t r : recordings) {
    check(frames(r) == length && features_[r].bins == bins_, "utterances",
          "recordings must have equal lengths; got ", length, " and ", frames(r), " frames");
    copy_normalised(r, 0, length, length, out);
    batch.labels.push_back(labels_[r]);
    out += bins_ * length;
  }
  return batch;
}

std::vector<std::vector<std::int64_t>> Dataset::equal_length_groups(std::int64_t max_batch,
                                                                    std::int64_t max_frames) const {
  std::map<std::int64_t, std::vector<std::int64_t>> by_length;
  for (const std::int64_t r : recordings_) by_length[frames(r)].push_back(r);
  std::vector<std::vector<std::int64_t>> groups;
  for (const auto& [length, members] : by_length) {
    const std::int64_t most = std::max<std::int64_t>(1, std::min(max_batch, max_frames / length));
    for (std::size_t i = 0; i < members.size(); i += most) {
      const std::size_t end = std::min(members.size(), i + static_cast<std::size_t>(most));
      groups.emplace_back(members.begin() + i, members.begin() + end);
    }
  }
  return groups;
}

}  // namespace serenade::ser
