// Perturbation-based selection: what matters is not the largest alpha but what cannot be spared.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

// Two features side by side. "twin" and "copy" are the same candidate, and see the first; "other"
// sees the second.
SearchSpace twin_space() {
  return {.choices = {{.name = "feature", .candidates = {"twin", "copy", "other"}}}};
}

struct Feature : Layer {
  std::int64_t column;
  Variable w;
  explicit Feature(const std::string& name)
      : column(name == "other" ? 1 : 0), w(register_parameter("w", Tensor::ones({1}))) {}
  Variable forward(const Variable& x) override { return mul(slice(x, 1, column, 1), w); }
};

struct TwinProblem : Problem {
  struct Net : Module {
    std::unique_ptr<Layer> choice;
    explicit Net(Builder& builder)
        : choice(builder.choose("feature", [](const std::string& name, real) {
            return std::make_unique<Feature>(name);
          })) {
      register_module("choice", *choice);
    }
  };
  SearchSpace searched = twin_space();
  Builder builder{searched};
  Net net{builder};

  // The target is the sum of both features.
  LossFunction loss(std::uint64_t seed) {
    return [this, seed] {
      const Tensor x = random_tensor({64, 2}, seed);
      return mse_loss(net.choice->forward(x), sum(Variable(x), 1, true));
    };
  }
  const SearchSpace& space() const override { return searched; }
  Module& supernet(const OneShot&) override { return net; }
  std::int64_t train_batches() const override { return 20; }
  LossFunction next_train_loss() override { return loss(1); }
  LossFunction next_validation_loss() override { return loss(2); }
  std::vector<LossFunction> validation_losses(std::int64_t) override { return {loss(2), loss(3)}; }
};

}  // namespace

TEST_CASE("darts_pt: a candidate with a double loses, however large its alpha") {
  const StrategyOptions options{
      .epochs = 20, .learning_rate = 0.05, .alpha_learning_rate = 1e-9, .tuning_epochs = 1};
  for (const char* name : {"darts", "darts_pt"}) {
    TwinProblem problem;
    const auto method = make_one_shot(name, twin_space(), options);
    // Both have larger alphas than the third.
    Variable alpha = dynamic_cast<MixedLayer&>(*problem.net.choice).choice().alpha();
    alpha.value().copy_(Tensor::from({2, 2, 0}, {3}));
    while (method->advance(problem)) {
    }
    const std::string expected = name == std::string("darts") ? "twin" : "other";
    CHECK(contains(method->recommend().summary(), expected));
    if (expected == "other") {
      CHECK(alpha.value().to_vector() == std::vector<real>{0, 0, 10});
      CHECK(method->derive(method->search()->alphas()) == method->recommend());
    }
  }
}

TEST_CASE("darts_pt: what is left after a removal is not scaled up") {
  // y is the mean of 3, 2 and -2, as wanted: 1. Without candidate i, y is off by w_i / 3, and the 3
  // is missed most; scaled to a sum of 1, by |1 - w_i| / 2, and the -2 would be.
  struct Constants : Problem {
    struct Factor : Layer {
      Variable w;
      explicit Factor(const std::string& name)
          : w(register_parameter("w", Tensor::full({1}, std::stoi(name)))) {}
      Variable forward(const Variable& x) override { return mul(x, w); }
    };
    struct Net : Module {
      std::unique_ptr<Layer> choice;
      explicit Net(Builder& builder)
          : choice(builder.choose("factor", [](const std::string& name, real) {
              return std::make_unique<Factor>(name);
            })) {
        register_module("choice", *choice);
      }
    };
    SearchSpace searched{.choices = {{.name = "factor", .candidates = {"3", "2", "-2"}}}};
    Builder builder{searched};
    Net net{builder};
    const SearchSpace& space() const override { return searched; }
    Module& supernet(const OneShot&) override { return net; }
    std::int64_t train_batches() const override { return 1; }
    LossFunction next_train_loss() override {
      return [this] {
        const Tensor one = Tensor::ones({1});
        return mse_loss(net.choice->forward(one), one);
      };
    }
    LossFunction next_validation_loss() override { return next_train_loss(); }
    std::vector<LossFunction> validation_losses(std::int64_t) override {
      return {next_train_loss()};
    }
  } problem;
  const auto method =
      make_one_shot("darts_pt", problem.space(),
                    {.epochs = 1, .learning_rate = 1e-6, .alpha_learning_rate = 1e-6});
  while (method->advance(problem)) {
  }
  CHECK(method->recommend().summary() == "factor=3");
  // All three share evenly: without 3, the others give 0; without one of them, 1/3 and 5/3.
  const std::map<std::string, double>& measured = method->search()->history().back().values;
  REQUIRE(measured.size() == 3);
  CHECK(measured.at("loss of factor without 3") == doctest::Approx(1).epsilon(1e-4));
  CHECK(measured.at("loss of factor without 2") == doctest::Approx(4.0 / 9).epsilon(1e-4));
  CHECK(measured.at("loss of factor without -2") == doctest::Approx(4.0 / 9).epsilon(1e-4));
}

