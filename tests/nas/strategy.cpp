// Strategies through the one interface that programs use: those of the library, all by their table,
// and two made-up ones.

#include "nas/strategy.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include "nas/history.h"
#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "tests/nas/score_table.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

std::unique_ptr<Strategy> random_search(std::int64_t trials, std::uint64_t seed = 3) {
  return make_strategy("random", table_space(), {.seed = seed, .trials = trials});
}

// Options under which every row can be made.
StrategyOptions any_options(const SearchSpace& space) {
  return {.seed = 4,
          .epochs = 3,
          .learning_rate = 0.02,
          .alpha_learning_rate = 0.02,
          .tuning_epochs = 2,
          .baseline = genotype_at(space, 1)};
}

struct Nothing : Problem {
  SearchSpace searched = table_space();
  const SearchSpace& space() const override { return searched; }
};

// A made-up strategy that sees architectures from outside: from a random one to the best neighbour,
// until none is better.
class HillClimbing : public BlackBox {
 public:
  HillClimbing(SearchSpace space, std::uint64_t seed) : space_(std::move(space)), seed_(seed) {}

  std::string name() const override { return "hill_climbing"; }
  std::optional<Trial> ask() override {
    const auto id = static_cast<std::int64_t>(told_.size());
    if (told_.empty()) return Trial{.id = id, .genotype = recommend()};
    const std::vector<std::int64_t> best = choice_indices(recommend(), space_);
    for (std::size_t i = 0; i < best.size(); ++i) {
      for (const std::int64_t step : {-1, 1}) {
        std::vector<std::int64_t> near = best;
        near[i] += step;
        if (near[i] < 0 || near[i] >= space_.choices[i].size()) continue;
        const Genotype genotype = make_genotype(space_, near);
        if (told_.count(genotype_index(genotype, space_)) == 0) return Trial{id, genotype};
      }
    }
    return std::nullopt;
  }
  void tell(const Trial& trial, const Outcome& outcome) override {
    told_[genotype_index(trial.genotype, space_)] = outcome.score;
  }
  Genotype recommend() const override {
    if (told_.empty()) return random_genotype(space_, {seed_, Purpose::architecture, 0});
    const auto best = std::max_element(told_.begin(), told_.end(), [](auto& one, auto& other) {
      return one.second < other.second;
    });
    return genotype_at(space_, best->first);
  }
  SafetensorsFile save_state() override {
    std::ostringstream text;
    text.precision(17);
    for (const auto& [index, score] : told_) text << index << ' ' << score << ' ';
    SafetensorsFile file;
    file.metadata["told"] = text.str();
    return file;
  }
  void load_state(const SafetensorsFile& state) override {
    std::istringstream text(state.metadata.at("told"));
    told_.clear();
    std::int64_t index;
    for (double score; text >> index >> score;) told_[index] = score;
  }

 private:
  SearchSpace space_;
  std::uint64_t seed_;
  std::map<std::int64_t, double> told_;  // score of an architecture's number
};

std::string history_of(OneShot& strategy) { return history_json(strategy.search()->history()); }

}  // namespace

// The table ---------------------------------------------------------------------------------------

TEST_CASE("strategies: every row makes the strategy of its name") {
  std::set<std::string> names;
  for (const StrategyRow& row : strategies()) {
    INFO(row.name);
    CHECK(names.insert(row.name).second);
    CHECK_FALSE(row.summary.empty());
    CHECK_FALSE(contains(row.summary + row.source, "\n"));
    const StrategyOptions options = any_options(table_space());
    const std::unique_ptr<Strategy> strategy = row.make(table_space(), options);
    CHECK(strategy->name() == row.name);
    CHECK(make_strategy(row.name, table_space(), options)->name() == row.name);
    CHECK(strategy->needs_supernet() == (dynamic_cast<OneShot*>(strategy.get()) != nullptr));
    // Whoever shares trainings between folds has to be known to look at training data only.
    const std::set<std::string> known = {"joint", "random", "none"};
    CHECK(strategy->shares_training() == (known.count(row.name) == 1));
    // There is an answer before the first step, and it belongs to the space.
    CHECK_NOTHROW(check_genotype(strategy->recommend(), table_space()));
    CHECK_THROWS_AS(make_strategy(row.name, SearchSpace{}, options), std::invalid_argument);
  }
  for (const char* name : {"none", "random", "joint", "sampling", "dropout"}) {
    CHECK(names.count(name) == 1);
  }
  CHECK(contains(message_of([] { make_strategy("dropuot", table_space(), {}); }),
                 "there is none named 'dropuot'; the nearest is 'dropout'"));
}

