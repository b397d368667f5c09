#pragma once
// The front end: samples to a spectrogram of frequency bins x time frames.
//
//   x_t[n] = samples[t * hop_length + n] * hann[n]        n < window, frames fully inside the
//   signal X_t[f] = sum_n x_t[n] exp(-2 pi i f n / n_fft)     f < bins, zero-padded to n_fft points
//   log:       log(|X| + offset)
//   magnitude: |X|
//   power:     |X|^2
//   mulaw:     log(1 + 255 |X| / R) / log(256),  R = window / 2 (the largest |X| of a full-scale
//              sine is window / 4, of any signal window / 2), so that values lie in [0, 1]
//   mel:       log(sum_f W[m, f] |X|^2 + offset), triangles of height 1 spaced evenly on the mel
//              scale mel(f) = 2595 log10(1 + f / 700) from mel_low to mel_high Hz
//   pcen:      the sums of mel, each divided by what it was of late (pcen.h)
//
// Before that silence may be cut off the edges, and the samples brought to one loudness
// (FeatureSettings::trim, level).
//
// hann[n] = 0.5 - 0.5 cos(2 pi n / window), the periodic window.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "apps/ser/common/enum_setting.h"
#include "tensor/tensor.h"

namespace serenade::ser {

enum class FeatureKind { log, magnitude, power, mulaw, mel, pcen };

inline EnumNames<FeatureKind> enum_names(FeatureKind) {
  return {{FeatureKind::log, "log"},     {FeatureKind::magnitude, "magnitude"},
          {FeatureKind::power, "power"}, {FeatureKind::mulaw, "mulaw"},
          {FeatureKind::mel, "mel"},     {FeatureKind::pcen, "pcen"}};
}

/// At which level a recording comes to the front end: as it was recorded, or all at one loudness
/// (loudness.h).
enum class RecordingLevel { recorded, loudness };

inline EnumNames<RecordingLevel> enum_names(RecordingLevel) {
  return {{RecordingLevel::recorded, "recorded"}, {RecordingLevel::loudness, "loudness"}};
}

struct FeatureSettings {
  int n_fft = 800;       ///< points of the DFT; even, at least `window`
  int bins = 200;        ///< the first are kept; at most n_fft / 2 + 1; unused by mel and pcen
  int window = 640;      ///< samples: 40 ms at 16 kHz
  int hop_length = 160;  ///< samples: 10 ms
  FeatureKind kind = FeatureKind::log;
  double offset = 1e-4;    ///< inside the logarithm, of log and mel
  int n_mels = 64;         ///< the following three only of mel and pcen
  double mel_low = 20;     ///< Hz
  double mel_high = 8000;  ///< Hz; at most half the sampling rate
  /// Edges that lie so many dB below the loudest 10 ms of a recording are cut off; 0: none.
  double trim = 0;
  RecordingLevel level = RecordingLevel::recorded;

  /// Whether the rows are mel bands.
  bool has_bands() const { return kind == FeatureKind::mel || kind == FeatureKind::pcen; }
  /// Rows of the spectrogram.
  int rows() const { return has_bands() ? n_mels : bins; }
  bool operator==(const FeatureSettings&) const = default;
};

/// Settings under a name. The table is the only place that knows a preset.
struct FeaturePreset {
  std::string name;
  FeatureSettings settings;
};
const std::vector<FeaturePreset>& feature_presets();
std::vector<std::string> feature_preset_names();

/// The settings of a preset; throws InputError that lists the names.
FeatureSettings feature_preset(const std::string& name);

/// Throws InputError naming the setting that is out of range.
void check_settings(const FeatureSettings& settings);

/// Sixteen hexadecimal digits that change whenever a setting, or the front end itself, does.
std::string settings_key(const FeatureSettings& settings);

/// The samples as the front end shall get them: those of a recording, mono at 16 kHz, without its
/// silent edges and at the level that the settings ask for. Of one sample or more, one stays.
std::vector<float> prepared(std::vector<float> samples, const FeatureSettings& settings);

/// Frames of a signal of that many samples: at least 1 (short signals are padded with zeros).
std::int64_t frame_count(std::int64_t samples, const FeatureSettings& settings);

/// One triangle of the mel filter bank: the weights of the bins of the transform from `first` on.
struct MelTriangle {
  std::int64_t first = 0;
  std::vector<float> weights;
};

/// The triangles of the settings' bands, in their order; for mel and pcen.
std::vector<MelTriangle> mel_triangles(const FeatureSettings& settings);

/// A front end made ready for many signals. Each thread needs its own; one may also use `threads`
/// threads itself, for a single long signal. The values do not depend on it.
class FrontEnd {
 public:
  explicit FrontEnd(const FeatureSettings& settings, int threads = 1);
  ~FrontEnd();
  FrontEnd(const FrontEnd&) = delete;
  FrontEnd& operator=(const FrontEnd&) = delete;

  const FeatureSettings& settings() const { return settings_; }

  /// samples: prepared(); values: [rows, frame_count(count)] row-major, overwritten.
  void run(const float* samples, std::int64_t count, float* values);

 private:
  struct Plan;
  FeatureSettings settings_;
  std::vector<std::unique_ptr<Plan>> plans_;  // one per thread
};

/// One recording at once, prepared here: [rows, frames].
Tensor spectrogram(const std::vector<float>& recording, const FeatureSettings& settings);

}  // namespace serenade::ser
