#include "kernels/spectrogram/spectrogram.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "kernels/runtime/half.h"
#include "kernels/spectrogram/cuda/versions.h"
#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

using Halves = std::vector<std::uint16_t>;
using Floats = std::vector<float>;

constexpr SpectrogramFormat kFormats[] = {SpectrogramFormat::float32, SpectrogramFormat::float16};

Floats random_floats(std::int64_t count, std::uint64_t seed, double scale = 1) {
  Floats floats;
  for (const real v : random_values(count, seed)) floats.push_back(static_cast<float>(scale * v));
  return floats;
}

Halves halves_of(const Floats& floats) {
  Halves halves;
  for (const float v : floats) halves.push_back(float_to_half(v));
  return halves;
}

template <class T>
Values values_of(const std::vector<T>& values) {
  Values reals;
  for (const T v : values) {
    if constexpr (sizeof(T) == 2) {
      reals.push_back(static_cast<real>(half_to_float(v)));
    } else {
      reals.push_back(static_cast<real>(v));
    }
  }
  return reals;
}

// Runs make(spectrogram) for a spectrogram of the format, in host memory and on the device.
template <class Make>
Values on_host(std::size_t count, SpectrogramFormat format, Make make) {
  Floats floats(count);
  Halves halves(count);
  const bool half = format == SpectrogramFormat::float16;
  make(half ? static_cast<void*>(halves.data()) : floats.data());
  return half ? values_of(halves) : values_of(floats);
}
template <class Make>
Values on_device(std::size_t count, SpectrogramFormat format, Make make) {
  if (format == SpectrogramFormat::float16) {
    const DeviceVector<std::uint16_t> spectrogram(count);
    make(static_cast<void*>(spectrogram.data()));
    return values_of(spectrogram.values());
  }
  const DeviceVector<float> spectrogram(count);
  make(static_cast<void*>(spectrogram.data()));
  return values_of(spectrogram.values());
}

// A spectrogram in host memory and on the device, in both formats.
struct Spectrogram {
  Floats floats;
  Halves halves;
  DeviceVector<float> device_floats;
  DeviceVector<std::uint16_t> device_halves;

  explicit Spectrogram(const Floats& values)
      : floats(values), halves(halves_of(values)), device_floats(floats), device_halves(halves) {}

  const void* on_host(SpectrogramFormat format) const {
    return format == SpectrogramFormat::float16 ? static_cast<const void*>(halves.data())
                                                : floats.data();
  }
  const void* on_device(SpectrogramFormat format) const {
    return format == SpectrogramFormat::float16 ? static_cast<const void*>(device_halves.data())
                                                : device_floats.data();
  }
};

// Float sums in another order, of float32 values in either build, and the halves between which
// such a sum may fall.
double spectrogram_tolerance(SpectrogramFormat format) {
  return format == SpectrogramFormat::float16 ? 2e-4 : 2e-6;
}

using SpectrogramVersion = void (*)(void*, SpectrogramFormat, const float*, const float*,
                                    const SpectrogramShape&);

void check_spectrogram(SpectrogramVersion version, const SpectrogramShape& shape,
                       SpectrogramFormat format) {
  CAPTURE(shape.frames);
  CAPTURE(shape.window);
  CAPTURE(shape.bins);
  CAPTURE(static_cast<int>(shape.value));
  CAPTURE(static_cast<int>(format));
  const Floats samples = random_floats(shape.samples, 1, 0.3), table = spectrogram_table(shape);
  const auto count = static_cast<std::size_t>(shape.bins * shape.frames);
  const Values expected = on_host(count, format, [&](void* spectrogram) {
    cpu::spectrogram(spectrogram, format, samples.data(), table.data(), shape);
  });
  const DeviceVector<float> device_samples(samples), device_table(table);
  const Values actual = run_repeatedly([&] {
    return on_device(count, format, [&](void* spectrogram) {
      version(spectrogram, format, device_samples.data(), device_table.data(), shape);
    });
  });
  CHECK(relative_error(actual, expected) < spectrogram_tolerance(format));
}

}  // namespace

