// Spectrograms of sound on the host. Training here uses spectrogram_moments() and gather_pieces();
// its spectrograms come from a fast Fourier transform (apps/ser/features/features.cpp), and
// spectrogram() is the definition that devices are held to.

#include "kernels/spectrogram/spectrogram.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/half.h"

namespace serenade {

std::vector<float> spectrogram_table(const SpectrogramShape& shape) {
  // An angle is pi k / n_fft with an integer k, modulo the circle: exact before cos and sin,
  // and each of the 2 n_fft angles is looked up.
  const std::int64_t circle = 2 * std::int64_t{shape.n_fft}, bins = shape.bins;
  std::vector<double> cosines(static_cast<std::size_t>(circle)), sines(cosines.size());
  for (std::int64_t k = 0; k < circle; ++k) {
    const double angle = std::numbers::pi * static_cast<double>(k) / shape.n_fft;
    cosines[k] = std::cos(angle);
    sines[k] = std::sin(angle);
  }
  std::vector<float> table(static_cast<std::size_t>(2 * shape.pairs() * bins));
  cpu::parallel_items(shape.pairs(), bins, [&](std::int64_t pair) {
    const std::int64_t n = pair + 1, twice_distance = shape.window - 2 * n;
    double hann = 0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * static_cast<double>(n) /
                                       static_cast<double>(shape.window));
    if (twice_distance == 0) hann *= 0.5;
    float* row = &table[static_cast<std::size_t>(pair * bins)];
    for (std::int64_t f = 0; f < bins; ++f) {
      const std::int64_t k = f * twice_distance % circle;
      row[f] = static_cast<float>(hann * cosines[k]);
      row[shape.pairs() * bins + f] = static_cast<float>(hann * sines[k]);
    }
  });
  return table;
}