TEST_CASE("strategies: a problem that offers nothing ends every search in one line") {
  for (const StrategyRow& row : strategies()) {
    INFO(row.name);
    Nothing nothing;
    const auto strategy = row.make(table_space(), any_options(table_space()));
    if (row.name == "none") {
      CHECK_FALSE(strategy->advance(nothing));
      continue;
    }
    const std::string expected = strategy->needs_supernet() ? "supernet"
                                 : row.name == "zero_cost"  ? "untrained scores"
                                                            : "trials";
    for (int twice = 0; twice < 2; ++twice) {  // a failure changes nothing
      CHECK(message_of<std::logic_error>([&] { strategy->advance(nothing); }) ==
            "problem: offers no " + expected);
    }
  }
  Nothing nothing;
  CHECK_THROWS_AS(nothing.train_batches(), std::logic_error);
  CHECK_THROWS_AS(nothing.validation_batches(), std::logic_error);
  CHECK_THROWS_AS(nothing.next_train_loss(), std::logic_error);
  CHECK_THROWS_AS(nothing.next_validation_loss(), std::logic_error);
  CHECK_THROWS_AS(nothing.validation_losses(1), std::logic_error);
}

TEST_CASE("none: no search, the architecture that one brings along") {
  const SearchSpace space = table_space();
  const Genotype baseline = genotype_at(space, 5);
  const auto strategy = make_strategy("none", space, {.baseline = baseline});
  Table table(kScores);
  CHECK_FALSE(strategy->advance(table));
  CHECK(table.trials.empty());
  CHECK(strategy->recommend() == baseline);
  CHECK_NOTHROW(strategy->load_state(strategy->save_state()));
  CHECK(contains(message_of([&] { make_strategy("none", space, {}); }), "baseline: "));
}

// Random search -----------------------------------------------------------------------------------

TEST_CASE("random search: distinct architectures, the best of them kept") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Table table(kScores);
    const auto strategy = random_search(5, seed);
    double best = -1;
    for (std::int64_t id = 0; strategy->advance(table); ++id) {
      CHECK(table.trials.back().id == id);
      CHECK(table.trials.back().epochs == 0);  // as many as the problem's trainings have
      const Genotype& asked = table.trials.back().genotype;
      best =
          std::max(best, kScores[static_cast<std::size_t>(genotype_index(asked, table.searched))]);
      const Genotype kept = strategy->recommend();
      CHECK(kScores[static_cast<std::size_t>(genotype_index(kept, table.searched))] == best);
    }
    std::set<std::string> distinct;
    for (const Trial& trial : table.trials) distinct.insert(trial.genotype.summary());
    CHECK(distinct.size() == 5);
    CHECK(table.trials.size() == 5);
    CHECK_FALSE(strategy->advance(table));  // it has ended
    CHECK(table.trials.size() == 5);
  }
  Table table(kScores);
  const auto all = random_search(12);
  run(*all, table);
  CHECK(all->recommend().summary() == "a=3 b=2");
}

TEST_CASE("random search: the first of several that are equally good; scores below zero") {
  Table table(std::vector<double>(12, -0.5));
  const auto strategy = random_search(5);
  run(*strategy, table);
  CHECK(strategy->recommend() == table.trials[0].genotype);
}

