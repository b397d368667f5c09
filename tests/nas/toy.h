#pragma once
// A search whose answer is known, for tests. Two convolutions side by side: the first has to
// imitate a filter of one row and five columns, the second one of five rows and one column, so that
// the right answer is across=1x5 down=5x1.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autograd/functions.h"
#include "nas/builder.h"
#include "nas/one_shot.h"
#include "nas/strategy.h"
#include "nas/supernet_search.h"
#include "nn/module.h"
#include "tensor/random.h"
#include "tests/op_case.h"

namespace serenade {

inline SearchSpace toy_space() {
  const std::vector<std::string> kernels = {"5x1", "1x1", "1x5", "2x2"};
  return {.choices = {{.name = "across", .candidates = kernels, .kind = "conv"},
                      {.name = "down", .candidates = kernels, .kind = "conv"}}};
}

inline constexpr const char* kToyAnswer = "across=1x5 down=5x1";

/// All rows of strategies() that train a supernet: a new one is tested without being listed.
inline std::vector<std::string> supernet_strategies() {
  std::vector<std::string> names;
  for (const StrategyRow& row : strategies()) {
    const StrategyOptions options{.baseline = genotype_at(toy_space(), 0)};
    if (row.make(toy_space(), options)->needs_supernet()) names.push_back(row.name);
  }
  return names;
}

struct Toy : Module {
  std::unique_ptr<Layer> across, down;

  explicit Toy(Builder& builder)
      : across(builder.choose("across", {.in_channels = 1, .out_channels = 1})),
        down(builder.choose("down", {.in_channels = 1, .out_channels = 1})) {
    register_module("across", *across);
    register_module("down", *down);
  }

  Variable loss(std::uint64_t batch) {
    const Variable x = random_tensor({4, 1, 9, 9}, 1000 + batch).to(device());
    const Tensor filter = Tensor::from({1, -1, real(0.5), 1, -2}, {1, 1, 1, 5}).to(device());
    const Variable row = conv2d(x, filter, {}, {.padding = same_padding({1, 5})});
    const Variable column =
        conv2d(x, filter.reshape({1, 1, 5, 1}), {}, {.padding = same_padding({5, 1})});
    const Variable first = across->forward(x) - row, second = down->forward(x) - column;
    return mean(first * first) + mean(second * second);
  }
};

/// The supernet for a method, with the initial weights of that seed.
inline std::unique_ptr<Toy> toy_supernet(const OneShot& method, std::uint64_t seed) {
  manual_seed(seed);
  Builder builder(method);
  return std::make_unique<Toy>(builder);
}

constexpr std::int64_t kToySteps = 6;  // of an epoch

/// The losses of a step: a function of its number, so that a search can be taken up anywhere.
inline LossFunction toy_train_loss(Toy& net, std::int64_t epoch, std::int64_t step) {
  const auto batch = static_cast<std::uint64_t>(epoch * kToySteps + step);
  return [&net, batch] { return net.loss(batch % 11); };
}
inline LossFunction toy_validation_loss(Toy& net, std::int64_t epoch, std::int64_t step) {
  const auto batch = static_cast<std::uint64_t>(epoch * kToySteps + step);
  return [&net, batch] { return net.loss(500 + batch % 7); };
}

inline std::vector<LossFunction> toy_validation_losses(Toy& net, std::int64_t at_most) {
  std::vector<LossFunction> losses;
  for (std::int64_t step = 0; step < std::min(kToySteps, at_most); ++step) {
    losses.push_back(toy_validation_loss(net, 0, step));
  }
  return losses;
}

/// The same as a problem for strategies.
class ToyProblem : public Problem {
 public:
  explicit ToyProblem(std::uint64_t seed = 2) : seed_(seed) {}

  const SearchSpace& space() const override { return space_; }
  Module& supernet(const OneShot& method) override {
    if (!net) net = toy_supernet(method, seed_);
    return *net;
  }
  std::int64_t train_batches() const override { return kToySteps; }
  std::int64_t validation_batches() const override { return kToySteps; }
  LossFunction next_train_loss() override { return toy_train_loss(*net, epoch_, train_step_++); }
  LossFunction next_validation_loss() override {
    return toy_validation_loss(*net, epoch_, validation_step_++);
  }
  std::vector<LossFunction> validation_losses(std::int64_t at_most) override {
    return toy_validation_losses(*net, at_most);
  }
  void begin_epoch(SupernetSearch& search) override {
    epoch_ = search.epoch();
    train_step_ = validation_step_ = search.epoch_steps();
  }
  void end_step(const StepRecord& last, std::int64_t, std::int64_t) override {
    losses.push_back(last.loss.get());
    if (after_step) after_step();
  }

  std::unique_ptr<Toy> net;
  std::vector<double> losses;  ///< of every step
  std::function<void()> after_step;

 private:
  SearchSpace space_ = toy_space();
  std::uint64_t seed_;
  std::int64_t epoch_ = 0, train_step_ = 0, validation_step_ = 0;
};

inline bool same_numbers(const StateDict& a, const StateDict& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a) {
    const auto other = b.find(name);
    if (other == b.end() || tensor.to_vector() != other->second.to_vector()) return false;
  }
  return true;
}

/// The message of the exception that `f` throws; "" if it throws none.
template <class Exception = std::invalid_argument, class Function>
std::string message_of(const Function& f) {
  try {
    f();
  } catch (const Exception& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace serenade
