// The hooks of one-shot strategies: what they do where a strategy says nothing, and made-up
// strategies that fill them in. Those of the library have tests of their own.

#include "nas/one_shot.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "nas/supernet_search.h"
#include "nn/optim.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

// Nothing filled in but the name.
class Plain : public OneShot {
 public:
  using OneShot::OneShot;
  std::string name() const override { return "plain"; }
};

// Alphas are held within a limit.
class Limited : public Plain {
 public:
  static constexpr real kLimit = real(0.3);
  using Plain::Plain;
  std::string name() const override { return "limited"; }
  void project(std::vector<Variable>& alphas) const override {
    for (Variable& alpha : alphas) {
      std::vector<real> values = alpha.value().to_vector();
      for (real& x : values) x = std::clamp(x, -kLimit, kLimit);
      alpha.value().copy_(Tensor::from(values, alpha.shape()));
    }
  }
};

StrategyOptions options() {
  return {.seed = 4, .epochs = 3, .learning_rate = 0.02, .alpha_learning_rate = 0.02};
}

void run(Strategy& strategy, Problem& problem) {
  while (strategy.advance(problem)) {
  }
}

}  // namespace

TEST_CASE("one-shot: what a strategy does not say falls to the safe side") {
  const Plain plain(toy_space(), {});
  CHECK(plain.needs_supernet());
  CHECK_FALSE(plain.shares_training());
  CHECK_FALSE(plain.trains_jointly());
  CHECK(plain.initial_gain(6) == doctest::Approx(std::sqrt(6.0)));  // it averages
  CHECK_FALSE(plain.stops_early({}));
  CHECK(plain.fingerprint().empty());
  for (const Phase phase : {Phase::weights, Phase::architecture}) {
    const Path path = plain.draw({.phase = phase, .candidates = 5});
    CHECK(path.to_string() == "11111");
    CHECK(path.uses_alpha());
  }
  CHECK(plain.derive({{0, 1, 0, 0}, {0, 0, 0, 1}}).summary() == "across=1x1 down=2x2");
}

TEST_CASE("one-shot: a made-up strategy searches, is projected and resumes") {
  StrategyOptions long_run = options();
  long_run.epochs = 40;
  Limited whole(toy_space(), long_run);
  ToyProblem problem(2);
  run(whole, problem);
  CHECK(whole.recommend().summary() == kToyAnswer);
  const std::vector<SearchRecord>& history = whole.search()->history();
  CHECK(history.back().architecture_loss < history.front().architecture_loss / 2);
  double largest = 0;
  for (const std::vector<double>& alphas : whole.search()->alphas()) {
    for (const double alpha : alphas) largest = std::max(largest, std::abs(alpha));
  }
  CHECK(largest == static_cast<double>(Limited::kLimit));  // held there

  Limited first(toy_space(), long_run), second(toy_space(), long_run);
  ToyProblem first_half(2), second_half(3);
  for (int epoch = 0; epoch < 17; ++epoch) first.advance(first_half);
  second.load_state(first.save_state());
  run(second, second_half);
  CHECK(same_numbers(second.save_state().tensors, whole.save_state().tensors));
  CHECK(second.save_state().metadata == whole.save_state().metadata);
  Plain other(toy_space(), long_run);
  CHECK_THROWS_AS(other.load_state(first.save_state()), std::invalid_argument);
}

TEST_CASE("one-shot: stopping early, options of its own, and an architecture of its own") {
  class Early : public Plain {
   public:
    Early(const StrategyOptions& options, std::string own)
        : Plain(toy_space(), options), own_(std::move(own)) {}
    bool stops_early(const std::vector<SearchRecord>& history) const override {
      return history.size() == 2;
    }
    std::string fingerprint() const override { return own_; }
    // The smallest alpha instead of the largest.
    Genotype derive(const std::vector<std::vector<double>>& alphas) const override {
      std::vector<std::int64_t> smallest;
      for (const std::vector<double>& alpha : alphas) {
        smallest.push_back(std::min_element(alpha.begin(), alpha.end()) - alpha.begin());
      }
      return make_genotype(space(), smallest);
    }

   private:
    std::string own_;
  };
  Early early(options(), "mine");
  ToyProblem problem;
  run(early, problem);
  CHECK(early.search()->epoch() == 2);
  CHECK(early.search()->finished());
  CHECK(early.recommend() == early.derive(early.search()->alphas()));
  CHECK(early.recommend() != Plain(toy_space(), options()).derive(early.search()->alphas()));
  Early same(options(), "mine"), other(options(), "yours");
  CHECK_NOTHROW(same.load_state(early.save_state()));
  CHECK(same.recommend() == early.recommend());
  CHECK_THROWS_WITH_AS(other.load_state(early.save_state()), doctest::Contains("yours"),
                       std::invalid_argument);
}