TEST_CASE("random search: what it asks for depends on its seed alone") {
  Table table(kScores), again(kScores), other(kScores);
  run(*random_search(5, 1), table);
  run(*random_search(5, 1), again);
  run(*random_search(5, 2), other);
  bool differs = false;
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(table.trials[i].genotype == again.trials[i].genotype);
    differs = differs || !(table.trials[i].genotype == other.trials[i].genotype);
  }
  CHECK(differs);
  const auto strategy = random_search(5);
  auto& black_box = dynamic_cast<BlackBox&>(*strategy);
  CHECK(black_box.ask()->genotype == black_box.ask()->genotype);
}

TEST_CASE("random search: stopped after any trial and resumed") {
  Table whole(kScores);
  const auto uninterrupted = random_search(6);
  run(*uninterrupted, whole);
  for (std::size_t stop = 0; stop <= 6; ++stop) {
    INFO("stopped after " << stop);
    Table table(kScores);
    const auto first = random_search(6), second = random_search(6);
    for (std::size_t i = 0; i < stop; ++i) CHECK(first->advance(table));
    second->load_state(first->save_state());
    CHECK(second->recommend() == first->recommend());
    run(*second, table);
    REQUIRE(table.trials.size() == 6);
    for (std::size_t i = 0; i < 6; ++i) {
      CHECK(table.trials[i].id == whole.trials[i].id);
      CHECK(table.trials[i].genotype == whole.trials[i].genotype);
    }
    CHECK(second->recommend() == uninterrupted->recommend());
    CHECK(second->save_state().metadata == uninterrupted->save_state().metadata);
  }
}

TEST_CASE("random search: what does not fit is refused, and changes nothing") {
  Table table(kScores);
  const auto strategy = random_search(5);
  auto& black_box = dynamic_cast<BlackBox&>(*strategy);
  CHECK(strategy->advance(table));
  const SafetensorsFile before = strategy->save_state();
  CHECK_THROWS_AS(black_box.tell({.id = 3, .genotype = table.trials[0].genotype}, {.score = 1}),
                  std::invalid_argument);
  for (const double score :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_AS(black_box.tell(*black_box.ask(), {.score = score}), std::invalid_argument);
  }
  SafetensorsFile bad = before;
  bad.metadata.begin()->second = "{";
  for (const SafetensorsFile& state : {SafetensorsFile(), bad, random_search(5, 9)->save_state(),
                                       random_search(4)->save_state()}) {
    CHECK_THROWS_AS(strategy->load_state(state), std::invalid_argument);
  }
  CHECK(strategy->save_state().metadata == before.metadata);
  CHECK_THROWS_AS(random_search(0), std::invalid_argument);
  CHECK_THROWS_AS(random_search(-1), std::invalid_argument);
  CHECK_THROWS_AS(random_search(13), std::invalid_argument);
}

TEST_CASE("a made-up black-box strategy climbs the same table, and resumes") {
  // One hill: the closer to a=3 b=2, the better.
  std::vector<double> hill;
  for (const Genotype& genotype : enumerate_genotypes(table_space())) {
    const std::vector<std::int64_t> at = choice_indices(genotype, table_space());
    hill.push_back(-std::abs(static_cast<double>(at[0] - 2)) -
                   std::abs(static_cast<double>(at[1] - 1)));
  }
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Table whole(hill), table(hill);
    HillClimbing uninterrupted(table_space(), seed), first(table_space(), seed),
        second(table_space(), seed);
    CHECK_FALSE(uninterrupted.needs_supernet());
    CHECK_FALSE(uninterrupted.shares_training());  // it has not said so
    run(uninterrupted, whole);
    CHECK(uninterrupted.recommend().summary() == "a=3 b=2");
    CHECK(whole.trials.size() < 12);
    for (int i = 0; i < 3; ++i) first.advance(table);
    second.load_state(first.save_state());
    run(second, table);
    REQUIRE(table.trials.size() == whole.trials.size());
    for (std::size_t i = 0; i < table.trials.size(); ++i) {
      CHECK(table.trials[i].genotype == whole.trials[i].genotype);
    }
  }
}

// One-shot strategies -----------------------------------------------------------------------------

