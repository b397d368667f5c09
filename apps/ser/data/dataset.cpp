// Normalisation, segments and batches.

#include "apps/ser/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "apps/ser/common/decibels.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/parallel.h"
#include "apps/ser/features/level_change.h"
#include "kernels/runtime/memory.h"
#include "kernels/runtime/threads.h"
#include "tensor/check.h"
#include "tensor/random.h"
#include "tensor/storage.h"

namespace serenade::ser {

namespace {

// Below this a bin is constant: dividing by its rounding noise would only make it loud.
constexpr double kSmallestDeviation = 1e-5;

// Count, mean and sum of squared distances of a set of values, in double. Two sets merge by the
// formula of Chan, Golub and LeVeque (1983), which does not cancel as sum x^2 - (sum x)^2 does.
struct Moments {
  double count = 0, mean = 0, squares = 0;

  void merge(const Moments& other) {
    const double all = count + other.count;
    const double distance = other.mean - mean;
    squares += other.squares + distance * distance * count * other.count / all;
    mean += distance * other.count / all;
    count = all;
  }

  float stddev() const {
    const double value = std::sqrt(squares / count);
    return value < kSmallestDeviation ? 1.0f : static_cast<float>(value);
  }
};

// Of one recording: a mean and a sum of squared distances per row.
std::vector<double> row_moments(const Features& features) {
  const auto count = static_cast<std::size_t>(2 * features.bins);
  if (features.moments) return {features.moments.get(), features.moments.get() + count};
  std::vector<double> moments(count);
  if (in_host_memory(features.device)) {
    cpu::spectrogram_moments(moments.data(), features.spectrogram(), features.format, features.bins,
                             features.frames);
    return moments;
  }
  const Storage there(count * sizeof(double), features.device);
  KERNEL(features.device, spectrogram_moments, static_cast<double*>(there.data()),
         features.spectrogram(), features.format, features.bins, features.frames);
  KERNEL(features.device, copy_to_host, moments.data(), there.data(), count * sizeof(double));
  return moments;
}

}  // namespace

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
  std::vector<Moments> moments(static_cast<std::size_t>(bins));
  for (const std::int64_t r : recordings) {
    const std::vector<double> rows = row_moments(features[r]);
    const auto frames = static_cast<double>(features[r].frames);
    for (std::int64_t f = 0; f < bins; ++f) {
      const double mean = kind == NormalisationKind::utterance_mean ? 0 : rows[2 * f];
      moments[f].merge({frames, mean, rows[2 * f + 1]});
    }
  }
  if (kind == NormalisationKind::global) {
    Moments all;
    for (const Moments& bin : moments) all.merge(bin);
    moments.assign(bins, all);
  }
  for (const Moments& bin : moments) {
    normalisation.mean.push_back(static_cast<float>(bin.mean));
    normalisation.stddev.push_back(bin.stddev());
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
      options_(options) {
  check(features_.size() == labels_.size(), "Dataset", "needs one label per recording; got ",
        features_.size(), " recordings and ", labels_.size(), " labels");
  check(!recordings_.empty(), "Dataset", "needs at least one recording; got none");
  bins_ = features_.at(recordings_.front()).bins;
  for (const std::int64_t r : recordings_) {
    check(features_.at(r).bins == bins_, "Dataset", "recordings must have equal bins; got ", bins_,
          " and ", features_[r].bins);
    check(features_[r].device == device() && features_[r].format == format(), "Dataset",
          "spectrograms must be on one device and in one format");
    const std::vector<Segment> cut = cut_segments(r, features_[r].frames, options_);
    segments_.insert(segments_.end(), cut.begin(), cut.end());
  }
  set_statistics(normalisation);
}

void Dataset::set_statistics(const Normalisation& normalisation) {
  const auto rows = static_cast<std::int64_t>(normalisation.mean.size());
  const bool own_stddev = normalisation.kind == NormalisationKind::per_utterance;
  check(own_stddev || (rows == bins_ && normalisation.stddev.size() == normalisation.mean.size()),
        "Dataset", "normalisation must have one mean and stddev per bin; got ", rows, " for ",
        bins_, " bins");
  std::vector<real> values;
  if (own_stddev || normalisation.kind == NormalisationKind::utterance_mean) {
    own_statistics_.assign(features_.size(), -1);
    for (const std::int64_t r : recordings_) {
      own_statistics_[r] = static_cast<std::int64_t>(values.size()) / (2 * bins_);
      const std::vector<double> moments = row_moments(features_[r]);
      const auto frames = static_cast<double>(features_[r].frames);
      for (std::int64_t f = 0; f < bins_; ++f) {
        values.push_back(static_cast<float>(moments[2 * f]));
      }
      for (std::int64_t f = 0; f < bins_; ++f) {
        values.push_back(1.0f / (own_stddev
                                     ? Moments{frames, moments[2 * f], moments[2 * f + 1]}.stddev()
                                     : normalisation.stddev[f]));
      }
    }
  } else {
    values.assign(normalisation.mean.begin(), normalisation.mean.end());
    for (const float stddev : normalisation.stddev) values.push_back(1.0f / stddev);
  }
  for (const real value : values) {
    if (!std::isfinite(value)) {
      throw NonFiniteError(
          "normalisation: a mean or deviation of a frequency row is not finite, or "
          "a deviation is zero; the model or the recordings are damaged");
    }
  }
  const auto count = static_cast<std::int64_t>(values.size()) / (2 * bins_);
  statistics_ = Tensor::from(values, {count, 2, bins_}, device());
}

std::vector<std::int64_t> Dataset::epoch_order(std::uint64_t seed, std::uint64_t epoch) const {
  return permutation({seed, Purpose::shuffle, epoch}, segment_count());
}

BatchPlan Dataset::plan_segments(const std::vector<std::int64_t>& segments) const {
  check(!segments.empty(), "make_batch", "needs at least one segment; got none");
  BatchPlan plan{{}, options_.length};
  for (const std::int64_t index : segments) plan.pieces.push_back(segments_.at(index));
  return plan;
}

void Dataset::augment_gain(double decibels, const FeatureSettings& settings) {
  check(decibels >= 0 && can_change_level(settings) && in_host_memory(device()) &&
            format() == SpectrogramFormat::float32,
        "augment_gain",
        "needs a gain of at least 0 dB, and float32 features in host memory of a kind whose level "
        "can be changed; got ",
        decibels, " and ", to_string(settings.kind));
  gain_decibels_ = decibels;
  gain_settings_ = settings;
}

BatchPlan Dataset::plan_training(const std::vector<std::int64_t>& segments, std::uint64_t seed,
                                 std::uint64_t epoch) const {
  BatchPlan plan = plan_segments(segments);
  if (gain_decibels_ == 0) return plan;
  for (const Segment& piece : plan.pieces) {
    const double place = uniform({seed, Purpose::data, epoch}, piece.recording);
    plan.gains.push_back(gain_of(gain_decibels_ * (2 * place - 1)));
  }
  return plan;
}

BatchPlan Dataset::plan_utterances(const std::vector<std::int64_t>& recordings) const {
  check(!recordings.empty(), "utterances", "needs at least one recording; got none");
  BatchPlan plan{{}, frames(recordings.front())};
  for (const std::int64_t r : recordings) {
    check(frames(r) == plan.length, "utterances", "recordings must have equal lengths; got ",
          plan.length, " and ", frames(r), " frames");
    plan.pieces.push_back({r, 0, plan.length});
  }
  return plan;
}

Batch Dataset::make_batch(const std::vector<std::int64_t>& segments) const {
  return gather(plan_segments(segments));
}

Batch Dataset::utterances(const std::vector<std::int64_t>& recordings) const {
  return gather(plan_utterances(recordings));
}

const Features& Dataset::spectrogram_of(const Segment& piece, std::int64_t length) const {
  const Features& spectrogram = features_.at(piece.recording);
  check(spectrogram.bins == bins_ && piece.start >= 0 && piece.frames >= 0 &&
            piece.frames <= length && piece.start + piece.frames <= spectrogram.frames &&
            (own_statistics_.empty() || own_statistics_[piece.recording] >= 0),
        "Dataset", "a piece of recording ", piece.recording, " is not part of this set: frames ",
        piece.start, " to ", piece.start + piece.frames, " of ", spectrogram.frames);
  return spectrogram;
}

// packed: of all pieces, or null: then they are in their spectrograms.
Batch Dataset::gather(const BatchPlan& plan, const Tensor& statistics, const void* packed) const {
  const std::size_t row_bytes = static_cast<std::size_t>(bins_) * bytes_per_value(format());
  const auto* next = static_cast<const char*>(packed);
  Batch batch;
  std::vector<SpectrogramPiece> pieces;
  for (const Segment& segment : plan.pieces) {
    const Features& spectrogram = spectrogram_of(segment, plan.length);
    const real* mean = statistics.data();
    if (!own_statistics_.empty()) mean += 2 * bins_ * own_statistics_[segment.recording];
    if (packed) {
      pieces.push_back({next, segment.frames, 0, segment.frames, mean, mean + bins_});
      next += static_cast<std::size_t>(segment.frames) * row_bytes;
    } else {
      pieces.push_back({spectrogram.spectrogram(), spectrogram.frames, segment.start,
                        segment.frames, mean, mean + bins_});
    }
    batch.labels.push_back(labels_[segment.recording]);
  }
  const auto count = static_cast<std::int64_t>(pieces.size());
  batch.input = Tensor::empty({count, 1, bins_, plan.length}, statistics.device());
  KERNEL(statistics.device(), gather_pieces, batch.input.data(), pieces.data(), count, bins_,
         plan.length, format());
  return batch;
}

Batch Dataset::gather(const BatchPlan& plan) const {
  if (plan.gains.empty()) return gather(plan, statistics_, nullptr);
  std::vector<float> packed(packed_bytes(plan) / sizeof(float));  // the format that has gains
  pack(plan, packed.data(), cpu::thread_count());
  return gather(plan, statistics_, packed.data());
}

Batch Dataset::gather_packed(const BatchPlan& plan, const void* packed,
                             const Tensor& statistics) const {
  return gather(plan, statistics, packed);
}

std::size_t Dataset::packed_bytes(const BatchPlan& plan) const {
  std::int64_t frames = 0;
  for (const Segment& piece : plan.pieces) frames += piece.frames;
  return static_cast<std::size_t>(frames * bins_) * bytes_per_value(format());
}

void Dataset::pack(const BatchPlan& plan, void* packed, int threads) const {
  check(in_host_memory(device()), "pack", "is for spectrograms in host memory");
  const std::size_t value_bytes = bytes_per_value(format());
  std::vector<char*> targets;
  auto* next = static_cast<char*>(packed);
  for (const Segment& piece : plan.pieces) {
    targets.push_back(next);
    next += static_cast<std::size_t>(piece.frames * bins_) * value_bytes;
  }
  parallel_for(static_cast<std::int64_t>(plan.pieces.size()), threads, [&](std::int64_t i) {
    const Segment& piece = plan.pieces[i];
    const Features& spectrogram = spectrogram_of(piece, plan.length);
    const std::size_t row = static_cast<std::size_t>(piece.frames) * value_bytes;
    const auto* from =
        static_cast<const char*>(spectrogram.spectrogram()) + piece.start * value_bytes;
    for (std::int64_t f = 0; f < bins_; ++f) {
      std::memcpy(targets[i] + f * row, from + f * spectrogram.frames * value_bytes, row);
    }
    if (plan.gains.empty()) return;
    change_level(reinterpret_cast<float*>(targets[i]), piece.frames * bins_, gain_settings_,
                 plan.gains.at(static_cast<std::size_t>(i)));
  });
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
