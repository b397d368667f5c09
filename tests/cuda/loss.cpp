#include "kernels/elementwise/loss.h"

#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

struct Batch {
  std::int64_t N, classes;
};

// One sample, one class, a usual batch, more samples than threads.
const Batch kBatches[] = {{1, 1}, {1, 4}, {7, 5}, {300, 4}};

std::vector<std::int64_t> labels_of(const Batch& batch) {
  std::vector<std::int64_t> labels;
  for (std::int64_t n = 0; n < batch.N; ++n) labels.push_back(n * 7 % batch.classes);
  return labels;
}

}  // namespace

TEST_CASE("cuda loss: cross entropy") {
  for (const Batch& batch : kBatches) {
    for (const bool weighted : {false, true}) {
      CAPTURE(batch.N);
      CAPTURE(weighted);
      const std::int64_t N = batch.N, classes = batch.classes, count = N * classes;
      const Values logits = random_values(count, 1), before = random_values(count, 2);
      const std::vector<std::int64_t> labels = labels_of(batch);
      Values weights = random_values(classes, 3);
      for (real& w : weights) w = std::abs(w) + real(0.1);
      const real* const w = weighted ? weights.data() : nullptr;
      Values loss(1), probabilities(logits.size()), expected_gradient = before;
      cpu::cross_entropy_forward(loss.data(), probabilities.data(), logits.data(), labels.data(), w,
                                 N, classes);
      const Values dloss = {real(0.7)};
      cpu::cross_entropy_backward(expected_gradient.data(), dloss.data(), probabilities.data(),
                                  labels.data(), w, N, classes);
      Values both = loss;
      both.insert(both.end(), probabilities.begin(), probabilities.end());
      const Values actual = run_repeatedly([&] {
        const DeviceValues out(1), p(logits.size()), in(logits);
        cuda::cross_entropy_forward(out.data(), p.data(), in.data(), labels.data(), w, N, classes);
        Values result = out.values();
        for (const real v : p.values()) result.push_back(v);
        return result;
      });
      CHECK(relative_error(actual, both) < kForwardTolerance);
      CHECK(actual[0] == doctest::Approx(loss[0]).epsilon(10 * kForwardTolerance));
      const Values gradient = run_repeatedly([&] {
        const DeviceValues out(before), d(dloss), p(probabilities);
        cuda::cross_entropy_backward(out.data(), d.data(), p.data(), labels.data(), w, N, classes);
        return out.values();
      });
      CHECK(relative_error(gradient, expected_gradient) < kGradientTolerance);
    }
  }
}

TEST_CASE("cuda loss: cross entropy of logits far apart") {
  const Values logits = {1000, -1000, 0, -500, 500, 0};
  const std::vector<std::int64_t> labels = {1, 0};
  Values loss(1), probabilities(6);
  cpu::cross_entropy_forward(loss.data(), probabilities.data(), logits.data(), labels.data(),
                             nullptr, 2, 3);
  const DeviceValues out(1), p(std::size_t{6}), in(logits);
  cuda::cross_entropy_forward(out.data(), p.data(), in.data(), labels.data(), nullptr, 2, 3);
  CHECK(out.values()[0] == doctest::Approx(loss[0]));
  CHECK(out.values()[0] == doctest::Approx(1500));
}

TEST_CASE("cuda loss: margin loss") {
  for (const Batch& batch : kBatches) {
    CAPTURE(batch.N);
    const std::int64_t N = batch.N, classes = batch.classes, count = N * classes;
    Values lengths = random_values(count, 1);
    for (real& v : lengths) v = std::abs(v) / 2;  // on both sides of both margins
    const std::vector<std::int64_t> labels = labels_of(batch);
    const real plus = real(0.9), minus = real(0.1), lambda = real(0.5);
    const Values dloss = {real(-1.3)}, before = random_values(count, 2);
    Values loss(1), expected_gradient = before;
    cpu::margin_loss_forward(loss.data(), lengths.data(), labels.data(), plus, minus, lambda, N,
                             classes);
    cpu::margin_loss_backward(expected_gradient.data(), dloss.data(), lengths.data(), labels.data(),
                              plus, minus, lambda, N, classes);
    const Values actual = run_repeatedly([&] {
      const DeviceValues out(1), in(lengths);
      cuda::margin_loss_forward(out.data(), in.data(), labels.data(), plus, minus, lambda, N,
                                classes);
      return out.values();
    });
    CHECK(relative_error(actual, loss) < kForwardTolerance);
    const Values gradient = run_repeatedly([&] {
      const DeviceValues out(before), d(dloss), in(lengths);
      cuda::margin_loss_backward(out.data(), d.data(), in.data(), labels.data(), plus, minus,
                                 lambda, N, classes);
      return out.values();
    });
    CHECK(relative_error(gradient, expected_gradient) < kGradientTolerance);
  }
}
