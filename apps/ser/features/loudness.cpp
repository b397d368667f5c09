#include "apps/ser/features/loudness.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "apps/ser/common/decibels.h"

namespace serenade::ser {

namespace {

// BS.1770-4, annex 1, tables 1 and 2.
constexpr int kTableRate = 48000;
constexpr Biquad kShelf = {1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241,
                           0.73248077421585};
constexpr Biquad kHighPass = {1, -2, 1, -1.99004745483398, 0.99007225036621};

constexpr double kOffset = -0.691;  // so that a full-scale sine of 997 Hz reads -3.01
constexpr double kAbsoluteGate = -70, kRelativeGate = -10;
constexpr std::size_t kStepsPerBlock = 4;  // of 100 ms

// With q = z^-1 and u = (1 - q) / (1 + q), which stands for s: c[0] + c[1] u + c[2] u^2 from the
// coefficients of 1, q, q^2, both times (1 + q)^2; and back, which is the same up to a factor.
std::array<double, 3> bilinear(const std::array<double, 3>& c) {
  return {c[0] + c[1] + c[2], 2 * (c[0] - c[2]), c[0] - c[1] + c[2]};
}

// The digital filter of the table at another rate.
Biquad at_rate(const Biquad& table, int sample_rate) {
  const std::array<double, 3> above = bilinear({table.b0, table.b1, table.b2});
  const std::array<double, 3> below = bilinear({1, table.a1, table.a2});
  // Poles at u = pole, as tan(pi f / rate) says; u of the table is `ratio` times u of the new rate.
  const double pole = std::sqrt(below[0] / below[2]);
  const double hertz = std::atan(pole) * kTableRate / std::numbers::pi;
  const double ratio = pole / std::tan(std::numbers::pi * hertz / sample_rate);
  const auto back = [ratio](const std::array<double, 3>& c) {
    return bilinear({c[0], c[1] * ratio, c[2] * ratio * ratio});
  };
  const std::array<double, 3> b = back(above), a = back(below);
  return {b[0] / a[0], b[1] / a[0], b[2] / a[0], a[1] / a[0], a[2] / a[0]};
}

// In direct form 2, transposed.
class Filter {
 public:
  explicit Filter(const Biquad& biquad) : c_(biquad) {}

  double next(double x) {
    const double y = c_.b0 * x + first_;
    first_ = c_.b1 * x - c_.a1 * y + second_;
    second_ = c_.b2 * x - c_.a2 * y;
    return y;
  }

 private:
  Biquad c_;
  double first_ = 0, second_ = 0;
};

double decibels_of(double power) { return kOffset + 10 * std::log10(power); }

// Mean of those above the threshold, which is a power; 0 where there is none.
double mean_above(const std::vector<double>& powers, double threshold) {
  double sum = 0, count = 0;
  for (const double power : powers) {
    if (power > threshold) sum += power, count += 1;
  }
  return count > 0 ? sum / count : 0;
}

// Mean squares of the K-weighted blocks.
std::vector<double> block_powers(const std::vector<float>& samples, int sample_rate) {
  const std::array<Biquad, 2> weighting = k_weighting(sample_rate);
  Filter shelf(weighting[0]), high_pass(weighting[1]);
  const auto length = static_cast<std::size_t>(sample_rate / 10);
  std::vector<double> steps;  // sums of squares
  double sum = 0, all = 0;
  std::size_t filled = 0;
  for (const float sample : samples) {
    const double y = high_pass.next(shelf.next(sample));
    sum += y * y;
    if (++filled < length) continue;
    steps.push_back(sum);
    all += sum;
    sum = 0;
    filled = 0;
  }
  if (steps.size() < kStepsPerBlock) {
    return {(all + sum) / static_cast<double>(std::max<std::size_t>(1, samples.size()))};
  }
  std::vector<double> powers;
  for (std::size_t i = 0; i + kStepsPerBlock <= steps.size(); ++i) {
    double block = 0;
    for (std::size_t j = 0; j < kStepsPerBlock; ++j) block += steps[i + j];
    powers.push_back(block / static_cast<double>(kStepsPerBlock * length));
  }
  return powers;
}

}  // namespace

std::array<Biquad, 2> k_weighting(int sample_rate) {
  return {at_rate(kShelf, sample_rate), at_rate(kHighPass, sample_rate)};
}

double loudness(const std::vector<float>& samples, int sample_rate) {
  const std::vector<double> powers = block_powers(samples, sample_rate);
  const double gate = power_of(kAbsoluteGate - kOffset);
  const double relative = power_of(kRelativeGate) * mean_above(powers, gate);
  const double power = mean_above(powers, std::max(gate, relative));
  return power > 0 ? decibels_of(power) : -std::numeric_limits<double>::infinity();
}

void bring_to_target_loudness(std::vector<float>& samples) {
  double peak = 0;
  for (const float sample : samples) peak = std::max<double>(peak, std::abs(sample));
  if (peak == 0) return;
  const auto scale = [&samples](double factor) {
    for (float& sample : samples) sample = static_cast<float>(sample * factor);
  };
  scale(1 / peak);
  const double level = loudness(samples);
  if (std::isfinite(level)) scale(std::pow(10, (kTargetLoudness - level) / 20));
}

}  // namespace serenade::ser
