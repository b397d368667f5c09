#pragma once
// Spectrograms of sound: rows are frequencies, columns are frames of time. Made from samples,
// summarised by the moments of their rows, and cut into normalised batches. A corpus of the paper's
// size is kept on a device in half precision, so the values of a spectrogram have a format of their
// own, apart from the library's `real`.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/runtime/dispatch.h"

namespace serenade {

/// float16 is IEEE 754 binary16: 11 bits of precision, up to 65504.
enum class SpectrogramFormat { float32, float16 };

inline std::size_t bytes_per_value(SpectrogramFormat format) {
  return format == SpectrogramFormat::float16 ? 2 : 4;
}

/// What is written for a frequency bin with magnitude |X|.
enum class SpectrumValue {
  log,        ///< log(|X| + offset)
  magnitude,  ///< |X|
  power,      ///< |X|^2
  mulaw       ///< log(1 + 255 |X| / (window / 2)) / log(256)
};

struct SpectrogramShape {
  std::int64_t samples = 0;  ///< of the signal
  /// Of `window` samples, `hop_length` apart; zeros past the signal's end.
  std::int64_t frames = 0;
  int window = 640;
  int hop_length = 160;
  int n_fft = 16384;  ///< points; at least `window`
  int bins = 4096;    ///< the first ones; at most n_fft / 2 + 1
  SpectrumValue value = SpectrumValue::log;
  double offset = 1e-4;

  /// Pairs of samples in a frame; see spectrogram_table().
  int pairs() const { return window / 2; }
};

/// The transform's factors, in host memory: cosines [pairs, bins], then sines [pairs, bins].
/// Computed in double and rounded once.
///
/// The periodic Hann window is 0 at sample 0 and symmetric about window / 2, and a magnitude does
/// not depend on where the phase is counted from. Counted from window / 2, sample n = 1 .. pairs
/// and its mirror image window - n have the same cosine and opposite sines:
///   Re X[f] =  sum_n (x[n] + x[window - n]) hann[n] cos(2 pi f (window / 2 - n) / n_fft)
///   Im X[f] = -sum_n (x[window - n] - x[n]) hann[n] sin(2 pi f (window / 2 - n) / n_fft)
/// half of the products of a transform that does not use the symmetry. hann is in the factors; that
/// of the middle sample of an even window, its own mirror image, is halved, so that it counts once.
std::vector<float> spectrogram_table(const SpectrogramShape& shape);

/// spectrogram [bins, frames] row-major: the spectrum of every frame, overwritten.
/// samples: [samples] in [-1, 1]; table: spectrogram_table(shape), on the device. Sums are float32.
/// A value that float16 cannot hold becomes infinite; only `power` makes such.
DECLARE_KERNEL(void spectrogram(void* spectrogram, SpectrogramFormat format, const float* samples,
                                const float* table, const SpectrogramShape& shape));

/// Triangles of a mel filter bank, all pointers on the device: band m weights the frequencies
/// first[m] + i by weights[begin[m] + i] for i < begin[m + 1] - begin[m].
struct MelBands {
  std::int64_t bands = 0;
  const std::int32_t* first = nullptr;  ///< [bands]
  const std::int32_t* begin = nullptr;  ///< [bands + 1]
  const float* weights = nullptr;       ///< [begin[bands]]
  double offset = 1e-6;
};

/// spectrogram [bands, frames]: log(sum of the weighted powers + offset), overwritten.
/// power: [bins, frames], a spectrogram of SpectrumValue::power in float32.
DECLARE_KERNEL(void mel_spectrogram(void* spectrogram, SpectrogramFormat format, const float* power,
                                    std::int64_t frames, const MelBands& bands));

/// moments [rows, 2]: of each row of a spectrogram [rows, frames] its mean and the sum of squared
/// distances from it, in double. frames >= 1.
DECLARE_KERNEL(void spectrogram_moments(double* moments, const void* spectrogram,
                                        SpectrogramFormat format, std::int64_t rows,
                                        std::int64_t frames));

/// A stretch of frames of one spectrogram. The struct lies in host memory, the values on the
/// device.
struct SpectrogramPiece {
  const void* spectrogram = nullptr;  ///< [rows, spectrogram_frames]
  std::int64_t spectrogram_frames = 0;
  std::int64_t first = 0;       ///< frame
  std::int64_t frames = 0;      ///< from there on; at most the batch's length
  const real* mean = nullptr;   ///< [rows]
  const real* scale = nullptr;  ///< [rows]
};

/// batch [count, rows, length], overwritten: (value - mean[row]) * scale[row], and zeros past the
/// end of a piece. All spectrograms have the same format.
DECLARE_KERNEL(void gather_pieces(real* batch, const SpectrogramPiece* pieces, std::int64_t count,
                                  std::int64_t rows, std::int64_t length,
                                  SpectrogramFormat format));

}  // namespace serenade
