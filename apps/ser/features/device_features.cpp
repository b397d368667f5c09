// Decoding on threads, everything else launched on the device.

#include "apps/ser/features/device_features.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "apps/ser/common/error.h"
#include "apps/ser/common/parallel.h"
#include "apps/ser/corpus/audio.h"
#include "kernels/runtime/memory.h"
#include "kernels/runtime/threads.h"
#include "tensor/check.h"
#include "tensor/storage.h"

namespace serenade::ser {

namespace {

SpectrumValue spectrum_value(FeatureKind kind) {
  switch (kind) {
    case FeatureKind::log:
      return SpectrumValue::log;
    case FeatureKind::magnitude:
      return SpectrumValue::magnitude;
    case FeatureKind::mulaw:
      return SpectrumValue::mulaw;
    case FeatureKind::power:
    case FeatureKind::mel:
    case FeatureKind::pcen:
      break;
  }
  return SpectrumValue::power;
}

// An array of the host, copied to the device.
template <class T>
class DeviceCopy {
 public:
  DeviceCopy(const std::vector<T>& values, Device device)
      : storage_(values.size() * sizeof(T), device) {
    KERNEL(device, copy_from_host, storage_.data(), values.data(), values.size() * sizeof(T));
  }
  const T* data() const { return static_cast<const T*>(storage_.data()); }

 private:
  Storage storage_;
};

// Everything that is made once per settings.
class DeviceFrontEnd {
 public:
  DeviceFrontEnd(const FeatureSettings& settings, Device device)
      : settings_(settings), device_(device), format_(device_format(settings)) {
    shape_.window = settings.window;
    shape_.hop_length = settings.hop_length;
    shape_.n_fft = settings.n_fft;
    shape_.bins = settings.kind == FeatureKind::mel ? settings.n_fft / 2 + 1 : settings.bins;
    shape_.value = spectrum_value(settings.kind);
    shape_.offset = settings.offset;
    table_ = std::make_unique<DeviceCopy<float>>(spectrogram_table(shape_), device);
    if (settings.kind == FeatureKind::mel) make_bands();
  }

  // Launches the spectrogram of one signal and its moments, [rows, 2].
  Features run(const std::vector<float>& samples, double* moments) const {
    SpectrogramShape shape = shape_;
    shape.samples = static_cast<std::int64_t>(samples.size());
    shape.frames = frame_count(shape.samples, settings_);
    const std::int64_t rows = settings_.rows();
    const auto spectrogram = std::make_shared<const Storage>(
        static_cast<std::size_t>(rows * shape.frames) * bytes_per_value(format_), device_);
    const DeviceCopy<float> there(samples, device_);
    if (settings_.kind == FeatureKind::mel) {
      const Storage power(static_cast<std::size_t>(shape.bins * shape.frames) * sizeof(float),
                          device_);
      KERNEL(device_, spectrogram, power.data(), SpectrogramFormat::float32, there.data(),
             table_->data(), shape);
      KERNEL(device_, mel_spectrogram, spectrogram->data(), format_,
             static_cast<const float*>(power.data()), shape.frames, bands_);
    } else {
      KERNEL(device_, spectrogram, spectrogram->data(), format_, there.data(), table_->data(),
             shape);
    }
    KERNEL(device_, spectrogram_moments, moments, spectrogram->data(), format_, rows, shape.frames);
    Features features;
    features.bins = rows;
    features.frames = shape.frames;
    features.device = device_;
    features.format = format_;
    features.stored = spectrogram->data();
    features.owner = spectrogram;
    return features;
  }