TEST_CASE("cuda spectrograms: a spectrogram of every shape, by both versions and the one in use") {
  struct Case {
    std::int64_t samples, frames;
    int window, hop_length, n_fft, bins;
  };
  const Case cases[] = {
      {400, 67, 33, 5, 64, 33},  // more than one tile of frames; an odd window; bins of any number
      {300, 20, 40, 12, 500, 132},  // more than one tile of bins, in copies of 16 bytes
      {301, 6, 16, 31, 300, 131},   // whole steps; the last frames end past the signal
      {10, 1, 23, 7, 23, 12},       // a signal shorter than its window
      {9, 5, 2, 1, 2, 1},           // one pair
      {9, 5, 1, 1, 20, 11},         // none: all is zero
      {5, 9, 8, 3, 16, 9},          // frames with nothing in them
      {30, 70, 16, 5, 32, 17},      // a whole tile of frames past the signal's end
      {0, 4, 4, 2, 4, 3},           // no sample
      {20, 0, 4, 2, 4, 3},          // no frame
  };
  for (const SpectrogramVersion version :
       {&cuda::spectrogram, &cuda::spectrogram_v0_plain, &cuda::spectrogram_v1_register_block}) {
    for (const Case& c : cases) {
      const SpectrogramShape shape{.samples = c.samples,
                                   .frames = c.frames,
                                   .window = c.window,
                                   .hop_length = c.hop_length,
                                   .n_fft = c.n_fft,
                                   .bins = c.bins};
      check_spectrogram(version, shape, SpectrogramFormat::float32);
    }
  }
}

TEST_CASE("cuda spectrograms: every value of a spectrum in both formats") {
  for (const SpectrogramVersion version :
       {&cuda::spectrogram_v0_plain, &cuda::spectrogram_v1_register_block}) {
    for (const SpectrogramFormat format : kFormats) {
      for (const SpectrumValue value : {SpectrumValue::log, SpectrumValue::magnitude,
                                        SpectrumValue::power, SpectrumValue::mulaw}) {
        SpectrogramShape shape{.samples = 90, .frames = 11, .window = 20, .hop_length = 7};
        shape.n_fft = 36;
        shape.bins = 19;
        shape.value = value;
        shape.offset = 1e-2;
        check_spectrogram(version, shape, format);
      }
    }
  }
}

TEST_CASE("cuda spectrograms: values are rounded to half precision as on the CPU") {
  // With a window of two samples and factors of our own a power is re^2 + im^2 of two samples: the
  // sum of a pair of which one is zero. Squares of values with few bits are exact, so what is
  // rounded is known: ties among normal and subnormal halves, their neighbours, the largest ones.
  Floats samples;
  for (float scale = 0x1p-16f; scale < 32; scale *= 2) {
    for (int i = 1; i < 64; ++i) samples.push_back(scale * static_cast<float>(i));
  }
  samples.insert(samples.end(), {0.0f, 255.93748f, 255.9687f, 255.96875f, 256.0f, 1e30f,
                                 std::numeric_limits<float>::quiet_NaN()});
  const auto frames = static_cast<std::int64_t>(samples.size());
  for (const float sine : {0.0f, 1.0f, 3.0f}) {  // added: im^2 of a sample that is the same
    SpectrogramShape shape{.samples = 3 * frames, .frames = frames, .window = 3, .hop_length = 3};
    shape.bins = 1;
    shape.value = SpectrumValue::power;
    Floats signal;  // sample 1 of each frame; sample 2, its mirror image, is zero
    Halves expected;
    for (const float v : samples) {
      signal.insert(signal.end(), {7.0f, v, 0.0f});
      expected.push_back(float_to_half(v * v + v * sine * (v * sine)));
    }
    const DeviceVector<float> device_signal(signal), table(Floats{1.0f, sine});
    for (const SpectrogramVersion version :
         {&cuda::spectrogram_v0_plain, &cuda::spectrogram_v1_register_block}) {
      const DeviceVector<std::uint16_t> spectrogram(static_cast<std::size_t>(frames));
      version(spectrogram.data(), SpectrogramFormat::float16, device_signal.data(), table.data(),
              shape);
      CHECK(spectrogram.values() == expected);
    }
  }
}

TEST_CASE("cuda spectrograms: every half is read as its value") {
  const std::int64_t rows = 64, frames = 1024;
  Halves all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  const DeviceVector<std::uint16_t> spectrogram(all);
  const DeviceValues mean(Values(64, 0)), scale(Values(64, 1)), batch(all.size());
  const SpectrogramPiece piece{spectrogram.data(), frames, 0, frames, mean.data(), scale.data()};
  cuda::gather_pieces(batch.data(), &piece, 1, rows, frames, SpectrogramFormat::float16);
  const Values actual = batch.values();
  int wrong = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const float expected = half_to_float(all[i]);
    wrong += std::isnan(expected) ? !std::isnan(actual[i]) : actual[i] != expected;
  }
  CHECK(wrong == 0);
}

