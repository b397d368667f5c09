// Computing the spectrograms of a corpus, or finding them in the cache.

#include "apps/ser/features/feature_cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <mutex>
#include <optional>
#include <utility>

#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "apps/ser/common/parallel.h"
#include "apps/ser/corpus/audio.h"
#include "apps/ser/features/feature_store.h"
#include "kernels/runtime/threads.h"
#include "tensor/fnv.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

// Names the recording as it is now; 0 if it is not there. Whoever edits a file can set its
// time of modification, and even keep its size, but not the time of its change of state.
std::uint64_t cache_key(const Recording& recording) {
  struct stat about = {};
  if (stat(recording.path.c_str(), &about) != 0) return 0;
  std::error_code error;
  Fnv hash;
  hash.add_text(fs::absolute(recording.path, error).lexically_normal().string());
  const auto add = [&](auto value) { hash.add(&value, sizeof value); };
  add(about.st_size);
  add(about.st_ino);
  for (const timespec& time : {about.st_mtim, about.st_ctim}) {
    add(time.tv_sec);
    add(time.tv_nsec);
  }
  add(recording.range.start);
  add(recording.range.end);
  return hash.value();
}

Features compute(std::vector<float> recording, FrontEnd& front_end, const std::string& name) {
  const std::vector<float> samples = prepared(std::move(recording), front_end.settings());
  const auto count = static_cast<std::int64_t>(samples.size());
  Features features;
  features.bins = front_end.settings().rows();
  features.frames = frame_count(count, front_end.settings());
  auto values = std::make_shared<std::vector<float>>(features.bins * features.frames);
  front_end.run(samples.data(), count, values->data());
  if (!all_finite(values->data(), features.bins * features.frames)) {
    throw InputError(name + ": its spectrogram is not finite; get the recording again");
  }
  features.values = values->data();
  features.owner = std::move(values);
  return features;
}

}  // namespace

bool all_finite(const float* values, std::int64_t count) {
  constexpr std::uint32_t kExponent = 0x7f800000;  // all ones: infinite or not a number
  bool found = false;
  for (std::int64_t i = 0; i < count; ++i) {
    found |= (std::bit_cast<std::uint32_t>(values[i]) & kExponent) == kExponent;
  }
  return !found;
}

std::vector<Features> extract_features(const Corpus& corpus, const FeatureSettings& settings,
                                       const ExtractOptions& options) {
  check_settings(settings);
  std::optional<FeatureStore> store;
  if (!options.cache_folder.empty() && options.gain == 1)
    store.emplace(options.cache_folder, settings);
  const auto total = static_cast<std::int64_t>(corpus.recordings.size());
  std::vector<Features> features(total);
  std::mutex mutex;
  std::int64_t done = 0;
  const auto make = [&](std::int64_t i) {
    const Recording& recording = corpus.recordings[i];
    const std::uint64_t key = store ? cache_key(recording) : 0;
    if (std::optional<Features> found = key != 0 ? store->find(key) : std::nullopt) {
      features[i] = std::move(*found);
      return;
    }
    Audio audio = read_audio(recording.path, kSampleRate, recording.range);
    for (float& sample : audio.samples) sample *= options.gain;
    FrontEnd front_end(settings);
    features[i] = compute(std::move(audio.samples), front_end, recording.path);
    // A file that was written to while it was read may have become another one.
    if (key != 0 && key == cache_key(recording)) store->add(key, features[i]);
  };
  parallel_for(total, options.threads, [&](std::int64_t i) {
    try {
      make(i);
    } catch (const InputError& error) {
      const std::lock_guard lock(mutex);
      list_damaged(options, corpus, i, error);
    }
    const std::lock_guard lock(mutex);
    ++done;
    if (options.progress) options.progress(done, total);
  });
  if (store) store->write();
  return features;
}

void list_damaged(const ExtractOptions& options, const Corpus& corpus, std::int64_t recording,
                  const InputError& error) {
  std::error_code ignored;
  if (!options.damaged || !fs::exists(corpus.recordings.at(recording).path, ignored)) throw;
  const auto after = std::upper_bound(
      options.damaged->begin(), options.damaged->end(), recording,
      [](std::int64_t index, const DamagedRecording& other) { return index < other.recording; });
  const std::string& path = corpus.recordings[recording].path;
  options.damaged->insert(after, {recording, without_path(error.what(), path)});
}

void leave_out_damaged(Corpus& corpus, std::vector<Features>& features,
                       const std::vector<DamagedRecording>& damaged) {
  if (damaged.empty()) return;
  std::vector<Recording> recordings;
  std::vector<Features> whole;
  auto next = damaged.begin();
  for (std::size_t i = 0; i < features.size(); ++i) {
    if (next != damaged.end() && next->recording == static_cast<std::int64_t>(i)) {
      corpus.skipped.push_back(
          {SkippedFile::Why::unreadable, corpus.recordings[i].path, next->reason});
      ++next;
    } else {
      recordings.push_back(std::move(corpus.recordings[i]));
      whole.push_back(std::move(features[i]));
    }
  }
  if (recordings.empty()) {
    throw InputError(corpus.name + ": all " + std::to_string(damaged.size()) +
                     " recordings are damaged; the last: " + corpus.skipped.back().path + ": " +
                     damaged.back().reason);
  }
  corpus.recordings = std::move(recordings);
  features = std::move(whole);
}

Features features_of(const std::vector<float>& samples, const FeatureSettings& settings,
                     const std::string& name) {
  FrontEnd front_end(settings, cpu::thread_count());
  return compute(samples, front_end, name);
}

}  // namespace serenade::ser
