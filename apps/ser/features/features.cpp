// The front end, on KissFFT's real transform.

#include "apps/ser/features/features.h"

#include <kissfft/kiss_fftr.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <sstream>

#include "apps/ser/common/error.h"
#include "apps/ser/common/parallel.h"
#include "apps/ser/corpus/activity.h"
#include "apps/ser/corpus/audio.h"
#include "apps/ser/features/loudness.h"
#include "apps/ser/features/pcen.h"
#include "kernels/runtime/ceil_div.h"
#include "tensor/fnv.h"

namespace serenade::ser {

namespace {

// Part of every key: raise it when the values change for the same settings.
constexpr int kFrontEndVersion = 1;

void require(bool condition, const std::string& message) {
  if (!condition) throw InputError("features: " + message);
}

double mel_of(double hertz) { return 2595.0 * std::log10(1.0 + hertz / 700.0); }
double hertz_of(double mel) { return 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0); }

}  // namespace

// A band narrower than the distance of two bins would hold none: it takes the bin nearest to its
// centre, so that no band is silent for all signals.
std::vector<MelTriangle> mel_triangles(const FeatureSettings& settings) {
  const double hertz_per_bin = static_cast<double>(kSampleRate) / settings.n_fft;
  const double low = mel_of(settings.mel_low), high = mel_of(settings.mel_high);
  const auto edge = [&](int i) {
    return hertz_of(low + (high - low) * i / (settings.n_mels + 1)) / hertz_per_bin;
  };
  std::vector<MelTriangle> bands;
  for (int m = 0; m < settings.n_mels; ++m) {
    const double left = edge(m), centre = edge(m + 1), right = edge(m + 2);  // in bins
    MelTriangle band;
    band.first = static_cast<std::int64_t>(std::floor(left)) + 1;
    for (std::int64_t f = band.first; static_cast<double>(f) < right; ++f) {
      const double bin = static_cast<double>(f);
      const double weight =
          bin <= centre ? (bin - left) / (centre - left) : (right - bin) / (right - centre);
      band.weights.push_back(static_cast<float>(weight));
    }
    if (band.weights.empty()) {
      band.first = std::min<std::int64_t>(std::llround(centre), settings.n_fft / 2);
      band.weights = {1.0f};
    }
    bands.push_back(std::move(band));
  }
  return bands;
}

const std::vector<FeaturePreset>& feature_presets() {
  static const std::vector<FeaturePreset> presets = {
      // bins 0 .. 4095, which are 0 to 4 kHz
      {"paper", {.n_fft = 16384, .bins = 4096}},
      // 200 bins, again 0 to 4 kHz
      {"small", {}},
      // 64 bands of 20 Hz to 8 kHz; the offset is of a power: as audible as 1e-3 in a magnitude
      {"mel", {.n_fft = 1024, .bins = 513, .kind = FeatureKind::mel, .offset = 1e-6}}};
  return presets;
}

std::vector<std::string> feature_preset_names() {
  std::vector<std::string> names;
  for (const FeaturePreset& preset : feature_presets()) names.push_back(preset.name);
  return names;
}

FeatureSettings feature_preset(const std::string& name) {
  return feature_presets()[find_setting_word("preset", name, feature_preset_names())].settings;
}

