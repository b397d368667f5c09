// Single-path one-shot search: what is trained how often, and the evolution that answers.

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

std::int64_t drawn(const OneShot& method, std::int64_t n, std::uint64_t step,
                   std::uint64_t choice) {
  const Path path = method.draw({.candidates = n, .choice = choice, .step = step, .seed = 5});
  CHECK(path.active_count() == 1);
  CHECK_FALSE(path.uses_alpha());
  return path.first_active();
}

// A table of 4^6 children; the loss of each is that of its path.
SearchSpace table_space() {
  SearchSpace space;
  for (int i = 0; i < 6; ++i) {
    space.choices.push_back({.name = std::to_string(i), .candidates = {"0", "1", "2", "3"}});
  }
  return space;
}

struct TableProblem : Problem {
  struct Net : Module {
    std::vector<std::unique_ptr<Layer>> choices;
    Variable weight;
    explicit Net(Builder& builder) : weight(register_parameter("weight", Tensor::ones({1}))) {
      for (int i = 0; i < 6; ++i) {
        choices.push_back(builder.choose(std::to_string(i), [](const std::string&, real) {
          return std::make_unique<Identity>();
        }));
        register_module(std::to_string(i), *choices.back());
      }
    }
  };
  SearchSpace searched = table_space();
  Builder builder{searched};
  Net net{builder};
  std::multiset<std::vector<std::int64_t>> seen;

  const SearchSpace& space() const override { return searched; }
  Module& supernet(const OneShot&) override { return net; }
  std::int64_t train_batches() const override { return 2; }
  LossFunction next_train_loss() override {
    return [this] { return affine(net.weight, 1); };
  }
  // Best: 0 1 2 3 0 1. Each choice adds its distance, and neighbours work together.
  static double loss_of(const std::vector<std::int64_t>& child) {
    double loss = 0;
    for (std::size_t i = 0; i < 6; ++i) {
      const auto wrong = static_cast<double>(std::abs(child[i] - static_cast<std::int64_t>(i % 4)));
      loss += wrong * (1 + 0.3 * static_cast<double>(child[(i + 1) % 6]));
    }
    return loss;
  }
  std::vector<LossFunction> validation_losses(std::int64_t) override {
    return {[this] {
      std::vector<std::int64_t> child;
      for (const auto& layer : net.choices) {
        const Path& path = dynamic_cast<MixedLayer&>(*layer).choice().path();
        CHECK(path.active_count() == 1);
        child.push_back(path.first_active());
      }
      seen.insert(child);
      return Variable(Tensor::full({1}, static_cast<real>(loss_of(child))));
    }};
  }
};

}  // namespace

TEST_CASE("spos: fair sampling trains each candidate exactly once in N steps") {
  const auto fair = make_one_shot("spos", toy_space(), {.fair = true});
  for (const std::int64_t n : {1, 2, 4, 6}) {
    const auto size = static_cast<std::uint64_t>(n);
    std::set<std::vector<std::int64_t>> orders;
    for (std::uint64_t choice = 0; choice < 3; ++choice) {
      for (std::uint64_t round = 0; round < 100; ++round) {
        std::vector<std::int64_t> order;
        for (std::uint64_t step = 0; step < size; ++step) {
          order.push_back(drawn(*fair, n, size * round + step, choice));
        }
        orders.insert(order);
        std::sort(order.begin(), order.end());
        for (std::uint64_t i = 0; i < size; ++i) REQUIRE(order[i] == static_cast<std::int64_t>(i));
      }
    }
    const std::vector<std::size_t> all = {0, 1, 2, 6, 24};  // n!
    if (n <= 4) CHECK(orders.size() == all[size]);
  }
  // Choices have orders of their own, and without `fair` candidates repeat.
  const auto uniform = make_one_shot("spos", toy_space(), {});
  int same = 0, repeats = 0;
  for (std::uint64_t step = 0; step < 400; ++step) {
    same += drawn(*fair, 4, step, 0) == drawn(*fair, 4, step, 1);
    if (step % 4 != 0) repeats += drawn(*uniform, 4, step, 0) == drawn(*uniform, 4, step - 1, 0);
  }
  CHECK(same < 150);
  CHECK(repeats > 40);
}

TEST_CASE("spos: through a whole search, fair updates differ by none") {
  const auto method = make_one_shot("spos", toy_space(), {.epochs = 4, .fair = true});
  ToyProblem problem;
  while (method->advance(problem)) {
  }
  // 24 steps of 4 candidates each.
  for (const ChoiceRecord& choice : method->search()->history().back().choices) {
    CHECK(choice.updates == std::vector<std::int64_t>(4, 6));
  }
}

TEST_CASE("spos: evolution finds the best child, and looks at none twice") {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    TableProblem problem;
    const auto method = make_one_shot("spos", table_space(), {.seed = seed, .epochs = 1});
    CHECK(method->advance(problem));
    CHECK(problem.seen.size() <= 1000);  // of 4096
    CHECK(std::set<std::vector<std::int64_t>>(problem.seen.begin(), problem.seen.end()).size() ==
          problem.seen.size());
    CHECK(choice_indices(method->recommend(), table_space()) ==
          std::vector<std::int64_t>{0, 1, 2, 3, 0, 1});
    CHECK(method->derive(method->search()->alphas()) == method->recommend());
    CHECK_FALSE(method->search()->trains_architecture());
    CHECK_FALSE(method->advance(problem));
  }
}

TEST_CASE("spos: the answer is the best of those seen, also where few are looked at") {
  TableProblem problem;
  const auto method = make_one_shot("spos", table_space(),
                                    {.epochs = 2, .child_population = 4, .child_generations = 3});
  CHECK(method->advance(problem));
  CHECK(problem.seen.empty());  // not before the weights are done
  CHECK(method->advance(problem));
  CHECK(problem.seen.size() == 12);
  double best = 1e9;
  for (const auto& child : problem.seen) best = std::min(best, TableProblem::loss_of(child));
  CHECK(TableProblem::loss_of(choice_indices(method->recommend(), table_space())) == best);
  const std::vector<SearchRecord>& history = method->search()->history();
  CHECK(history.front().values.empty());
  CHECK(history.back().values.at("children compared") == 12);
  CHECK(history.back().values.at("lowest loss of a child") == doctest::Approx(best));
}

TEST_CASE("spos: options that make no sense are refused") {
  const auto message = [](const StrategyOptions& wrong) {
    return message_of([&] { make_one_shot("spos", toy_space(), wrong); });
  };
  CHECK(contains(message({.child_population = 0}), "spos: there must be children to choose from"));
  CHECK(contains(message({.child_generations = 0}), "spos: there must be children to choose from"));
}
