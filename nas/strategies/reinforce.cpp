// Reinforcement learning (REINFORCE: Williams, Machine Learning 8, 1992; for architectures:
// Zoph & Le, "Neural architecture search with reinforcement learning", ICLR 2017, section 3.2, and
// Pham et al., ICML 2018): a policy draws an architecture, and is moved towards those that score
// above average,
//
//   theta += eta (R - b) d log pi(x) / d theta,   b <- decay b + (1 - decay) R,
//
// with a table of logits in place of their LSTM (nas/policy.h). On average over its own draws the
// step is eta pi_j (R_j - R_mean) for candidate j of each choice, R_j being the mean score of
// the architectures that have it: the form of DARTS's gradient of alpha.
//
// Traps. b is the average of earlier scores: one that holds R already depends on what was drawn,
// and makes the step smaller by the factor `decay`. The first score is the first b: no lesson.
// eta has the unit 1 / score: scores of 0 .. 1 that differ by hundredths need one above 1. A policy
// that is sure draws the same architecture again; it is trained again. The answer is the best
// architecture that was told, not the most likely one, which nobody may have trained.

#include <cmath>
#include <nlohmann/json.hpp>

#include "nas/policy.h"
#include "nas/trial_search.h"
#include "tensor/check.h"

namespace serenade {

namespace {

class Reinforce : public TrialSearch {
 public:
  Reinforce(const SearchSpace& space, const StrategyOptions& options)
      : TrialSearch("reinforce", space, options.trials,
                    "seed " + std::to_string(options.seed) + ", rate " +
                        nlohmann::json(options.policy_learning_rate).dump() + ", decay " +
                        nlohmann::json(options.baseline_decay).dump()),
        options_(options) {
    check(options.policy_learning_rate > 0 && std::isfinite(options.policy_learning_rate),
          "reinforce", "the learning rate of the policy must be positive; got ",
          options.policy_learning_rate);
    check(0 <= options.baseline_decay && options.baseline_decay <= 1, "reinforce",
          "the decay of the baseline must be 0 .. 1; got ", options.baseline_decay);
  }

 private:
  std::optional<Trial> next(const std::vector<Told>& told) const override {
    Policy policy(space());
    double baseline = told.empty() ? 0 : told.front().outcome.score;
    for (const Told& one : told) {
      const double advantage = one.outcome.score - baseline;
      policy.add(policy.log_gradient(one.indices), options_.policy_learning_rate * advantage);
      baseline += (1 - options_.baseline_decay) * advantage;
    }
    const RandomKey key{options_.seed, Purpose::architecture, told.size()};
    return Trial{.genotype = make_genotype(space(), policy.draw(key))};
  }

  StrategyOptions options_;
};

}  // namespace

StrategyRow reinforce_strategy() {
  return {.name = "reinforce",
          .summary = "a table of probabilities, moved towards what scored above average",
          .source = "Williams 1992; Zoph & Le, ICLR 2017, section 3.2",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Reinforce>(space, options);
          }};
}

}  // namespace serenade
