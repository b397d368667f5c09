// The paper's learning rates by epoch and loss, and that the schedule's state continues it.

#include "apps/ser/training/paper_schedule.h"

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>

using namespace serenade;
using namespace serenade::ser;

namespace {

/// The rates of the epochs in which these mean losses arose.
std::vector<double> rates(Schedule& schedule, const std::vector<double>& losses) {
  std::vector<double> seen;
  for (const double loss : losses) {
    seen.push_back(schedule.learning_rate());
    schedule.end_epoch(loss);
  }
  return seen;
}

const std::vector<double> kLosses = {2.0, 1.5, 1.0, 0.5, 0.11, 0.1, 0.05, 0.011, 0.01, 1e-3, 1e-6};

}  // namespace

TEST_CASE("paper schedule: the paper's steps after three epochs and at each tenth of the loss") {
  PaperSchedule schedule;
  // 5e-4 begins with reference 1.0 (epoch 2); 0.1 is its tenth, then 0.01; 1e-4 is the last.
  CHECK(rates(schedule, kLosses) ==
        std::vector<double>{1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 5e-4, 2e-4, 2e-4, 2e-4, 1e-4, 1e-4});
}

TEST_CASE("paper schedule: the paper's schedule never steps down without a fall of the loss") {
  PaperSchedule schedule;
  const std::vector<double> seen = rates(schedule, std::vector<double>(20, 0.7));
  CHECK(seen[2] == 1e-3);
  CHECK(seen[3] == 5e-4);
  CHECK(seen.back() == 5e-4);
}

TEST_CASE("paper schedule: a resumed schedule goes on as if uninterrupted") {
  PaperSchedule whole;
  const std::vector<double> expected = rates(whole, kLosses);
  for (std::size_t cut = 0; cut <= kLosses.size(); ++cut) {
    const auto middle = kLosses.begin() + static_cast<std::ptrdiff_t>(cut);
    PaperSchedule first, second;
    std::vector<double> seen = rates(first, {kLosses.begin(), middle});
    second.load_state(first.state());
    for (const double rate : rates(second, {middle, kLosses.end()})) seen.push_back(rate);
    CHECK(seen == expected);
  }
}

TEST_CASE("paper schedule: settings and states that make no sense are refused") {
  CHECK_THROWS_AS(PaperSchedule({.rates = {}}), std::invalid_argument);
  PaperSchedule schedule;
  CHECK_THROWS_WITH_AS(schedule.load_state({.epoch = 9, .stage = 4}), doctest::Contains("0 .. 3"),
                       std::invalid_argument);
}