 private:
  void make_bands() {
    std::vector<std::int32_t> first, begin = {0};
    std::vector<float> weights;
    for (const MelTriangle& triangle : mel_triangles(settings_)) {
      first.push_back(static_cast<std::int32_t>(triangle.first));
      weights.insert(weights.end(), triangle.weights.begin(), triangle.weights.end());
      begin.push_back(static_cast<std::int32_t>(weights.size()));
    }
    first_ = std::make_unique<DeviceCopy<std::int32_t>>(first, device_);
    begin_ = std::make_unique<DeviceCopy<std::int32_t>>(begin, device_);
    weights_ = std::make_unique<DeviceCopy<float>>(weights, device_);
    bands_ = {static_cast<std::int64_t>(first.size()), first_->data(), begin_->data(),
              weights_->data(), settings_.offset};
  }

  FeatureSettings settings_;
  Device device_;
  SpectrogramFormat format_;
  SpectrogramShape shape_;
  MelBands bands_;
  std::unique_ptr<DeviceCopy<float>> table_, weights_;
  std::unique_ptr<DeviceCopy<std::int32_t>> first_, begin_;
};

}  // namespace

bool can_be_made_on_devices(const FeatureSettings& settings) {
  return settings.kind != FeatureKind::pcen;
}

SpectrogramFormat device_format(const FeatureSettings& settings) {
  return settings.kind == FeatureKind::power ? SpectrogramFormat::float32
                                             : SpectrogramFormat::float16;
}

double device_bytes(const Corpus& corpus, const FeatureSettings& settings) {
  double frames = 0;
  for (const Recording& recording : corpus.recordings) {
    frames += static_cast<double>(
        frame_count(std::llround(recording.seconds * kSampleRate) + 1, settings));
  }
  const double per_recording = 2 * sizeof(double) * static_cast<double>(corpus.recordings.size());
  return settings.rows() *
         (frames * static_cast<double>(bytes_per_value(device_format(settings))) + per_recording);
}

std::vector<Features> extract_features_on(Device device, const Corpus& corpus,
                                          const FeatureSettings& settings,
                                          const ExtractOptions& options) {
  check_settings(settings);
  check(can_be_made_on_devices(settings), "extract_features_on", "cannot make features of kind ",
        to_string(settings.kind));
  const DeviceFrontEnd front_end(settings, device);
  const auto total = static_cast<std::int64_t>(corpus.recordings.size());
  const std::int64_t rows = settings.rows();
  const std::size_t moment_bytes = static_cast<std::size_t>(2 * rows * total) * sizeof(double);
  const Storage moments_there(moment_bytes, device);
  std::vector<Features> features(static_cast<std::size_t>(total));
  // The device works on one chunk while the next is decoded.
  const std::int64_t chunk = 4 * cpu::thread_count();
  std::mutex mutex;
  for (std::int64_t begin = 0; begin < total; begin += chunk) {
    const std::int64_t count = std::min(chunk, total - begin);
    std::vector<Audio> sounds(static_cast<std::size_t>(count));
    parallel_for(count, options.threads, [&](std::int64_t i) {
      const Recording& recording = corpus.recordings[begin + i];
      try {
        sounds[i] = read_audio(recording.path, kSampleRate, recording.range);
        sounds[i].samples = prepared(std::move(sounds[i].samples), settings);
      } catch (const InputError& error) {
        const std::lock_guard lock(mutex);
        list_damaged(options, corpus, begin + i, error);
      }
    });
    for (std::int64_t i = 0; i < count; ++i) {
      double* moments = static_cast<double*>(moments_there.data()) + 2 * rows * (begin + i);
      if (!sounds[i].samples.empty()) {
        features[begin + i] = front_end.run(sounds[i].samples, moments);
      }
      if (options.progress) options.progress(begin + i + 1, total);
    }
  }
  const auto moments =
      std::make_shared<std::vector<double>>(static_cast<std::size_t>(2 * rows * total));
  KERNEL(device, copy_to_host, moments->data(), moments_there.data(), moment_bytes);
  for (std::int64_t r = 0; r < total; ++r) {
    features[r].moments = std::shared_ptr<const double>(moments, moments->data() + 2 * rows * r);
  }
  return features;
}

}  // namespace serenade::ser
