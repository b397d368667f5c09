// What every strategy that sees architectures from outside promises; all of them by their table.

#include "nas/trial_search.h"

#include <doctest/doctest.h>

#include <limits>
#include <set>

#include "tests/nas/score_table.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

// Small ones, so that twelve architectures are enough for every part of every strategy.
StrategyOptions small(std::uint64_t seed = 3) {
  return {.seed = seed,
          .trials = 9,
          .population = 3,
          .tournament = 2,
          .random_trials = 3,
          .training_epochs = 9,
          .baseline = genotype_at(table_space(), 1)};
}

std::vector<std::string> trial_strategies() {
  std::vector<std::string> names;
  for (const StrategyRow& row : strategies()) {
    const auto strategy = row.make(table_space(), small());
    if (dynamic_cast<TrialSearch*>(strategy.get()) != nullptr) names.push_back(row.name);
  }
  return names;
}

void check_same_trials(const std::vector<Trial>& a, const std::vector<Trial>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].id == b[i].id);
    CHECK(a[i].genotype == b[i].genotype);
    CHECK(a[i].epochs == b[i].epochs);
  }
}

std::unique_ptr<BlackBox> make_small(const std::string& name, std::uint64_t seed = 3) {
  std::unique_ptr<Strategy> strategy = make_strategy(name, table_space(), small(seed));
  return std::unique_ptr<BlackBox>(dynamic_cast<BlackBox*>(strategy.release()));
}

}  // namespace

TEST_CASE("trial search: the strategies that are there") {
  const std::vector<std::string> names = trial_strategies();
  for (const char* name : {"bayesian", "evolution", "halving", "random", "reinforce"}) {
    CHECK(std::find(names.begin(), names.end(), name) != names.end());
  }
}

TEST_CASE("trial search: what is asked for is a function of seed and outcomes") {
  for (const std::string& name : trial_strategies()) {
    INFO(name);
    Table table(kScores), again(kScores), other(kScores), worse(kScores);
    for (double& score : worse.scores) score = -score;
    const auto strategy = make_small(name);
    CHECK(strategy->planned_steps() >= 9);
    CHECK(strategy->recommend() == strategy->ask()->genotype);
    for (std::int64_t id = 0; strategy->advance(table); ++id) {
      CHECK(table.trials.back().id == id);
      const std::optional<Trial> asked = strategy->ask(), repeated = strategy->ask();
      REQUIRE(asked.has_value() == repeated.has_value());
      if (asked) check_same_trials({*asked}, {*repeated});
    }
    CHECK(std::ssize(table.trials) == strategy->planned_steps());
    CHECK_FALSE(strategy->advance(table));  // it has ended
    CHECK_FALSE(strategy->ask());
    run(*make_small(name), again);
    check_same_trials(table.trials, again.trials);
    const auto asked_for = [](const Table& asked) {
      std::string text;
      for (const Trial& trial : asked.trials) text += trial.genotype.summary() + "; ";
      return text;
    };
    run(*make_small(name, 4), other);
    CHECK(asked_for(other) != asked_for(table));
    run(*make_small(name), worse);
    CHECK((asked_for(worse) == asked_for(table)) == (name == "random"));
    CHECK(strategy->shares_training() == (name == "random"));
  }
}

TEST_CASE("trial search: the answer is the best of those trained longest, the first of several") {
  for (const std::string& name : trial_strategies()) {
    INFO(name);
    Table table(kScores), flat(std::vector<double>(12, -0.5));
    const auto strategy = make_small(name);
    while (strategy->advance(table)) {
      const Trial* best = &table.trials.front();
      for (const Trial& trial : table.trials) {
        const bool longer = trial.epochs > best->epochs;
        const bool better = table.score_of(trial) > table.score_of(*best);
        if (longer || (trial.epochs == best->epochs && better)) best = &trial;
      }
      CHECK(strategy->recommend() == best->genotype);
    }
    const auto undecided = make_small(name);
    run(*undecided, flat);
    CHECK(undecided->recommend() == flat.trials.front().genotype);
  }
}