namespace cpu {

namespace {

float to_float(float value) { return value; }
float to_float(std::uint16_t half) { return half_to_float(half); }
void store(float& to, float value) { to = value; }
void store(std::uint16_t& to, float value) { to = float_to_half(value); }

// Calls f(spectrogram) with a pointer to the values that the format stores.
template <class F>
void with_values(void* spectrogram, SpectrogramFormat format, F f) {
  if (format == SpectrogramFormat::float16) {
    f(static_cast<std::uint16_t*>(spectrogram));
  } else {
    f(static_cast<float*>(spectrogram));
  }
}
template <class F>
void with_values(const void* spectrogram, SpectrogramFormat format, F f) {
  if (format == SpectrogramFormat::float16) {
    f(static_cast<const std::uint16_t*>(spectrogram));
  } else {
    f(static_cast<const float*>(spectrogram));
  }
}

float spectrum_value(float re, float im, const SpectrogramShape& shape) {
  const float power = re * re + im * im;
  switch (shape.value) {
    case SpectrumValue::log:
      return std::log(std::sqrt(power) + static_cast<float>(shape.offset));
    case SpectrumValue::magnitude:
      return std::sqrt(power);
    case SpectrumValue::power:
      return power;
    case SpectrumValue::mulaw: {
      const float loudest = 0.5f * static_cast<float>(shape.window);
      return std::log1p(255.0f * std::sqrt(power) / loudest) / std::log(256.0f);
    }
  }
  return 0;
}

constexpr int kBins = 16;  // that are summed together: two sums each, which fit the registers

struct Sums {
  float re[kBins] = {}, im[kBins] = {};
};

// The sums of bins first .. first + width - 1 of the frame that begins at sample `begin`.
template <class Width>
Sums sum_pairs(const float* samples, const float* table, const SpectrogramShape& shape,
               std::int64_t begin, std::int64_t first, Width width) {
  const auto sample = [&](std::int64_t i) { return i < shape.samples ? samples[i] : 0.0f; };
  const float* sines = table + std::int64_t{shape.pairs()} * shape.bins;
  Sums sums;
  for (std::int64_t n = 1; n <= shape.pairs(); ++n) {
    const float left = sample(begin + n), right = sample(begin + shape.window - n);
    const float sum = left + right, difference = right - left;
    const std::int64_t row = (n - 1) * shape.bins + first;
    for (int f = 0; f < width; ++f) sums.re[f] += sum * table[row + f];
    for (int f = 0; f < width; ++f) sums.im[f] -= difference * sines[row + f];
  }
  return sums;
}

}  // namespace

void spectrogram(void* spectrogram, SpectrogramFormat format, const float* samples,
                 const float* table, const SpectrogramShape& shape) {
  const std::int64_t blocks = (shape.bins + kBins - 1) / kBins;
  with_values(spectrogram, format, [&](auto* values) {
    parallel_items(blocks, kBins * shape.pairs() * shape.frames, [&](std::int64_t block) {
      const std::int64_t first = block * kBins;
      const int width = static_cast<int>(std::min<std::int64_t>(kBins, shape.bins - first));
      const std::integral_constant<int, kBins> all;
      for (std::int64_t t = 0; t < shape.frames; ++t) {
        const std::int64_t begin = t * shape.hop_length;
        const Sums sums = width == kBins ? sum_pairs(samples, table, shape, begin, first, all)
                                         : sum_pairs(samples, table, shape, begin, first, width);
        for (int f = 0; f < width; ++f) {
          store(values[(first + f) * shape.frames + t],
                spectrum_value(sums.re[f], sums.im[f], shape));
        }
      }
    });
  });
}

void mel_spectrogram(void* spectrogram, SpectrogramFormat format, const float* power,
                     std::int64_t frames, const MelBands& bands) {
  constexpr std::int64_t kFrames = 64;
  const float offset = static_cast<float>(bands.offset);
  if (bands.bands == 0) return;
  const std::int64_t work = frames * (bands.begin[bands.bands] / bands.bands + 1);
  with_values(spectrogram, format, [&](auto* values) {
    parallel_items(bands.bands, work, [&](std::int64_t m) {
      for (std::int64_t start = 0; start < frames; start += kFrames) {
        const std::int64_t count = std::min(kFrames, frames - start);
        float energy[kFrames] = {};
        for (std::int32_t i = bands.begin[m]; i < bands.begin[m + 1]; ++i) {
          const std::int64_t bin = bands.first[m] + (i - bands.begin[m]);
          const float* row = power + bin * frames + start;
          for (std::int64_t t = 0; t < count; ++t) energy[t] += bands.weights[i] * row[t];
        }
        for (std::int64_t t = 0; t < count; ++t) {
          store(values[m * frames + start + t], std::log(energy[t] + offset));
        }
      }
    });
  });
}

namespace {

// The moments of `Rows` rows together: each sum waits for its last addition, so several keep the
// processor busy. The order of each is that of a single row.
template <int Rows, class Number>
void moments_of_rows(double* moments, const Number* values, std::int64_t frames) {
  double sum[Rows] = {}, mean[Rows], squares[Rows] = {};
  for (std::int64_t t = 0; t < frames; ++t) {
    for (int r = 0; r < Rows; ++r) sum[r] += static_cast<double>(to_float(values[r * frames + t]));
  }
  for (int r = 0; r < Rows; ++r) mean[r] = sum[r] / static_cast<double>(frames);
  for (std::int64_t t = 0; t < frames; ++t) {
    for (int r = 0; r < Rows; ++r) {
      const double distance = static_cast<double>(to_float(values[r * frames + t])) - mean[r];
      squares[r] += distance * distance;
    }
  }
  for (int r = 0; r < Rows; ++r) {
    moments[2 * r] = mean[r];
    moments[2 * r + 1] = squares[r];
  }
}

}  // namespace

void spectrogram_moments(double* moments, const void* spectrogram, SpectrogramFormat format,
                         std::int64_t rows, std::int64_t frames) {
  constexpr int kTogether = 4;
  with_values(spectrogram, format, [&](const auto* values) {
    parallel_items((rows + kTogether - 1) / kTogether, kTogether * frames, [&](std::int64_t group) {
      const std::int64_t first = group * kTogether, last = std::min(rows, first + kTogether);
      if (last - first == kTogether) {
        moments_of_rows<kTogether>(moments + 2 * first, values + first * frames, frames);
        return;
      }
      for (std::int64_t r = first; r < last; ++r) {
        moments_of_rows<1>(moments + 2 * r, values + r * frames, frames);
      }
    });
  });
}

void gather_pieces(real* batch, const SpectrogramPiece* pieces, std::int64_t count,
                   std::int64_t rows, std::int64_t length, SpectrogramFormat format) {
  parallel_items(count * rows, length, [=](std::int64_t item) {
    const SpectrogramPiece& piece = pieces[item / rows];
    const std::int64_t row = item % rows;
    const real mean = piece.mean[row], scale = piece.scale[row];
    real* to = batch + item * length;
    with_values(piece.spectrogram, format, [&](const auto* values) {
      const auto* from = values + row * piece.spectrogram_frames + piece.first;
      for (std::int64_t t = 0; t < piece.frames; ++t) {
        to[t] = (static_cast<real>(to_float(from[t])) - mean) * scale;
      }
    });
    std::fill(to + piece.frames, to + length, real(0));
  });
}

}  // namespace cpu

}  // namespace serenade
