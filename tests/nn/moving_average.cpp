// The average against its formula, in and out of the network, and through its state.

#include "nn/moving_average.h"

#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/op_case.h"

using namespace serenade;

namespace {

Variable parameter(const std::vector<real>& values) {
  return Variable(Tensor::from(values, {static_cast<std::int64_t>(values.size())}), true);
}

}  // namespace

TEST_CASE("moving average: follows its formula, and changes nothing until it is swapped in") {
  Variable p = parameter({1, 2}), q = parameter({-4});
  ExponentialMovingAverage average({{"p", p}, {"q", q}, {"again", p}}, {.decay = 0.75});
  double expected = 2;
  for (const double value : {5.0, -1.0, 0.5}) {
    p.value().copy_(Tensor::from({0, real(value)}, {2}));
    average.update();
    expected = 0.75 * expected + 0.25 * value;
    CHECK(p.value().at({1}) == real(value));
  }
  const StateDict state = average.state_dict();
  CHECK(state.size() == 2);
  CHECK(state.at("p").at({1}) == doctest::Approx(expected));
  CHECK(state.at("p").at({0}) == doctest::Approx(0.75 * 0.75 * 0.75));
  CHECK(state.at("q").at({0}) == real(-4));
  {
    const auto in_use = average.swap_in();
    CHECK(p.value().at({1}) == doctest::Approx(expected));
    CHECK_THROWS_WITH_AS(average.update(), doctest::Contains("in use"), std::invalid_argument);
    CHECK_THROWS_WITH_AS(static_cast<void>(average.swap_in()), doctest::Contains("in use"),
                         std::invalid_argument);
  }
  CHECK(p.value().to_vector() == std::vector<real>{0, real(0.5)});
  average.update();
}

TEST_CASE("moving average: goes on from its state with the same bits") {
  Variable p = parameter({1, 2}), r = parameter({7, 8});
  ExponentialMovingAverage whole({{"p", p}}, {.decay = 0.9}), resumed({{"p", r}}, {.decay = 0.9});
  p.value().copy_(Tensor::from({3, real(0.1)}, {2}));
  whole.update();
  const StateDict state = whole.state_dict();
  p.value().copy_(Tensor::from({-2, 5}, {2}));
  whole.update();
  resumed.load_state_dict(state);
  r.value().copy_(p.value());
  resumed.update();
  CHECK(whole.state_dict().at("p").to_vector() == resumed.state_dict().at("p").to_vector());

  StateDict bad = state;
  bad["other"] = Tensor({1});
  CHECK_THROWS_WITH_AS(whole.load_state_dict(bad), doctest::Contains("got 1"),
                       std::invalid_argument);
  bad = state;
  bad["p"] = Tensor({3});
  CHECK_THROWS_WITH_AS(whole.load_state_dict(bad), doctest::Contains("[3] for a parameter"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(whole.load_state_dict({}), doctest::Contains("'p' is missing"),
                       std::invalid_argument);
  CHECK_THROWS_AS(ExponentialMovingAverage({{"p", p}}, {.decay = 1}), std::invalid_argument);
  CHECK_THROWS_AS(ExponentialMovingAverage({}, {}), std::invalid_argument);
}
