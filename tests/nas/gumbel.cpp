// Gumbel softmax and GDAS: what is drawn how often, and the straight-through gradient.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "autograd/engine.h"
#include "nas/diagnostics.h"
#include "nas/gumbel.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

constexpr std::uint64_t kDraws = 20000;

Variable some_alpha() {
  return Variable(Tensor::from({real(0.3), real(-1), real(0.8), 0}, {4}), true);
}

std::vector<double> softmax_of(const std::vector<double>& x) {
  std::vector<double> a;
  double total = 0;
  for (const double value : x) a.push_back(std::exp(value));
  for (const double value : a) total += value;
  for (double& value : a) value /= total;
  return a;
}

std::unique_ptr<OneShot> method_of(const char* name, double first = 10, double last = 0.1) {
  return make_one_shot(name, toy_space(), {.temperature = first, .final_temperature = last});
}

Draw step_of(Phase phase, std::uint64_t step, std::int64_t epoch = 0, std::uint64_t choice = 0) {
  return {.phase = phase,
          .candidates = 4,
          .choice = choice,
          .step = step,
          .epoch = epoch,
          .epochs = 11,
          .seed = 4,
          .alpha = some_alpha()};
}

std::vector<double> coefficients_of(const OneShot& method, const Draw& draw) {
  const std::vector<real> c = coefficients(method.draw(draw), draw.alpha).value().to_vector();
  return {c.begin(), c.end()};
}

std::size_t largest(const std::vector<double>& values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

// Pearson's statistic of counts against probabilities.
double p_value(const std::vector<double>& counts, const std::vector<double>& expected) {
  double statistic = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double mean = expected[i] * kDraws;
    statistic += (counts[i] - mean) * (counts[i] - mean) / mean;
  }
  return chi_square_tail(statistic, static_cast<double>(counts.size()) - 1);
}

}  // namespace

TEST_CASE("gumbel: the largest coefficient is candidate i softmax(alpha)_i of the time") {
  const Draw first = step_of(Phase::weights, 0);
  const std::vector<double> a = softmax_of(first.alpha_values());
  for (const double temperature : {0.1, 1.0, 10.0}) {
    for (const Phase phase : {Phase::weights, Phase::architecture}) {
      const auto method = method_of("gumbel", temperature, temperature);
      std::vector<double> counts(4, 0);
      for (std::uint64_t step = 0; step < kDraws; ++step) {
        ++counts[largest(coefficients_of(*method, step_of(phase, step)))];
      }
      INFO("temperature " << temperature);
      CHECK(p_value(counts, a) > 0.001);
    }
  }
  // In GDAS the temperature is in the gradient alone.
  for (const double temperature : {0.1, 10.0}) {
    const auto method = method_of("gdas", temperature, temperature);
    for (const Phase phase : {Phase::weights, Phase::architecture}) {
      std::vector<double> counts(4, 0);
      for (std::uint64_t step = 0; step < kDraws; ++step) {
        ++counts[largest(coefficients_of(*method, step_of(phase, step)))];
      }
      CHECK(p_value(counts, a) > 0.001);
    }
  }
}

TEST_CASE("gumbel: c is softmax((ln a + g) / tau), with a tau that falls evenly") {
  const auto method = method_of("gumbel");
  for (const std::int64_t epoch : {0, 5, 10}) {
    const double tau = 10 - 0.99 * static_cast<double>(epoch);
    for (const Phase phase : {Phase::weights, Phase::architecture}) {
      const Draw draw = step_of(phase, 3, epoch, 1);
      const std::vector<double> g = gumbel_noise(
          4, {4, phase == Phase::weights ? Purpose::path : Purpose::architecture, 3}, 1);
      const std::vector<double> a = softmax_of(draw.alpha_values());
      std::vector<double> x;
      for (std::size_t i = 0; i < 4; ++i) x.push_back((std::log(a[i]) + g[i]) / tau);
      const std::vector<double> expected = softmax_of(x), got = coefficients_of(*method, draw);
      for (std::size_t i = 0; i < 4; ++i) {
        CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-4));
      }
    }
  }
}