void check_settings(const FeatureSettings& settings) {
  require(settings.window >= 2, "window must be at least 2 samples");
  require(settings.hop_length >= 1, "hop_length must be at least 1 sample");
  require(
      settings.n_fft % 2 == 0 && settings.n_fft >= settings.window && settings.n_fft <= (1 << 20),
      "n_fft must be even, at least the window (" + std::to_string(settings.window) +
          ") and at most 1048576; got " + std::to_string(settings.n_fft));
  require(settings.bins >= 1 && settings.bins <= settings.n_fft / 2 + 1,
          "bins must be from 1 to n_fft / 2 + 1 = " + std::to_string(settings.n_fft / 2 + 1) +
              "; got " + std::to_string(settings.bins));
  require(settings.trim >= 0 && std::isfinite(settings.trim), "trim must be at least 0 dB");
  const bool logarithm = settings.kind == FeatureKind::log || settings.kind == FeatureKind::mel;
  require(!logarithm || (settings.offset > 0 && std::isfinite(settings.offset)),
          "offset must be above 0, for log(0) is not finite");
  if (!settings.has_bands()) return;
  require(settings.n_mels >= 1 && settings.n_mels <= settings.n_fft / 2,
          "n_mels must be from 1 to n_fft / 2 = " + std::to_string(settings.n_fft / 2) + "; got " +
              std::to_string(settings.n_mels));
  require(settings.mel_low >= 0 && settings.mel_low < settings.mel_high &&
              2 * settings.mel_high <= kSampleRate,
          "mel_low and mel_high must satisfy 0 <= low < high <= " +
              std::to_string(kSampleRate / 2) + " Hz");
}

std::string settings_key(const FeatureSettings& settings) {
  std::ostringstream text;
  text.precision(17);
  text << kFrontEndVersion << ' ' << kSampleRate << ' ' << to_string(settings.kind) << ' '
       << settings.n_fft << ' ' << settings.bins << ' ' << settings.window << ' '
       << settings.hop_length << ' ' << settings.offset << ' ' << settings.n_mels << ' '
       << settings.mel_low << ' ' << settings.mel_high;
  // What is left as it was before there was a choice has the key of then.
  if (settings.trim > 0) text << " trim " << settings.trim;
  if (settings.level != RecordingLevel::recorded) text << " level " << to_string(settings.level);
  Fnv hash;
  hash.add_text(text.str());
  return hash.hex();
}

std::vector<float> prepared(std::vector<float> samples, const FeatureSettings& settings) {
  if (settings.trim > 0) {
    const ActivePart part = active_part(levels_of(samples, kSampleRate), settings.trim);
    constexpr std::int64_t kFrame = kSampleRate / kLevelsPerSecond;
    const std::int64_t end = std::min(std::ssize(samples), part.last * kFrame);
    samples.erase(samples.begin() + end, samples.end());
    samples.erase(samples.begin(), samples.begin() + part.first * kFrame);
  }
  if (settings.level == RecordingLevel::loudness) bring_to_target_loudness(samples);
  return samples;
}

std::int64_t frame_count(std::int64_t samples, const FeatureSettings& settings) {
  if (samples < settings.window) return 1;
  return (samples - settings.window) / settings.hop_length + 1;
}

// Frames that are computed before they are written: a row of the spectrogram gets that many
// neighbouring values at once, where single ones would each touch another page.
constexpr std::int64_t kBlock = 16;

// Everything that is computed once per settings.
struct FrontEnd::Plan {
  kiss_fftr_cfg transform = nullptr;
  std::vector<float> window;           // [window]
  std::vector<float> signal;           // [n_fft], zeros after the window
  std::vector<kiss_fft_cpx> spectrum;  // [n_fft / 2 + 1]
  std::vector<float> power;            // [n_fft / 2 + 1], with bands only
  std::vector<MelTriangle> bands;
  std::vector<float> columns;  // [kBlock, rows]

