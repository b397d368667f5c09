#pragma once
// The spectrograms of a whole corpus, computed once, in parallel, and kept on disk.
//
// The paper's front end makes 41 GB of values from IEMOCAP; the files are therefore mapped, not
// read: what is not in use costs no memory. A spectrogram is found by a key of the settings and of
// the recording's path, range, size, inode and times, so a changed recording has another; it is
// believed only if its checksum is right and its values are finite (feature_store.h).

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/ser/common/error.h"
#include "apps/ser/corpus/corpus.h"
#include "apps/ser/features/features.h"
#include "kernels/spectrogram/spectrogram.h"

namespace serenade::ser {

/// One recording's spectrogram, read-only; copies share it. Made by extract_features() it lies in
/// host memory as float32; made by extract_features_on() it is on a device (device_features.h).
struct Features {
  std::int64_t bins = 0;
  std::int64_t frames = 0;
  const float* values = nullptr;      ///< [bins, frames] row-major, or null: see `stored`
  std::shared_ptr<const void> owner;  ///< keeps the values alive: memory or a mapped file
  Device device = Device::cpu;
  SpectrogramFormat format = SpectrogramFormat::float32;
  const void* stored = nullptr;  ///< [bins, frames] on the device in the format, where no `values`
  std::shared_ptr<const double> moments =
      {};  ///< in host memory, as spectrogram_moments(); may be null

  const void* spectrogram() const { return values ? values : stored; }
};

/// A recording that could be found, but whose sound turned out to be damaged.
struct DamagedRecording {
  std::int64_t recording = 0;
  std::string reason;  ///< without the name of its file, as in SkippedFile
};

struct ExtractOptions {
  std::string cache_folder = {};  ///< made if needed; empty: keep everything in memory
  int threads = 0;                ///< 0: as many as the kernels use
  /// Called after each recording, from any thread, one call at a time.
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
  /// Of extract_features(): a factor on all samples; other than 1: the cache is not used.
  float gain = 1;
  /// Where to list what is damaged, by rising index; its features are then empty. Null: throw.
  std::vector<DamagedRecording>* damaged = nullptr;
};

/// The features of every recording of the corpus, in its order. Throws what read_audio throws (of
/// the first recording in order that fails) and IoError when the cache cannot be written.
std::vector<Features> extract_features(const Corpus& corpus, const FeatureSettings& settings,
                                       const ExtractOptions& options = {});

/// For the handler of an InputError about a recording: lists it in options.damaged, or throws it
/// again, where there is no list, or the file is gone, which says nothing about one recording.
void list_damaged(const ExtractOptions& options, const Corpus& corpus, std::int64_t recording,
                  const InputError& error);

/// Takes what is listed out of the corpus, where it is then among the skipped files, and out of the
/// features. Throws InputError where nothing is left.
void leave_out_damaged(Corpus& corpus, std::vector<Features>& features,
                       const std::vector<DamagedRecording>& damaged);

/// The features of a recording's samples at 16 kHz. Throws InputError, beginning with `name`, where
/// they are not finite.
Features features_of(const std::vector<float>& samples, const FeatureSettings& settings,
                     const std::string& name);

bool all_finite(const float* values, std::int64_t count);

}  // namespace serenade::ser
