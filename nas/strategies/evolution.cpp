// Regularised evolution (Real, Aggarwal, Huang & Le, "Regularized evolution for image classifier
// architecture search", AAAI 2019, Algorithm 1): the last P architectures are alive. Of S drawn
// from them, with replacement, the best is the parent; its child differs in one choice; the oldest
// dies, however good it is.
//
// Traps. The child takes another value in exactly one choice. (Code that mutates every choice with
// a small probability, or lets the old value be drawn again, trains copies of the parent most of
// the time: with p = 0.05 and six candidates, 81 % of the children in a space of five choices.)
// The answer is the best of all that were ever told: the best may be dead. An architecture that
// comes up again is a trial like any other: they train it anew, and only what is good twice stays.
// A problem whose trainings are a function of the architecture may answer without a training.

#include "nas/trial_search.h"
#include "tensor/check.h"

namespace serenade {

namespace {

class Evolution : public TrialSearch {
 public:
  Evolution(const SearchSpace& space, const StrategyOptions& options)
      : TrialSearch("evolution", space, options.trials,
                    "seed " + std::to_string(options.seed) + ", population " +
                        std::to_string(options.population) + ", tournament " +
                        std::to_string(options.tournament)),
        options_(options) {
    check(options.population > 0, "evolution", "the population must be at least 1; got ",
          options.population);
    check(options.tournament > 0, "evolution", "the tournament must be at least 1; got ",
          options.tournament);
    for (std::size_t i = 0; i < space.choices.size(); ++i) {
      if (space.choices[i].size() > 1) open_choices_.push_back(i);
    }
    check(!open_choices_.empty(), "evolution", "a choice must have two candidates; got none");
  }

  std::vector<std::string> remarks() const override {
    if (options_.trials > options_.population) return {};
    return {"evolution: all " + std::to_string(options_.trials) +
            " trials are random, as the first " + std::to_string(options_.population) +
            " are: give more trials, or a smaller population"};
  }

 private:
  // The population is the queue of the last P of the history.
  std::optional<Trial> next(const std::vector<Told>& told) const override {
    const RandomKey key{options_.seed, Purpose::architecture, told.size()};
    if (std::ssize(told) < options_.population) {
      return Trial{.genotype = random_genotype(space(), key)};
    }
    std::uint64_t element = 0;
    const auto draw = [&](std::int64_t bound) { return random_integer(key, element++, bound); };
    const auto oldest = told.end() - options_.population;
    const Told* parent = nullptr;
    for (std::int64_t i = 0; i < options_.tournament; ++i) {
      const Told& drawn = oldest[draw(options_.population)];
      if (parent == nullptr || drawn.outcome.score > parent->outcome.score) parent = &drawn;
    }
    std::vector<std::int64_t> child = parent->indices;
    const auto at = static_cast<std::size_t>(draw(std::ssize(open_choices_)));
    const std::size_t mutated = open_choices_[at];
    const std::int64_t other = draw(space().choices[mutated].size() - 1);
    child[mutated] = other < child[mutated] ? other : other + 1;
    return Trial{.genotype = make_genotype(space(), child)};
  }

  StrategyOptions options_;
  std::vector<std::size_t> open_choices_;  // that have more than one candidate
};

}  // namespace

StrategyRow evolution_strategy() {
  return {.name = "evolution",
          .summary = "children of the best of a few that live, one choice changed; the oldest dies",
          .source = "Real et al., AAAI 2019, Algorithm 1",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Evolution>(space, options);
          }};
}

}  // namespace serenade