TEST_CASE("one-shot: a gradient for every alpha, or none of it is used") {
  class Short : public Plain {
   public:
    using Plain::Plain;
    StepGradient architecture_gradient(const ArchitectureStep& step) const override {
      StepGradient gradient = OneShot::architecture_gradient(step);
      gradient.gradients.pop_back();
      return gradient;
    }
  };
  const Short method(toy_space(), options());
  const std::unique_ptr<Toy> net = toy_supernet(method, 2);
  SupernetSearch search(*net, method);
  const StateDict before = net->state_dict();
  CHECK_THROWS_WITH_AS(search.architecture_step(toy_validation_loss(*net, 0, 0)),
                       doctest::Contains("a gradient for every alpha; got 1 for 2"),
                       std::invalid_argument);
  CHECK(same_numbers(net->state_dict(), before));
}

TEST_CASE("one-shot: a loss that is asked for again in a step draws the same numbers") {
  // Records the first default key of every call. The paths of the step come from other keys.
  struct Drawn {
    std::vector<std::uint64_t> train, validation;
  } drawn;
  struct Thrice : Plain {
    using Plain::Plain;
    StepGradient architecture_gradient(const ArchitectureStep& step) const override {
      step.train_loss();
      StepGradient gradient = OneShot::architecture_gradient(step);
      step.train_loss();
      step.validation_loss();
      return gradient;
    }
  };
  const Thrice method(toy_space(), options());
  const std::unique_ptr<Toy> net = toy_supernet(method, 2);
  SupernetSearch search(*net, method);
  const auto loss = [&](std::vector<std::uint64_t>& keys, int draws) {
    return [&net, &keys, draws] {
      keys.push_back(next_default_key().step);
      for (int i = 1; i < draws; ++i) next_default_key();
      return net->loss(1);
    };
  };
  manual_seed(3, 10);
  search.architecture_step(loss(drawn.validation, 2), loss(drawn.train, 3));
  CHECK(drawn.train == std::vector<std::uint64_t>{10, 10});
  CHECK(drawn.validation == std::vector<std::uint64_t>{13, 13});
  CHECK(default_draws() == 15);  // what follows draws anew
  search.weight_step(loss(drawn.train, 3));
  CHECK(drawn.train.back() == 15);
  CHECK(default_draws() == 18);
}

TEST_CASE("one-shot: what a strategy measures at an epoch's end is kept in the history") {
  struct Measuring : Plain {
    using Plain::Plain;
    std::map<std::string, double> end_epoch(const EpochEnd& end) const override {
      const std::vector<LossFunction> two = end.validation_losses(2);
      CHECK(two.size() == 2);
      CHECK(end.validation_losses(INT64_MAX).size() == kToySteps);
      CHECK(end.choices.size() == 2);
      end.choices[0]->set_path(single_path(4, 1));
      return {{"epoch", end.epoch}, {"loss", two[1]().item()}};
    }
  };
  Measuring method(toy_space(), options());
  ToyProblem problem;
  run(method, problem);
  const std::vector<SearchRecord>& history = method.search()->history();
  CHECK(history.size() == 3);
  CHECK(history[2].values.at("epoch") == 2);
  CHECK(history[2].values.at("loss") > 0);
  CHECK(dynamic_cast<MixedLayer&>(*problem.net->across).choice().path().to_string() == "1111");
  const std::vector<SearchRecord> read = history_from_json(history_json(history));
  CHECK(read[1].values == history[1].values);
  CHECK(history_json(read) == history_json(history));
}

TEST_CASE("one-shot: a search goes on with the problem that it began with") {
  const auto method = make_one_shot("dropout", toy_space(), {.epochs = 3});
  ToyProblem first, second;
  CHECK(method->advance(first));
  CHECK_THROWS_WITH_AS(method->advance(second), doctest::Contains("the problem"),
                       std::invalid_argument);
  CHECK(method->advance(first));
}

TEST_CASE("one shot: gradients of the weights are clipped where a method says so") {
  struct Clipped : Plain {
    using Plain::Plain;
    double clip_norm() const override { return 1e-3; }
    std::unique_ptr<Optimizer> make_weight_optimizer(const NamedParameters& w) const override {
      return std::make_unique<SGD>(w, SGD::Options{.lr = 1});
    }
  };
  const Clipped method(toy_space(), {.epochs = 1});
  const std::unique_ptr<Toy> net = toy_supernet(method, 2);
  SupernetSearch search(*net, method);
  const StateDict before = net->state_dict();
  search.weight_step(toy_train_loss(*net, 0, 0));
  double squares = 0;  // of the step, which is the gradient: at a rate of 1
  for (const auto& [name, value] : net->state_dict()) {
    const std::vector<real> now = value.to_vector(), then = before.at(name).to_vector();
    for (std::size_t i = 0; i < now.size(); ++i) squares += std::pow(double(now[i] - then[i]), 2);
  }
  CHECK(std::sqrt(squares) == doctest::Approx(1e-3).epsilon(1e-3));
}
