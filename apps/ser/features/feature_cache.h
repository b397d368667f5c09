#pragma once
// The spectrograms of a whole corpus, computed once, in parallel, and kept on disk.
//
// The paper's front end makes 41 GB of values from IEMOCAP; the files are therefore mapped, not
// read: what is not in use costs no memory. A file's name is a hash of the settings and of the
// recording's path, size, modification time and range, so a changed recording is a new file; it is
// written under another name and then renamed, so a file is whole or absent.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

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

struct ExtractOptions {
  std::string cache_folder = {};  ///< made if needed; empty: keep everything in memory
  int threads = 0;                ///< 0: one per processor
  /// Called after each recording, from any thread, one call at a time.
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
};

/// The features of every recording of the corpus, in its order. Throws what read_audio throws (of
/// the first recording in order that fails) and IoError when the cache cannot be written.
std::vector<Features> extract_features(const Corpus& corpus, const FeatureSettings& settings,
                                       const ExtractOptions& options = {});

/// The features of samples at 16 kHz, in memory.
Features features_of(const std::vector<float>& samples, const FeatureSettings& settings);

}  // namespace serenade::ser