TEST_CASE("one-shot: every strategy, stopped after any step and resumed, gives the same bits") {
  struct Stop {};
  for (const std::string& name : supernet_strategies()) {
    const StrategyOptions options = any_options(toy_space());
    const auto uninterrupted = make_one_shot(name, toy_space(), options);
    ToyProblem whole(8);
    run(*uninterrupted, whole);
    const SafetensorsFile wanted = uninterrupted->save_state();
    const auto steps = static_cast<std::int64_t>(whole.losses.size());
    CHECK(steps == uninterrupted->planned_steps() * kToySteps);
    for (std::int64_t stop = 1; stop <= steps; ++stop) {
      INFO(name << " stopped after step " << stop);
      const auto first = make_one_shot(name, toy_space(), options);
      const auto second = make_one_shot(name, toy_space(), options);
      ToyProblem first_part(8), second_part(9);  // 9: other initial weights
      SafetensorsFile state;
      first_part.after_step = [&] {
        if (static_cast<std::int64_t>(first_part.losses.size()) < stop) return;
        state = first->save_state();
        throw Stop();
      };
      CHECK_THROWS_AS(run(*first, first_part), Stop);
      second->load_state(state);
      run(*second, second_part);
      const SafetensorsFile got = second->save_state();
      CHECK(same_numbers(got.tensors, wanted.tensors));
      CHECK(got.metadata == wanted.metadata);
      std::vector<double> losses = first_part.losses;
      losses.insert(losses.end(), second_part.losses.begin(), second_part.losses.end());
      CHECK(losses == whole.losses);
    }
  }
}

TEST_CASE("one-shot: every strategy, stopped after any epoch and resumed, gives the same bits") {
  for (const std::string& name : supernet_strategies()) {
    const StrategyOptions options = any_options(toy_space());
    const auto uninterrupted = make_one_shot(name, toy_space(), options);
    ToyProblem whole(8);
    run(*uninterrupted, whole);
    const std::int64_t epochs = uninterrupted->planned_steps();
    CHECK(uninterrupted->search()->epoch() == epochs);
    CHECK_FALSE(uninterrupted->advance(whole));
    for (int stop = 0; stop <= epochs; ++stop) {
      INFO(name << " stopped after " << stop);
      ToyProblem first_half(8), second_half(stop == 0 ? 8 : 9);  // 9: other initial weights
      const auto first = make_one_shot(name, toy_space(), options);
      const auto second = make_one_shot(name, toy_space(), options);
      for (int i = 0; i < stop; ++i) CHECK(first->advance(first_half));
      second->load_state(first->save_state());
      // Before anything has run, it knows what the first one knew, and can be saved again.
      CHECK(second->recommend() == first->recommend());
      CHECK(second->save_state().metadata == first->save_state().metadata);
      run(*second, second_half);
      if (stop == epochs) CHECK(second_half.losses.empty());
      CHECK(second->recommend() == uninterrupted->recommend());
      CHECK(same_numbers(second_half.net->state_dict(), whole.net->state_dict()));
      const SafetensorsFile a = second->save_state(), b = uninterrupted->save_state();
      CHECK(same_numbers(a.tensors, b.tensors));
      CHECK(a.metadata == b.metadata);
      std::vector<double> losses = first_half.losses;
      losses.insert(losses.end(), second_half.losses.begin(), second_half.losses.end());
      CHECK(losses == whole.losses);
    }
  }
}

