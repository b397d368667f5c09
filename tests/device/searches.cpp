// Every one-shot strategy on a device: the steps of the CPU, captured, and no value read inside.

#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

// Alphas and losses of a short search, one after the other.
std::vector<double> course(const std::string& name, const StrategyOptions& options, Device device) {
  const auto method = make_one_shot(name, toy_space(), options);
  ToyProblem problem(8);
  problem.supernet(*method).to(device);
  std::vector<double> numbers;
  while (method->advance(problem)) {
    for (const std::vector<double>& alphas : method->search()->alphas()) {
      numbers.insert(numbers.end(), alphas.begin(), alphas.end());
    }
  }
  numbers.insert(numbers.end(), problem.losses.begin(), problem.losses.end());
  return numbers;
}

}  // namespace

TEST_CASE("device: every one-shot strategy takes the course of the CPU") {
  for (const std::string& name : supernet_strategies()) {
    INFO(name);
    const StrategyOptions options{.seed = 4,
                                  .epochs = 3,
                                  .learning_rate = 0.02,
                                  .alpha_learning_rate = 0.02,
                                  .adversarial_steps = 2,
                                  .tuning_epochs = 1};
    const std::vector<double> cpu = course(name, options, Device::cpu),
                              device = course(name, options, Device::cuda);
    REQUIRE(device.size() == cpu.size());
    // In float, roundings of a step are steps later in what follows them.
    const double tolerance = sizeof(real) == 8 ? 1e-6 : 2e-2;
    for (std::size_t i = 0; i < cpu.size(); ++i) {
      CHECK(std::abs(device[i] - cpu[i]) <= tolerance * (1 + std::abs(cpu[i])));
    }
  }
}