TEST_CASE("darts_pt: choices are decided one by one, and the weights are tuned in between") {
  const StrategyOptions options{.seed = 3,
                                .epochs = 4,
                                .learning_rate = 0.02,
                                .alpha_learning_rate = 0.02,
                                .tuning_epochs = 3};
  const auto method = make_one_shot("darts_pt", toy_space(), options);
  CHECK(method->planned_steps() == 4 + 3);
  ToyProblem problem(2);
  const auto decided = [&] {
    std::string text;
    for (const std::vector<double>& alphas : method->search()->alphas()) {
      text += *std::max_element(alphas.begin(), alphas.end()) == 10 ? 'd' : '-';
    }
    return text;
  };
  std::vector<std::string> course;
  while (method->advance(problem)) course.push_back(decided());
  REQUIRE(course.size() == 7);
  CHECK(course[2] == "--");
  CHECK(std::count(course[3].begin(), course[3].end(), 'd') == 1);
  for (const std::size_t tuned : {4, 5}) CHECK(course[tuned] == course[3]);
  CHECK(course[6] == "dd");
  // The candidates that a decided choice has lost are left alone, the kept one is trained.
  const std::size_t first = course[3] == "d-" ? 0 : 1;
  const std::vector<SearchRecord>& history = method->search()->history();
  const ChoiceRecord &before = history[3].choices[first], &after = history[6].choices[first];
  const auto kept = static_cast<std::size_t>(after.best);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(after.updates[i] - before.updates[i] == (i == kept ? 3 * kToySteps : 0));
    CHECK(after.alphas[i] == (i == kept ? 10 : 0));
  }
  const ChoiceRecord& open = history[5].choices[1 - first];
  CHECK(open.updates == std::vector<std::int64_t>(4, 6 * kToySteps));
}

TEST_CASE("darts_pt: the order of deciding is drawn, and the rate falls to a tenth") {
  std::map<std::string, int> orders;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto method = make_one_shot("darts_pt", toy_space(), {.seed = seed, .epochs = 3});
    // Which of the two choices is a single path in the first epoch of tuning.
    std::string text;
    for (const std::uint64_t choice : {0, 1}) {
      text += method->draw({.candidates = 4, .choice = choice, .epoch = 3}).to_string() + " ";
    }
    ++orders[text];
    CHECK(method->rate_scale(2) == 1);
    CHECK(method->rate_scale(3) == 0.1);
  }
  CHECK(orders.size() == 2);
  CHECK(orders["1000 1111 "] > 2);
  CHECK(orders["1111 1000 "] > 2);
}

TEST_CASE("one-shot: a strategy scales the rate of the weights, and leaves it as it was") {
  struct Scaled : OneShot {
    using OneShot::OneShot;
    std::string name() const override { return "scaled"; }
    double rate_scale(std::int64_t epoch) const override { return epoch == 0 ? 1 : 0.1; }
    std::unique_ptr<Optimizer> make_weight_optimizer(const NamedParameters& w) const override {
      return std::make_unique<SGD>(w, SGD::Options{.lr = 0.01});
    }
  };
  const Scaled method(toy_space(), {.epochs = 2});
  const std::unique_ptr<Toy> net = toy_supernet(method, 2);
  SupernetSearch search(*net, method);
  std::vector<double> moved;
  for (int epoch = 0; epoch < 2; ++epoch) {
    const auto weight = [&] {
      return static_cast<double>(net->state_dict().at("across.ops.1.weight").item());
    };
    StateDict copy;
    for (const auto& [name, tensor] : net->state_dict()) copy[name] = tensor.clone();
    const double before = weight();
    search.weight_step(toy_train_loss(*net, 0, 0));
    moved.push_back(weight() - before);
    CHECK(search.weight_optimizer().learning_rate() == 0.01);
    search.end_epoch();
    net->load_state_dict(copy);
  }
  CHECK(moved[0] != 0);
  CHECK(moved[1] == doctest::Approx(moved[0] / 10).epsilon(1e-3));
}

TEST_CASE("darts_pt: options that make no sense are refused") {
  CHECK(contains(message_of([] { make_one_shot("darts_pt", toy_space(), {.tuning_epochs = 0}); }),
                 "darts_pt: tuning_epochs must be 1 or more; got 0"));
}