TEST_CASE("gumbel: noise is a function of the step, fresh in every step, choice and phase") {
  const auto method = method_of("gumbel");
  const auto c = [&](Phase phase, std::uint64_t step, std::uint64_t choice) {
    return coefficients_of(*method, step_of(phase, step, 0, choice));
  };
  CHECK(c(Phase::weights, 3, 0) == c(Phase::weights, 3, 0));
  CHECK(c(Phase::weights, 3, 0) != c(Phase::weights, 4, 0));
  CHECK(c(Phase::weights, 3, 0) != c(Phase::weights, 3, 1));
  CHECK(c(Phase::weights, 3, 0) != c(Phase::architecture, 3, 0));
  // Mean and variance of the standard Gumbel distribution: Euler's constant, pi^2 / 6.
  double sum = 0, squares = 0;
  for (std::uint64_t step = 0; step < 2500; ++step) {
    for (const double g : gumbel_noise(4, {1, Purpose::path, step}, 0)) {
      REQUIRE(std::isfinite(g));
      sum += g / 10000;
      squares += g * g / 10000;
    }
  }
  CHECK(sum == doctest::Approx(0.5772).epsilon(0.08));
  CHECK(squares - sum * sum == doctest::Approx(1.6449).epsilon(0.1));
}

TEST_CASE("gdas: exactly one candidate, and the gradient of the softmax for all") {
  const auto method = method_of("gdas", 2, 2);
  for (std::uint64_t step = 0; step < 500; ++step) {
    const Draw draw = step_of(Phase::architecture, step);
    const Path path = method->draw(draw);
    CHECK(path.to_string() == "1111");
    std::vector<real> c = coefficients(path, draw.alpha).value().to_vector();
    std::sort(c.begin(), c.end());
    REQUIRE(c == std::vector<real>{0, 0, 0, 1});  // to the bit
  }
  // By hand, with p = softmax((alpha + g) / tau): dL/dalpha_j = p_j (d_j - sum_i p_i d_i) / tau.
  const Draw draw = step_of(Phase::architecture, 17);
  const std::vector<double> g = gumbel_noise(4, {4, Purpose::architecture, 17}, 0),
                            d = {1, -2, 4, 3};
  std::vector<double> x = draw.alpha_values();
  for (std::size_t i = 0; i < 4; ++i) x[i] = (x[i] + g[i]) / 2;
  const std::vector<double> p = softmax_of(x);
  double mean = 0;
  for (std::size_t i = 0; i < 4; ++i) mean += p[i] * d[i];
  const Variable c = coefficients(method->draw(draw), draw.alpha);
  const std::vector<real> got =
      grad(sum(mul(c, Tensor::from({1, -2, 4, 3}, {4}))), {draw.alpha})[0].value().to_vector();
  for (std::size_t j = 0; j < 4; ++j) {
    CHECK(static_cast<double>(got[j]) == doctest::Approx(p[j] * (d[j] - mean) / 2).epsilon(1e-4));
  }
  // W is trained along the drawn candidate, as the child would be.
  const Path path = method->draw(step_of(Phase::weights, 17));
  CHECK(path.active_count() == 1);
  CHECK_FALSE(path.uses_alpha());
}

TEST_CASE("gumbel: temperatures that do not fall to one above 0 are refused") {
  for (const auto& [first, last] :
       {std::pair{1.0, 0.0}, {1.0, -1.0}, {0.1, 1.0}, {INFINITY, 1.0}}) {
    for (const char* name : {"gumbel", "gdas"}) {
      CHECK(contains(message_of([&, from = first, to = last] { method_of(name, from, to); }),
                     "the temperature must fall to one above 0"));
    }
  }
}

TEST_CASE("gumbel: the history tells the temperature of every epoch") {
  for (const char* name : {"gumbel", "gdas"}) {
    const auto method =
        make_one_shot(name, toy_space(), {.epochs = 3, .temperature = 4, .final_temperature = 1});
    ToyProblem problem;
    while (method->advance(problem)) {
    }
    const std::vector<SearchRecord>& history = method->search()->history();
    REQUIRE(history.size() == 3);
    for (const double told : {4.0, 2.5, 1.0}) {
      const auto epoch = static_cast<std::size_t>((4 - told) / 1.5);
      CHECK(history[epoch].values.at("temperature") == told);
    }
  }
}