TEST_CASE("trial search: stopped after any outcome and resumed") {
  for (const std::string& name : trial_strategies()) {
    Table whole(kScores);
    const auto uninterrupted = make_small(name);
    run(*uninterrupted, whole);
    for (std::size_t stop = 0; stop <= whole.trials.size(); ++stop) {
      INFO(name << " stopped after " << stop);
      Table table(kScores);
      const auto first = make_small(name), second = make_small(name);
      for (std::size_t i = 0; i < stop; ++i) CHECK(first->advance(table));
      second->ask();  // which must not stand in the way
      second->load_state(first->save_state());
      CHECK(second->recommend() == first->recommend());
      run(*second, table);
      check_same_trials(table.trials, whole.trials);
      CHECK(second->recommend() == uninterrupted->recommend());
      CHECK(second->save_state().metadata == uninterrupted->save_state().metadata);
    }
  }
}

TEST_CASE("trial search: what does not fit is refused in one line, and changes nothing") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::string> names = trial_strategies();
  for (const std::string& name : names) {
    INFO(name);
    Table table(kScores);
    const auto strategy = make_small(name);
    CHECK(strategy->advance(table));
    const SafetensorsFile before = strategy->save_state();
    const Trial asked = *strategy->ask();
    Trial later = asked, longer = asked, another = asked;
    later.id = 3;
    longer.epochs = 77;
    another.genotype =
        genotype_at(table_space(), 11 - genotype_index(asked.genotype, table_space()));
    for (const Trial& trial : {later, longer, another, table.trials[0]}) {
      const std::string message =
          message_of([&] { strategy->tell(trial, {.score = 1, .cost = 1}); });
      CHECK(message.rfind(name + ": ", 0) == 0);
      CHECK_FALSE(contains(message, "\n"));
    }
    for (const Outcome& outcome : {Outcome{nan, 1}, Outcome{infinity, 1}, Outcome{1, nan}}) {
      CHECK_THROWS_AS(strategy->tell(asked, outcome), std::invalid_argument);
    }

    StrategyOptions more = small();
    more.trials = 10;
    std::vector<SafetensorsFile> states = {SafetensorsFile(), make_small(name, 9)->save_state(),
                                           make_strategy(name, table_space(), more)->save_state()};
    for (const std::string& other : names) {
      if (other != name) states.push_back(make_small(other)->save_state());
    }
    const std::string good = before.metadata.begin()->second;
    const auto damaged = [&](const std::string& part, const std::string& by) {
      SafetensorsFile state = before;
      std::string& text = state.metadata.begin()->second;
      const std::size_t at = text.find(part);
      REQUIRE(at != std::string::npos);
      states.push_back((text.replace(at, part.size(), by), state));
    };
    damaged(good, "{");
    damaged("\"told\":[[", "\"told\":[[[99,0],0,1.0,1.0],[");
    damaged("\"told\":[[", "\"told\":[[[0.5,0],0,1.0,1.0],[");
    damaged("\"told\":[[", "\"told\":[[[0,0],0],[");
    damaged("\"told\":[[", "\"told\":[[[0,0],0,null,1.0],[");
    damaged("\"told\"", "\"tolt\"");
    std::string many;
    for (int i = 0; i < 20; ++i) many += "[[0,0],0,1.0,1.0],";
    damaged("\"told\":[", "\"told\":[" + many);
    for (const SafetensorsFile& state : states) {
      const std::string message = message_of([&] { strategy->load_state(state); });
      CHECK_FALSE(message.empty());
      CHECK_FALSE(contains(message, "\n"));
    }
    CHECK(strategy->save_state().metadata == before.metadata);
    for (const std::int64_t trials : {0, -1}) {
      StrategyOptions options = small();
      options.trials = trials;
      CHECK(message_of([&] { make_strategy(name, table_space(), options); }) ==
            name + ": there must be at least one trial; got " + std::to_string(trials));
    }
  }
}

TEST_CASE("trial search: options of each strategy that make no sense") {
  const auto refused = [](const std::string& name, const auto& change) {
    StrategyOptions options = small();
    change(options);
    return message_of([&] { make_strategy(name, table_space(), options); });
  };
  using Options = StrategyOptions;
  CHECK(refused("evolution", [](Options& o) { o.population = 0; }) ==
        "evolution: the population must be at least 1; got 0");
  CHECK(refused("evolution", [](Options& o) { o.tournament = -2; }) ==
        "evolution: the tournament must be at least 1; got -2");
  CHECK(message_of([] {
          make_strategy("evolution", {.choices = {{"a", {"1"}}}}, small());
        }) == "evolution: a choice must have two candidates; got none");
  CHECK(refused("bayesian", [](Options& o) { o.random_trials = 0; }) ==
        "bayesian: must begin with a random trial; got 0");
  CHECK(refused("reinforce", [](Options& o) { o.policy_learning_rate = 0; }) ==
        "reinforce: the learning rate of the policy must be positive; got 0");
  CHECK(refused("reinforce", [](Options& o) { o.baseline_decay = 1.5; }) ==
        "reinforce: the decay of the baseline must be 0 .. 1; got 1.5");
  CHECK(refused("halving", [](Options& o) { o.reduction = 1; }) ==
        "halving: the reduction must be at least 2; got 1");
  CHECK(refused("halving", [](Options& o) { o.training_epochs = 0; }) ==
        "halving: a training must have epochs; got 0");
}

