// The curvature of the validation loss in alpha, and the stop that it causes.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "nas/hessian.h"
#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "tests/golden.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

constexpr bool kDouble = sizeof(real) == 8;

// A search whose eigenvalues were these.
std::vector<SearchRecord> history_of(const std::vector<double>& eigenvalues) {
  std::vector<SearchRecord> history;
  for (const double value : eigenvalues) {
    SearchRecord record;
    record.epoch = std::ssize(history);
    record.values["eigenvalue"] = value;
    history.push_back(record);
  }
  return history;
}

}  // namespace

TEST_CASE("hessian: a known spectrum is recovered") {
  // H = Q diag(5, -7, 2, 1) Q^T in alphas of 1 and 3 entries, with Q = I - 2 u u^T / |u|^2.
  const std::vector<double> wanted = {5, -7, 2, 1}, u = {1, 2, -1, 0.5};
  double square = 0;
  for (const double x : u) square += x * x;
  std::vector<std::vector<double>> q(4, std::vector<double>(4)), h = q;
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 4; ++j) q[i][j] = (i == j ? 1 : 0) - 2 * u[i] * u[j] / square;
  }
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 4; ++j) {
      for (std::size_t k = 0; k < 4; ++k) h[i][j] += q[i][k] * wanted[k] * q[j][k];
    }
  }
  std::vector<real> values;
  for (const auto& row : h) values.insert(values.end(), row.begin(), row.end());
  const Tensor matrix = Tensor::from(values, {4, 4});
  const std::vector<Variable> alphas = {Variable(Tensor::full({1}, real(0.3)), true),
                                        Variable(random_tensor({3}, 1), true)};
  const std::vector<real> before = alphas[1].value().to_vector();
  // x^T H x / 2, and a part that has no curvature.
  const LossFunction loss = [&] {
    const Variable x = reshape(concat({alphas[0], alphas[1]}, 0), {4, 1});
    return affine(sum(mul(x, matmul(matrix, x))), real(0.5)) + affine(sum(x), 3);
  };
  const std::vector<std::vector<double>> got = alpha_hessian(loss, alphas);
  CHECK(alphas[1].value().to_vector() == before);
  const double tolerance = kDouble ? 1e-6 : 1e-2;
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 4; ++j) CHECK(std::abs(got[i][j] - h[i][j]) < tolerance);
  }
  const std::vector<double> spectrum = symmetric_eigenvalues(got), rising = {-7, 1, 2, 5};
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::abs(spectrum[i] - rising[i]) < tolerance);
}

TEST_CASE("hessian: eigenvalues of matrices that are awkward to rotate") {
  CHECK(symmetric_eigenvalues({}).empty());
  CHECK(symmetric_eigenvalues({{3}}) == std::vector<double>{3});
  CHECK(symmetric_eigenvalues({{0, 0}, {0, 0}}) == std::vector<double>{0, 0});
  const std::vector<double> equal = symmetric_eigenvalues({{2, 1}, {1, 2}});
  CHECK(equal[0] == doctest::Approx(1));
  CHECK(equal[1] == doctest::Approx(3));
  const std::vector<double> ones = symmetric_eigenvalues({{1, 1, 1}, {1, 1, 1}, {1, 1, 1}});
  CHECK(std::abs(ones[0]) < 1e-12);
  CHECK(std::abs(ones[1]) < 1e-12);
  CHECK(ones[2] == doctest::Approx(3));
  CHECK_THROWS_AS(symmetric_eigenvalues({{1, 2}, {3}}), std::invalid_argument);
}

TEST_CASE("hessian: adding a number to all alphas of a choice changes nothing, so H 1 = 0") {
  const auto method = make_one_shot("darts_es", toy_space(), {});
  const std::unique_ptr<Toy> net = toy_supernet(*method, 2);
  std::vector<Variable> alphas;
  for (const auto& [name, parameter] : net->named_parameters()) {
    if (contains(name, "alpha")) alphas.push_back(parameter);
  }
  alphas[0].value().copy_(random_tensor({4}, 5));
  const std::vector<std::vector<double>> h = alpha_hessian(toy_validation_loss(*net, 0, 0), alphas);
  REQUIRE(h.size() == 8);
  double largest = 0;
  for (const auto& row : h) {
    for (const double x : row) largest = std::max(largest, std::abs(x));
  }
  CHECK(largest > 0.1);
  for (const auto& row : h) {
    for (const std::size_t choice : {0, 4}) {
      double sum = 0;
      for (std::size_t i = 0; i < 4; ++i) sum += row[choice + i];
      CHECK(std::abs(sum) < (kDouble ? 1e-6 : 1e-2) * largest);
    }
  }
  // Two layers that do not meet before the loss: no curvature between them.
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 4; j < 8; ++j) CHECK(std::abs(h[i][j]) < 1e-2 * largest);
  }
}

