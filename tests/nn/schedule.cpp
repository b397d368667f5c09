// Learning rates by epoch and loss, and that a schedule's state continues it.

#include "nn/schedule.h"

#include <doctest/doctest.h>

#include <memory>
#include <numbers>
#include <stdexcept>
#include <vector>

using namespace serenade;

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

/// Stops after `cut` epochs, carries the state to a fresh schedule and compares the rest.
void check_resume(Schedule& whole, Schedule& first, Schedule& second,
                  const std::vector<double>& losses, std::size_t cut) {
  const std::vector<double> expected = rates(whole, losses);
  std::vector<double> seen = rates(first, {losses.begin(), losses.begin() + cut});
  second.load_state(first.state());
  for (const double rate : rates(second, {losses.begin() + cut, losses.end()})) {
    seen.push_back(rate);
  }
  CHECK(seen == expected);
}

const std::vector<double> kLosses = {2.0, 1.5, 1.0, 0.5, 0.11, 0.1, 0.05, 0.011, 0.01, 1e-3, 1e-6};

}  // namespace

TEST_CASE("schedule: constant, step, cosine, warmup") {
  ConstantSchedule constant(0.2);
  CHECK(rates(constant, {1, 1}) == std::vector<double>{0.2, 0.2});

  StepSchedule step({.rate = 1, .step_size = 2, .gamma = 0.5});
  CHECK(rates(step, {1, 1, 1, 1, 1}) == std::vector<double>{1, 1, 0.5, 0.5, 0.25});

  CosineSchedule cosine({.rate = 1, .min_rate = 0.2, .epochs = 4});
  const std::vector<double> seen = rates(cosine, {1, 1, 1, 1, 1, 1});
  CHECK(seen[0] == 1);
  CHECK(seen[1] == doctest::Approx(0.2 + 0.4 * (1 + std::numbers::sqrt2 / 2)));
  CHECK(seen[2] == doctest::Approx(0.6));
  CHECK(seen[4] == doctest::Approx(0.2));
  CHECK(seen[5] == seen[4]);

  WarmupSchedule warmup({.epochs = 3}, std::make_unique<StepSchedule>(StepSchedule::Options{
                                           .rate = 1, .step_size = 1, .gamma = 0.5}));
  CHECK(rates(warmup, {1, 1, 1, 1, 1}) == std::vector<double>{0.25, 0.5, 0.75, 1, 0.5});
}

TEST_CASE("schedule: one cycle goes PyTorch 2.15's way") {
  const auto check_rates = [](const OneCycleSchedule::Options& options,
                              const std::vector<double>& expected) {
    OneCycleSchedule schedule(options);
    for (const double rate : expected) {
      CHECK(schedule.learning_rate() == doctest::Approx(rate));
      schedule.end_epoch(1);
    }
    CHECK(schedule.learning_rate() == doctest::Approx(expected.back()));
  };
  check_rates({.max_rate = 0.1, .epochs = 10},
              {0.004, 0.052, 0.1, 0.09504846320134738, 0.0811745653949763, 0.06112620219362893,
               0.03887419780637107, 0.0188258346050237, 0.004951936798652629, 4e-07});
  check_rates(
      {.max_rate = 1, .epochs = 7, .warmup_part = 0.5, .div_factor = 10, .final_div_factor = 100},
      {0.1, 0.41094235253127365, 0.9140576474687263, 0.9505339495172583, 0.611649206511179,
       0.18906684397156262, 0.001});
  check_rates(
      {.max_rate = 0.1, .epochs = 5, .warmup_part = 0},
      {0.0904508879153485, 0.0654509879153485, 0.03454941208465151, 0.009549512084651508, 4e-07});
  check_rates({.max_rate = 0.1, .epochs = 5, .warmup_part = 1},
              {0.004, 0.018058874503045733, 0.052, 0.08594112549695429, 0.1});
  // PyTorch divides by zero where the rise has one step; here it begins at the top.
  CHECK(OneCycleSchedule({.max_rate = 0.1, .epochs = 10, .warmup_part = 0.1}).learning_rate() ==
        0.1);
}

TEST_CASE("schedule: a resumed schedule goes on as if uninterrupted") {
  for (std::size_t cut = 0; cut <= kLosses.size(); ++cut) {
    const auto warm = [] {
      return WarmupSchedule({.epochs = 2}, std::make_unique<StepSchedule>(
                                               StepSchedule::Options{.rate = 1, .step_size = 3}));
    };
    WarmupSchedule warm_whole = warm(), warm_first = warm(), warm_second = warm();
    check_resume(warm_whole, warm_first, warm_second, kLosses, cut);

    const CosineSchedule::Options options = {.rate = 1, .epochs = 8};
    CosineSchedule cosine_whole(options), cosine_first(options), cosine_second(options);
    check_resume(cosine_whole, cosine_first, cosine_second, kLosses, cut);
  }
}

TEST_CASE("schedule: settings and states that make no sense are refused") {
  CHECK_THROWS_AS(ConstantSchedule(0), std::invalid_argument);
  CHECK_THROWS_AS(StepSchedule({.step_size = 0}), std::invalid_argument);
  CHECK_THROWS_AS(CosineSchedule({.epochs = 0}), std::invalid_argument);
  CHECK_THROWS_AS(WarmupSchedule({.epochs = 1}, nullptr), std::invalid_argument);
}