TEST_CASE("cuda spectrograms: mel bands of a power spectrogram") {
  const std::vector<std::int32_t> first = {0, 3, 8, 2}, begin = {0, 2, 6, 7, 7};
  Floats weights = random_floats(7, 3);
  for (float& w : weights) w = std::abs(w);
  const DeviceVector<std::int32_t> device_first(first), device_begin(begin);
  const DeviceVector<float> device_weights(weights);
  for (const std::int64_t frames : {0, 1, 90}) {
    Floats power = random_floats(9 * frames, 4);
    for (float& p : power) p *= p;
    const DeviceVector<float> device_power(power);
    for (const SpectrogramFormat format : kFormats) {
      const auto count = static_cast<std::size_t>(4 * frames);
      const Values expected = on_host(count, format, [&](void* spectrogram) {
        cpu::mel_spectrogram(spectrogram, format, power.data(), frames,
                             {4, first.data(), begin.data(), weights.data(), 1e-3});
      });
      const Values actual = run_repeatedly([&] {
        return on_device(count, format, [&](void* spectrogram) {
          cuda::mel_spectrogram(
              spectrogram, format, device_power.data(), frames,
              {4, device_first.data(), device_begin.data(), device_weights.data(), 1e-3});
        });
      });
      CHECK(relative_error(actual, expected) < spectrogram_tolerance(format));
    }
  }
}

TEST_CASE("cuda spectrograms: moments of rows") {
  for (const std::int64_t rows : {1, 37}) {
    for (const std::int64_t frames : {1, 31, 32, 101}) {
      Floats values = random_floats(rows * frames, 5);
      for (float& v : values) v += 3;
      const Spectrogram spectrogram(values);
      for (const SpectrogramFormat format : kFormats) {
        std::vector<double> expected(static_cast<std::size_t>(2 * rows));
        cpu::spectrogram_moments(expected.data(), spectrogram.on_host(format), format, rows,
                                 frames);
        std::vector<double> moments;
        run_repeatedly([&] {
          const DeviceVector<double> result(expected.size());
          cuda::spectrogram_moments(result.data(), spectrogram.on_device(format), format, rows,
                                    frames);
          moments = result.values();
          return values_of(moments);
        });
        double worst = 0;
        for (std::size_t i = 0; i < moments.size(); ++i) {
          worst = std::max(worst, std::abs(moments[i] - expected[i]));
        }
        CHECK(worst < 1e-12);
      }
    }
  }
}

TEST_CASE("cuda spectrograms: normalised pieces have the CPU's bits") {
  const std::int64_t rows = 9;
  const Spectrogram longer(random_floats(rows * 400, 6)), shorter(random_floats(rows * 7, 7));
  const Values mean = random_values(rows, 8), scale = random_values(rows, 9);
  const DeviceValues device_mean(mean), device_scale(scale);
  for (const std::int64_t length : {1, 7, 40, 300}) {
    for (const SpectrogramFormat format : kFormats) {
      CAPTURE(length);
      const auto pieces = [&](bool on_device) {
        const auto place = [&](const Spectrogram& p) {
          return on_device ? p.on_device(format) : p.on_host(format);
        };
        const real* means = on_device ? device_mean.data() : mean.data();
        const real* scales = on_device ? device_scale.data() : scale.data();
        const auto at_most = [&](std::int64_t n) { return std::min(length, n); };
        return std::vector<SpectrogramPiece>{
            {place(longer), 400, 77, length, means, scales},
            {place(shorter), 7, 0, at_most(7), means, scales},
            {place(shorter), 7, 3, at_most(4), scales, means},
            {place(longer), 400, 399, 1, means, means},
            {place(longer), 400, 5, 0, means, scales},
        };
      };
      Values expected(static_cast<std::size_t>(5 * rows * length));
      cpu::gather_pieces(expected.data(), pieces(false).data(), 5, rows, length, format);
      const Values actual = run_repeatedly([&] {
        const DeviceValues batch(expected.size());
        cuda::gather_pieces(batch.data(), pieces(true).data(), 5, rows, length, format);
        return batch.values();
      });
      CHECK(actual == expected);
    }
  }
  cuda::gather_pieces(nullptr, nullptr, 0, rows, 4, SpectrogramFormat::float32);
}