  explicit Plan(const FeatureSettings& settings)
      : window(settings.window),
        signal(settings.n_fft),
        spectrum(settings.n_fft / 2 + 1),
        power(settings.n_fft / 2 + 1),
        columns(static_cast<std::size_t>(kBlock * settings.rows())) {
    transform = kiss_fftr_alloc(settings.n_fft, 0, nullptr, nullptr);
    if (!transform) throw std::bad_alloc();
    for (int n = 0; n < settings.window; ++n) {
      window[n] =
          static_cast<float>(0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * n / settings.window));
    }
    if (settings.has_bands()) bands = mel_triangles(settings);
  }
  ~Plan() { kiss_fftr_free(transform); }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  // values: [rows], of one frame of the signal.
  void frame(const FeatureSettings& settings, const float* samples, std::int64_t inside,
             float* values) {
    for (std::int64_t n = 0; n < inside; ++n) signal[n] = samples[n] * window[n];
    std::fill(signal.begin() + std::max<std::int64_t>(0, inside), signal.begin() + settings.window,
              0.0f);
    kiss_fftr(transform, signal.data(), spectrum.data());
    const auto squared = [&](std::int64_t f) {
      return spectrum[f].r * spectrum[f].r + spectrum[f].i * spectrum[f].i;
    };
    if (settings.has_bands()) {
      for (std::size_t f = 0; f < power.size(); ++f) power[f] = squared(f);
      for (std::size_t m = 0; m < bands.size(); ++m) {
        float energy = 0;
        for (std::size_t i = 0; i < bands[m].weights.size(); ++i) {
          energy += bands[m].weights[i] * power[bands[m].first + i];
        }
        values[m] = settings.kind == FeatureKind::mel
                        ? std::log(energy + static_cast<float>(settings.offset))
                        : energy;  // of pcen, which needs all frames
      }
      return;
    }
    const float offset = static_cast<float>(settings.offset);
    const float loudest = 0.5f * static_cast<float>(settings.window);
    for (std::int64_t f = 0; f < settings.bins; ++f) {
      float value = squared(f);
      if (settings.kind != FeatureKind::power) value = std::sqrt(value);
      if (settings.kind == FeatureKind::log) value = std::log(value + offset);
      if (settings.kind == FeatureKind::mulaw) {
        value = std::log1p(255.0f * value / loudest) / std::log(256.0f);
      }
      values[f] = value;
    }
  }
};

FrontEnd::FrontEnd(const FeatureSettings& settings, int threads) : settings_(settings) {
  check_settings(settings);
  for (int i = 0; i < std::max(1, threads); ++i) {
    plans_.push_back(std::make_unique<Plan>(settings));
  }
}

FrontEnd::~FrontEnd() = default;

void FrontEnd::run(const float* samples, std::int64_t count, float* values) {
  const std::int64_t frames = frame_count(count, settings_), rows = settings_.rows();
  const std::int64_t blocks = ceil_div(frames, kBlock);
  const auto parts = std::min<std::int64_t>(static_cast<std::int64_t>(plans_.size()), blocks);
  parallel_for(parts, static_cast<int>(parts), [&](std::int64_t part) {
    Plan& plan = *plans_[static_cast<std::size_t>(part)];
    for (std::int64_t block = part; block < blocks; block += parts) {
      const std::int64_t begin = block * kBlock, end = std::min(frames, begin + kBlock);
      for (std::int64_t t = begin; t < end; ++t) {
        const std::int64_t first = t * settings_.hop_length;
        const std::int64_t inside = std::min<std::int64_t>(settings_.window, count - first);
        plan.frame(settings_, samples + first, inside, &plan.columns[(t - begin) * rows]);
      }
      for (std::int64_t f = 0; f < rows; ++f) {
        for (std::int64_t t = begin; t < end; ++t) {
          values[f * frames + t] = plan.columns[(t - begin) * rows + f];
        }
      }
    }
  });
  if (settings_.kind == FeatureKind::pcen) pcen(values, rows, frames);
}

Tensor spectrogram(const std::vector<float>& recording, const FeatureSettings& settings) {
  FrontEnd front_end(settings);
  const std::vector<float> samples = prepared(recording, settings);
  const auto count = static_cast<std::int64_t>(samples.size());
  Tensor spectrogram = Tensor::empty({settings.rows(), frame_count(count, settings)});
  front_end.run(samples.data(), count, spectrogram.data());
  return spectrogram;
}

}  // namespace serenade::ser