TEST_CASE("trial search: a resumed search must have the options of its strategy in common") {
  const std::vector<std::pair<std::string, std::function<void(StrategyOptions&)>>> changes = {
      {"evolution", [](StrategyOptions& o) { o.population = 4; }},
      {"evolution", [](StrategyOptions& o) { o.tournament = 3; }},
      {"bayesian", [](StrategyOptions& o) { o.random_trials = 4; }},
      {"reinforce", [](StrategyOptions& o) { o.policy_learning_rate *= 1 + 1e-15; }},
      {"reinforce", [](StrategyOptions& o) { o.baseline_decay = 0.8; }},
      {"halving", [](StrategyOptions& o) { o.training_epochs = 10; }},
      {"halving", [](StrategyOptions& o) { o.reduction = 4; }}};
  for (const auto& change : changes) {
    const std::string& name = change.first;
    INFO(name);
    StrategyOptions changed = small();
    change.second(changed);
    const auto strategy = make_strategy(name, table_space(), changed);
    CHECK_THROWS_AS(strategy->load_state(make_small(name)->save_state()), std::invalid_argument);
  }
}

TEST_CASE("trial search: options with which nothing but random search is left are remarked on") {
  const auto remarks = [](const char* name, const StrategyOptions& options) {
    return make_strategy(name, large_space(), options)->remarks();
  };
  // The defaults of five trials, and one trial more than those that are random.
  CHECK(remarks("evolution", {}) ==
        std::vector<std::string>{"evolution: all 5 trials are random, as the first 10 are: give "
                                 "more trials, or a smaller population"});
  CHECK(remarks("evolution", {.trials = 10, .population = 10}).size() == 1);
  CHECK(remarks("evolution", {.trials = 11, .population = 10}).empty());
  CHECK(remarks("bayesian", {}).size() == 1);
  CHECK(remarks("bayesian", {.trials = 6}).empty());
  CHECK(remarks("halving", {.trials = 2}).size() == 1);
  CHECK(remarks("halving", {.trials = 3}).empty());
  CHECK(remarks("halving", {.trials = 9, .training_epochs = 2}).size() == 1);
  CHECK(remarks("zero_cost", {.trials = 50}).size() == 1);
  CHECK(remarks("zero_cost", {.trials = 49}).empty());
  CHECK(remarks("random", {}).empty());
  CHECK(remarks("reinforce", {}).empty());
  // Said of a small space, too: all of it is drawn.
  CHECK(make_strategy("bayesian", table_space(), {.trials = 90, .random_trials = 12})
            ->remarks()
            .size() == 1);
}

TEST_CASE("trial search: more distinct architectures than there are") {
  for (const std::string name : {"random", "halving"}) {
    CHECK(message_of([&] { make_strategy(name, table_space(), {.trials = 13}); }) ==
          name + ": trials must not exceed the architectures that there are, 12; got 13");
  }
}

TEST_CASE("trial search: rows say what a problem must offer") {
  // A strategy that asks for scores of untrained architectures says so, and no other asks.
  for (const StrategyRow& row : strategies()) {
    CAPTURE(row.name);
    const auto strategy = row.make(table_space(), small());
    if (strategy->needs_supernet() || strategy->planned_steps() == 0) continue;
    Table table(kScores);
    if (row.scores_untrained) {
      CHECK_THROWS_AS(strategy->advance(table), std::logic_error);
    } else {
      CHECK(strategy->advance(table));
    }
  }
  for (const std::string& name : trial_strategies()) {
    CAPTURE(name);
    const auto row = std::find_if(strategies().begin(), strategies().end(),
                                  [&](const StrategyRow& one) { return one.name == name; });
    CHECK((make_small(name)->ask()->epochs != 0) == row->varies_epochs);
  }
}
