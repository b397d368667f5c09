// Spectrograms of sound against their formulas in double, and half precision against its
// definition.

#include "kernels/spectrogram/spectrogram.h"

#include <doctest/doctest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <numbers>

#include "kernels/runtime/half.h"
#include "tensor/random.h"

using namespace serenade;

namespace {

std::vector<float> noise(std::int64_t count, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(0.3 * normal({seed, Purpose::test, 0}, i));
  }
  return values;
}

// |X| of one frame and bin from the definition: a Hann window, then a Fourier sum.
double magnitude_by_definition(const std::vector<float>& signal, const SpectrogramShape& shape,
                               std::int64_t frame, std::int64_t bin) {
  constexpr double kPi = std::numbers::pi;
  std::complex<double> sum = 0;
  for (std::int64_t n = 0; n < shape.window; ++n) {
    const std::int64_t i = frame * shape.hop_length + n;
    const double x = i < shape.samples ? signal[static_cast<std::size_t>(i)] : 0.0;
    const double hann = 0.5 - 0.5 * std::cos(2 * kPi * double(n) / shape.window);
    const double turns = double(bin * n % shape.n_fft) / shape.n_fft;
    sum += x * hann * std::polar(1.0, -2 * kPi * turns);
  }
  return std::abs(sum);
}

double value_of(double magnitude, const SpectrogramShape& shape) {
  switch (shape.value) {
    case SpectrumValue::log:
      return std::log(magnitude + shape.offset);
    case SpectrumValue::magnitude:
      return magnitude;
    case SpectrumValue::power:
      return magnitude * magnitude;
    case SpectrumValue::mulaw:
      return std::log(1 + 255 * magnitude / (shape.window / 2.0)) / std::log(256.0);
  }
  return 0;
}

// How far a value may be off where the magnitude is off by `error`, apart from rounding itself.
double slack(double magnitude, double error, const SpectrogramShape& shape) {
  return std::abs(value_of(magnitude + error, shape) - value_of(magnitude, shape)) +
         std::abs(value_of(std::max(0.0, magnitude - error), shape) - value_of(magnitude, shape));
}