TEST_CASE("one-shot: a state that does not fit is refused at once, and changes nothing") {
  const auto dropout = [](const StrategyOptions& options) {
    return make_one_shot("dropout", toy_space(), options);
  };
  const auto saved = [&](OneShot& strategy, int epochs) {
    ToyProblem problem;
    for (int i = 0; i < epochs; ++i) strategy.advance(problem);
    return strategy.save_state();
  };
  for (const int epochs : {0, 1}) {
    INFO(epochs << " epochs");
    const SafetensorsFile good = saved(*dropout({.seed = 1}), epochs);
    const auto fresh = dropout({.seed = 1}), started = dropout({.seed = 1});
    ToyProblem problem;
    started->advance(problem);
    const std::string history = history_of(*started);
    for (const SafetensorsFile& state :
         {SafetensorsFile(), random_search(5)->save_state(), saved(*dropout({.seed = 2}), epochs),
          saved(*dropout({.seed = 1, .num_masked = 2}), epochs),
          saved(*make_one_shot("sampling", toy_space(), {.seed = 1}), epochs)}) {
      CHECK_THROWS_AS(fresh->load_state(state), std::invalid_argument);
      CHECK_THROWS_AS(started->load_state(state), std::invalid_argument);
    }
    CHECK(history_of(*started) == history);
    ToyProblem again;
    CHECK(fresh->advance(again));
    CHECK(again.losses == problem.losses);  // as if nothing had been tried
    CHECK_NOTHROW(dropout({.seed = 1})->load_state(good));
  }
  // A state whose trouble shows only at the supernet: the search does not begin without it.
  SafetensorsFile bad = saved(*dropout({.seed = 1}), 1);
  bad.tensors.erase("search.supernet.down.alpha");
  const auto strategy = dropout({.seed = 1});
  strategy->load_state(bad);
  ToyProblem problem;
  for (int twice = 0; twice < 2; ++twice) {
    CHECK_THROWS_AS(strategy->advance(problem), std::invalid_argument);
  }
  CHECK(problem.losses.empty());
}

TEST_CASE("one-shot: a joint search needs no validation data") {
  struct TrainingOnly : Problem {
    ToyProblem toy;
    const SearchSpace& space() const override { return toy.space(); }
    Module& supernet(const OneShot& method) override { return toy.supernet(method); }
    std::int64_t train_batches() const override { return 2; }
    LossFunction next_train_loss() override { return toy.next_train_loss(); }
  };
  for (const std::string& name : supernet_strategies()) {
    INFO(name);
    TrainingOnly problem;
    const auto strategy = make_one_shot(name, toy_space(), any_options(toy_space()));
    if (strategy->trains_jointly()) {
      CHECK_NOTHROW(run(*strategy, problem));
      CHECK(strategy->search()->epoch() == 3);
    } else {
      CHECK(message_of<std::logic_error>([&] { run(*strategy, problem); }) ==
            "problem: offers no validation data");
    }
  }
}

TEST_CASE("one-shot: what a problem is told, and in which stage it is asked for which data") {
  struct Log : ToyProblem {
    std::string text;
    std::int64_t train_batches() const override { return 2; }
    std::int64_t validation_batches() const override { return 3; }
    LossFunction next_train_loss() override {
      text += 't';
      return ToyProblem::next_train_loss();
    }
    LossFunction next_validation_loss() override {
      text += 'v';
      return ToyProblem::next_validation_loss();
    }
    void begin_epoch(SupernetSearch& search) override {
      text += '[' + std::to_string(search.epoch()) + ' ';
      ToyProblem::begin_epoch(search);
    }
    void end_step(const StepRecord& last, std::int64_t step, std::int64_t steps) override {
      text += (last.phase == Phase::weights ? "w" : "a") + std::to_string(step) + "/" +
              std::to_string(steps) + " ";
    }
    void end_epoch(SupernetSearch& search) override {
      text += std::to_string(search.history().size()) + ']';
    }
  };
  const auto course = [](const char* name, const StrategyOptions& options) {
    Log log;
    const auto strategy = make_one_shot(name, toy_space(), options);
    run(*strategy, log);
    return log.text;
  };
  CHECK(course("joint", {.epochs = 2}) == "[0 tw0/2 tw1/2 1][1 tw0/2 tw1/2 2]");
  CHECK(course("sampling", {.epochs = 1}) == "[0 tvw0/2 tvw1/2 1]");
  CHECK(course("dropout", {.epochs = 1, .bilevel = Bilevel::two_stage, .architecture_epochs = 1}) ==
        "[0 tw0/2 tw1/2 1][1 va0/3 va1/3 va2/3 2]");
  CHECK(course("dropout", {.epochs = 0}).empty());
}