TEST_CASE("darts_es: every epoch leaves the largest eigenvalue by magnitude") {
  const auto method = make_one_shot("darts_es", toy_space(), {.epochs = 2});
  ToyProblem problem;
  while (method->advance(problem)) {
  }
  std::vector<Variable> alphas;
  for (const auto& [name, parameter] : problem.net->named_parameters()) {
    if (contains(name, "alpha")) alphas.push_back(parameter);
  }
  const std::vector<double> now =
      symmetric_eigenvalues(alpha_hessian(problem.validation_losses(1)[0], alphas));
  const std::vector<SearchRecord>& history = method->search()->history();
  CHECK(history[1].values.at("eigenvalue") == std::max(-now.front(), now.back()));
  CHECK(history[0].values.at("eigenvalue") > 0);
}

TEST_CASE("darts_es: a curvature that is not finite is the largest there is") {
  const auto method = make_one_shot("darts_es", toy_space(), {});
  const SupernetChoice choice(toy_space().choices[0]);
  const std::vector<std::shared_ptr<SupernetChoice>> choices = {
      std::make_shared<SupernetChoice>(choice)};
  const ValidationLosses losses = [&](std::int64_t) {
    return std::vector<LossFunction>{[&] {
      return affine(sum(choices[0]->coefficients()), std::numeric_limits<real>::infinity());
    }};
  };
  const auto values =
      method->end_epoch({.epoch = 0, .validation_losses = losses, .choices = choices});
  CHECK(values.at("eigenvalue") == std::numeric_limits<real>::max());
}

TEST_CASE("darts_es: stops where the smoothed eigenvalue has grown by more than the factor") {
  const auto method = make_one_shot("darts_es", toy_space(), {});
  const auto stops = [&](const std::vector<double>& values) {
    return method->stops_early(history_of(values));
  };
  // The means around epochs 10 and 14 are the first to be compared: after 17 epochs.
  std::vector<double> grown(17, 1.0);
  for (std::size_t e = 12; e < 17; ++e) grown[e] = 10;
  CHECK(stops(grown));
  grown.pop_back();
  CHECK_FALSE(stops(grown));
  CHECK_FALSE(stops({}));
  // By the factor itself is not enough: 1 around epoch 10, x around epoch 14; 12 is in both.
  const auto with = [&](double x) {
    std::vector<double> values(17, 1.0);
    for (std::size_t e = 13; e < 17; ++e) values[e] = x;
    return stops(values);
  };
  CHECK_FALSE(with(1 + 5 * 0.299 / 4));
  CHECK(with(1 + 5 * 0.301 / 4));
  // It may fall, and what was large before counts no more.
  std::vector<double> falling;
  for (int e = 0; e < 40; ++e) falling.push_back(50.0 - e);
  CHECK_FALSE(stops(falling));
}

TEST_CASE("darts_es: the answer of a stop is the architecture before the growth") {
  // Stopped by hand: a factor so small that every curvature is too much.
  const StrategyOptions options{.epochs = 20,
                                .learning_rate = 0.02,
                                .alpha_learning_rate = 0.02,
                                .stop_after = 3,
                                .stop_factor = 1e-6};
  const auto method = make_one_shot("darts_es", toy_space(), options);
  ToyProblem problem;
  while (method->advance(problem)) {
  }
  const std::vector<SearchRecord>& history = method->search()->history();
  CHECK(history.size() == 10);  // epoch 3 + 4 + 2, and counted from 0
  std::vector<std::vector<double>> alphas;
  for (const ChoiceRecord& choice : history[3].choices) alphas.push_back(choice.alphas);
  CHECK(method->recommend() == method->derive(alphas));
  const auto resumed = make_one_shot("darts_es", toy_space(), options);
  resumed->load_state(method->save_state());
  CHECK(resumed->recommend() == method->recommend());
}

TEST_CASE("darts_es: options that make no sense are refused") {
  const auto message = [](const StrategyOptions& wrong) {
    return message_of([&] { make_one_shot("darts_es", toy_space(), wrong); });
  };
  CHECK(contains(message({.stop_after = -1}), "darts_es: stop_after must not be negative"));
  CHECK(contains(message({.stop_factor = 0}), "stop_factor positive; got 10 and 0"));
}