// The spectrogram of a shape, and its largest error in units of what rounding may make of it.
double spectrogram_error(const SpectrogramShape& shape, SpectrogramFormat format) {
  const std::vector<float> signal = noise(shape.samples, 1), table = spectrogram_table(shape);
  REQUIRE(table.size() == static_cast<std::size_t>(2 * shape.pairs() * shape.bins));
  const auto values = static_cast<std::size_t>(shape.bins * shape.frames);
  std::vector<float> single(values);
  std::vector<std::uint16_t> half(values);
  const bool halves = format == SpectrogramFormat::float16;
  cpu::spectrogram(halves ? static_cast<void*>(half.data()) : single.data(), format, signal.data(),
                   table.data(), shape);
  // Sums of `pairs` terms, none of which is larger than 2 * 0.3 * a few.
  const double error = 1e-7 * (1 + 4 * std::sqrt(double(shape.pairs())));
  double worst = 0;
  for (std::int64_t f = 0; f < shape.bins; ++f) {
    for (std::int64_t t = 0; t < shape.frames; ++t) {
      const double magnitude = magnitude_by_definition(signal, shape, t, f);
      const double expected = value_of(magnitude, shape);
      const auto at = static_cast<std::size_t>(f * shape.frames + t);
      const double actual = halves ? half_to_float(half[at]) : single[at];
      const double rounding = halves ? 0x1p-11 * std::abs(expected) + 0x1p-25 : 0;
      const double allowed = slack(magnitude, error, shape) + 1e-6 * std::abs(expected) + rounding;
      worst = std::max(worst, std::abs(actual - expected) / (allowed + 1e-12));
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("spectrogram is a Hann window and a Fourier sum, for every kind of value") {
  for (const SpectrumValue value :
       {SpectrumValue::log, SpectrumValue::magnitude, SpectrumValue::power, SpectrumValue::mulaw}) {
    for (const int window : {64, 63, 1, 2, 3}) {
      for (const SpectrogramFormat format :
           {SpectrogramFormat::float32, SpectrogramFormat::float16}) {
        CAPTURE(static_cast<int>(value));
        CAPTURE(window);
        SpectrogramShape shape{.samples = 150, .frames = 5, .window = window, .hop_length = 20};
        shape.n_fft =
            100;  // of which 51 bins are not mirror images of others, three tiles and a rest
        shape.bins = 51;
        shape.value = value;
        CHECK(spectrogram_error(shape, format) < 1);
      }
    }
  }
}

TEST_CASE("spectrogram of both presets, of signals that end early, of one bin and frame") {
  const auto shape = [](std::int64_t samples, std::int64_t frames, int n_fft, int bins) {
    return SpectrogramShape{.samples = samples, .frames = frames, .n_fft = n_fft, .bins = bins};
  };
  CHECK(spectrogram_error(shape(800, 2, 16384, 4096), SpectrogramFormat::float32) < 1);
  CHECK(spectrogram_error(shape(1500, 6, 800, 200), SpectrogramFormat::float32) < 1);
  CHECK(spectrogram_error(shape(100, 1, 800, 401), SpectrogramFormat::float32) < 1);
  CHECK(spectrogram_error(shape(700, 9, 641, 3), SpectrogramFormat::float16) <
        1);  // zeros from 4 on
  CHECK(spectrogram_error(shape(1, 1, 640, 1), SpectrogramFormat::float32) < 1);
  CHECK(spectrogram_error(shape(0, 1, 640, 2), SpectrogramFormat::float32) < 1);
  CHECK(spectrogram_error(shape(640, 0, 640, 2), SpectrogramFormat::float32) == 0);
}

TEST_CASE("the factors of a spectrogram are exact at any angle") {
  const SpectrogramShape shape{.window = 640, .n_fft = 16384, .bins = 8193};
  const std::vector<float> table = spectrogram_table(shape);
  const std::size_t sines = table.size() / 2;
  // Half a circle from the middle: 8192 * 128 / 16384 is 64 turns.
  const std::size_t at = (192 - 1) * 8193 + 8192;
  const double hann = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * 192 / 640);
  CHECK(table[at] == static_cast<float>(hann));
  CHECK(table[sines + at] == 0.0f);
  CHECK(table[(320 - 1) * 8193 + 77] == 0.5f);  // the middle, which is added to itself
}

TEST_CASE("a power that half precision cannot hold becomes infinite") {
  const SpectrogramShape shape{
      .samples = 640, .frames = 1, .n_fft = 640, .bins = 2, .value = SpectrumValue::power};
  const std::vector<float> ones(640, 1.0f), table = spectrogram_table(shape);
  std::vector<std::uint16_t> spectrogram(2);
  cpu::spectrogram(spectrogram.data(), SpectrogramFormat::float16, ones.data(), table.data(),
                   shape);
  CHECK(spectrogram[0] == 0x7C00);  // 320^2
  CHECK(half_to_float(spectrogram[1]) == doctest::Approx(160.0 * 160.0).epsilon(1e-3));
}

TEST_CASE("mel_spectrogram is the logarithm of weighted powers") {
  const std::int64_t bins = 9;
  const std::vector<std::int32_t> first = {0, 3, 8, 2}, begin = {0, 2, 6, 7, 7};
  std::vector<float> weights = noise(7, 3);
  for (float& w : weights) w = std::abs(w);
  for (const std::int64_t frames : {1, 5, 131}) {
    std::vector<float> power = noise(bins * frames, 4);
    for (float& p : power) p *= p;
    const MelBands bands{4, first.data(), begin.data(), weights.data(), 1e-3};
    std::vector<float> single(static_cast<std::size_t>(4 * frames));
    std::vector<std::uint16_t> half(single.size());
    cpu::mel_spectrogram(single.data(), SpectrogramFormat::float32, power.data(), frames, bands);
    cpu::mel_spectrogram(half.data(), SpectrogramFormat::float16, power.data(), frames, bands);
    for (std::int64_t m = 0; m < 4; ++m) {
      for (std::int64_t t = 0; t < frames; ++t) {
        double energy = 0;
        for (std::int64_t i = 0; i < begin[m + 1] - begin[m]; ++i) {
          energy += double(weights[begin[m] + i]) * double(power[(first[m] + i) * frames + t]);
        }
        const auto at = static_cast<std::size_t>(m * frames + t);
        CHECK(single[at] == doctest::Approx(std::log(energy + 1e-3)).epsilon(1e-5));
        CHECK(half[at] == float_to_half(single[at]));
      }
    }
  }
}

TEST_CASE("spectrogram_moments are sums in double, in the order of the frames") {
  for (const std::int64_t rows : {1, 4, 7, 300}) {
    for (const std::int64_t frames : {1, 2, 201}) {
      std::vector<float> spectrogram = noise(rows * frames, 5);
      std::vector<std::uint16_t> half;
      for (const float v : spectrogram) half.push_back(float_to_half(v));
      for (const bool halves : {false, true}) {
        std::vector<double> moments(static_cast<std::size_t>(2 * rows), -1);
        if (halves) {
          for (std::size_t i = 0; i < spectrogram.size(); ++i)
            spectrogram[i] = half_to_float(half[i]);
          cpu::spectrogram_moments(moments.data(), half.data(), SpectrogramFormat::float16, rows,
                                   frames);
        } else {
          cpu::spectrogram_moments(moments.data(), spectrogram.data(), SpectrogramFormat::float32,
                                   rows, frames);
        }
        int wrong = 0;
        for (std::int64_t r = 0; r < rows; ++r) {
          const float* row = &spectrogram[static_cast<std::size_t>(r * frames)];
          double sum = 0, squares = 0;
          for (std::int64_t t = 0; t < frames; ++t) sum += row[t];
          const double mean = sum / double(frames);
          for (std::int64_t t = 0; t < frames; ++t) squares += (row[t] - mean) * (row[t] - mean);
          wrong += moments[2 * r] != mean || moments[2 * r + 1] != squares;
        }
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("gather_pieces normalises stretches of spectrograms and pads them with zeros") {
  const std::int64_t rows = 130, length = 40;
  const std::vector<float> long_one = noise(rows * 90, 6), short_one = noise(rows * 7, 7);
  std::vector<std::uint16_t> long_half, short_half;
  for (const float v : long_one) long_half.push_back(float_to_half(v));
  for (const float v : short_one) short_half.push_back(float_to_half(v));
  std::vector<real> mean, scale;
  for (const float v : noise(2 * rows, 8)) (mean.size() < 130u ? mean : scale).push_back(real(v));
  const auto pieces = [&](const void* a, const void* b) {
    return std::vector<SpectrogramPiece>{{a, 90, 50, length, mean.data(), scale.data()},
                                         {b, 7, 0, 7, mean.data(), scale.data()},
                                         {a, 90, 89, 1, scale.data(), mean.data()},
                                         {b, 7, 3, 0, mean.data(), scale.data()}};
  };
  for (const bool halves : {false, true}) {
    const auto table = halves ? pieces(long_half.data(), short_half.data())
                              : pieces(long_one.data(), short_one.data());
    std::vector<real> batch(static_cast<std::size_t>(4 * rows * length), real(-1));
    cpu::gather_pieces(batch.data(), table.data(), 4, rows, length,
                       halves ? SpectrogramFormat::float16 : SpectrogramFormat::float32);
    int wrong = 0;
    for (std::int64_t i = 0; i < 4 * rows * length; ++i) {
      const SpectrogramPiece& piece = table[static_cast<std::size_t>(i / (rows * length))];
      const std::int64_t r = i / length % rows, t = i % length;
      const auto at = static_cast<std::size_t>(r * piece.spectrogram_frames + piece.first + t);
      const bool is_long = piece.spectrogram_frames == 90;
      real expected = 0;
      if (t < piece.frames) {
        const float value = halves ? half_to_float((is_long ? long_half : short_half)[at])
                                   : (is_long ? long_one : short_one)[at];
        expected = (real(value) - piece.mean[r]) * piece.scale[r];
      }
      wrong += batch[static_cast<std::size_t>(i)] != expected;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("half precision: every half is the value that IEEE 754 says, and comes back") {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const int exponent = bits >> 10 & 31, fraction = bits & 0x3FF;
    const float value = half_to_float(half);
    if (exponent == 31 && fraction != 0) {
      wrong += !std::isnan(value) || float_to_half(value) != 0x7FFF;
      continue;
    }
    double expected =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) expected = std::numeric_limits<double>::infinity();
    if (bits >> 15) expected = -expected;
    wrong += value != expected || std::signbit(value) != std::signbit(expected);
    wrong += float_to_half(value) != half;
  }
  CHECK(wrong == 0);
}

TEST_CASE("half precision: floats are rounded to the nearest half, ties to even") {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 0x7C00; ++bits) {  // between a half and the next
    const auto low = static_cast<std::uint16_t>(bits), high = static_cast<std::uint16_t>(bits + 1);
    const float a = half_to_float(low), b = high == 0x7C00 ? 65536.0f : half_to_float(high);
    const float tie = 0.5f * (a + b);
    const float below = std::nextafter(tie, 0.0f), above = std::nextafter(tie, 1e9f);
    const std::uint16_t even = low % 2 == 0 ? low : high;
    for (const std::uint16_t sign : {0, 0x8000}) {
      const float s = sign ? -1.0f : 1.0f;
      wrong += float_to_half(s * std::nextafter(a, b)) != (low | sign);
      wrong += float_to_half(s * below) != (low | sign);
      wrong += float_to_half(s * tie) != (even | sign);
      wrong += float_to_half(s * above) != (high | sign);
      wrong += float_to_half(s * std::nextafter(b, 0.0f)) != (high | sign);
    }
  }
  CHECK(wrong == 0);
  CHECK(float_to_half(65519.996f) == 0x7BFF);
  CHECK(float_to_half(65520.0f) == 0x7C00);
  CHECK(float_to_half(-1e30f) == 0xFC00);
  CHECK(float_to_half(std::numeric_limits<float>::infinity()) == 0x7C00);
  CHECK(float_to_half(-std::numeric_limits<float>::quiet_NaN()) == 0x7FFF);
  CHECK(float_to_half(1e-40f) == 0);  // a subnormal float
  CHECK(float_to_half(-0.0f) == 0x8000);
}
