// Zero-cost ranking (Abdelfattah, Mehrotra, Dudziak & Lane, "Zero-cost proxies for lightweight
// NAS", ICLR 2021, its warm-up): many random architectures get a score without a training, by
// whatever the problem offers (Problem::untrained_score, nas/zero_cost.h); the best are trained.
//
// Traps. How much a score says is a question to each space; where it says nothing, this is random
// search, and where it says the opposite, worse. What is trained is judged by its training: the
// answer is the best of these, not the first of the ranking. Equal scores stay as they were drawn.

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "nas/trial_search.h"
#include "tensor/check.h"
#include "tensor/json.h"

namespace serenade {

namespace {

constexpr const char* kState = "untrained_scores";

// Trials in a given order.
class Ranked : public TrialSearch {
 public:
  Ranked(const SearchSpace& space, const StrategyOptions& options, std::vector<Genotype> ranking)
      : TrialSearch("zero_cost", space, options.trials,
                    "seed " + std::to_string(options.seed) + ", " + std::to_string(ranking.size()) +
                        " of them scored"),
        ranking_(std::move(ranking)) {}

 private:
  std::optional<Trial> next(const std::vector<Told>& told) const override {
    return Trial{.genotype = ranking_.at(told.size())};
  }

  std::vector<Genotype> ranking_;
};

class ZeroCost : public Strategy {
 public:
  ZeroCost(const SearchSpace& space, const StrategyOptions& options)
      : space_(space), options_(options) {
    const std::int64_t scored =
        space.is_countable() ? std::min(options.scored, space.size()) : options.scored;
    check(scored >= options.trials, "zero_cost",
          "at least as many must be scored as are trained; got ", scored, " and ", options.trials);
    drawn_ = random_genotypes(space, scored, {options.seed, Purpose::architecture, 0});
    ranked_ = ranked({});
  }

  std::string name() const override { return "zero_cost"; }
  std::int64_t planned_steps() const override { return ranked_->planned_steps(); }
  Genotype recommend() const override { return ranked_->recommend(); }
  std::vector<std::string> remarks() const override {
    if (std::ssize(drawn_) > planned_steps()) return {};
    return {"zero_cost: all " + std::to_string(drawn_.size()) +
            " that are scored are trained, and the scores choose none: let more be scored"};
  }

  bool advance(Problem& problem) override {
    if (scores_.empty()) {
      std::vector<double> scores;
      for (const Genotype& genotype : drawn_) {
        scores.push_back(problem.untrained_score(genotype));
        // A network through which nothing flows has a score of minus infinity.
        check(scores.back() < std::numeric_limits<double>::infinity(), "zero_cost",
              "a score must be a number; got ", scores.back(), " for ", genotype.summary());
      }
      ranked_ = ranked(scores);
      scores_ = std::move(scores);
    }
    return ranked_->advance(problem);
  }

  SafetensorsFile save_state() override {
    SafetensorsFile state = ranked_->save_state();
    state.metadata[kState] = nlohmann::json(scores_).dump();  // minus infinity becomes null
    return state;
  }

  void load_state(const SafetensorsFile& state) override {
    const auto found = state.metadata.find(kState);
    check(found != state.metadata.end(), "zero_cost", "must be given the state of such a search");
    try {
      std::vector<double> scores;
      for (const auto& score : parse_json<nlohmann::json>(found->second, "zero_cost")) {
        scores.push_back(score.is_null() ? -std::numeric_limits<double>::infinity()
                                         : score.get<double>());
      }
      check(scores.empty() || scores.size() == drawn_.size(), "zero_cost", "must be given ",
            drawn_.size(), " scores; got ", scores.size());
      std::unique_ptr<Ranked> restored = ranked(scores);
      restored->load_state(state);
      ranked_ = std::move(restored);
      scores_ = std::move(scores);
    } catch (const nlohmann::json::exception& error) {
      check(false, "zero_cost", "must be given what save_state wrote; ", json_reason(error));
    }
  }

 private:
  // By falling scores; as they were drawn where there are none yet.
  std::unique_ptr<Ranked> ranked(const std::vector<double>& scores) const {
    std::vector<std::size_t> order(drawn_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (!scores.empty()) {
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    }
    std::vector<Genotype> ranking;
    for (const std::size_t i : order) ranking.push_back(drawn_[i]);
    return std::make_unique<Ranked>(space_, options_, std::move(ranking));
  }

  SearchSpace space_;
  StrategyOptions options_;
  std::vector<Genotype> drawn_;
  std::vector<double> scores_;  // of drawn_; empty until they are known
  std::unique_ptr<Ranked> ranked_;
};

}  // namespace

StrategyRow zero_cost_strategy() {
  return {.name = "zero_cost",
          .summary = "the best of many random architectures by a score without training, trained",
          .source = "Abdelfattah et al., ICLR 2021",
          .make =
              [](const SearchSpace& space, const StrategyOptions& options) {
                return std::make_unique<ZeroCost>(space, options);
              },
          .scores_untrained = true};
}

}  // namespace serenade
