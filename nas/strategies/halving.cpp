// Successive halving (Jamieson & Talwalkar, AISTATS 2016), with the budgets of Hyperband's inner
// loop (Li, Jamieson, DeSalvo, Rostamizadeh & Talwalkar, JMLR 18 (185), 2018, Algorithm 1, lines 3
// to 9, for one bracket): n random architectures are trained for few epochs; one of eta goes on
// with eta times the epochs, until the last ones have a whole training of R epochs.
//
//   s = min(floor(log_eta n), floor(log_eta R)),
//   n_i = floor(n / eta^i) architectures of r_i = floor(R / eta^(s - i)) epochs, i = 0 .. s.
//
// Traps. Scores are compared within a rung only, and the answer comes from the highest one: a
// network that is good after two epochs says little about one that is good after twenty. Rungs are
// told from trials by their order, not by their epochs, which rounding could make alike. Every rung
// begins anew where a problem does not keep trainings, and costs all of its epochs.

#include <algorithm>

#include "nas/trial_search.h"
#include "tensor/check.h"

namespace serenade {

namespace {

struct Rung {
  std::int64_t count = 0;   // architectures
  std::int64_t epochs = 0;  // of each
};

std::vector<Rung> rungs_of(const StrategyOptions& options) {
  const std::int64_t eta = options.reduction, whole = options.training_epochs;
  check(eta > 1, "halving", "the reduction must be at least 2; got ", eta);
  check(whole > 0, "halving", "a training must have epochs; got ", whole);
  std::vector<Rung> rungs;
  std::int64_t divisor = 1;  // eta^i
  for (std::int64_t count = options.trials;; count /= eta, divisor *= eta) {
    rungs.push_back({.count = count});
    if (count < eta || whole / divisor < eta) break;
  }
  for (Rung& rung : rungs) {
    rung.epochs = whole / divisor;
    divisor /= eta;
  }
  return rungs;
}

std::int64_t trials_of(const std::vector<Rung>& rungs) {
  std::int64_t trials = 0;
  for (const Rung& rung : rungs) trials += rung.count;
  return trials;
}

class Halving : public TrialSearch {
 public:
  Halving(const SearchSpace& space, const StrategyOptions& options)
      : TrialSearch("halving", space, trials_of(rungs_of(options)),
                    "seed " + std::to_string(options.seed) + ", beginning with " +
                        std::to_string(options.trials) + ", " +
                        std::to_string(options.training_epochs) + " epochs, reduction " +
                        std::to_string(options.reduction)),
        rungs_(rungs_of(options)),
        genotypes_(first_genotypes("halving", space, options)) {}

  std::vector<std::string> remarks() const override {
    if (rungs_.size() > 1) return {};
    return {"halving: nothing is halved, and all " + std::to_string(rungs_[0].count) +
            " trainings are whole and random: give more trials, a smaller reduction, or more "
            "epochs"};
  }

 private:
  std::optional<Trial> next(const std::vector<Told>& told) const override {
    auto begin = told.begin();  // of a rung's outcomes
    std::size_t rung = 0;
    while (told.end() - begin >= rungs_[rung].count) begin += rungs_[rung++].count;
    const auto position = static_cast<std::size_t>(told.end() - begin);
    Trial trial;
    trial.epochs = rungs_[rung].epochs;
    if (rung == 0) {
      trial.genotype = genotypes_[position];
      return trial;
    }
    std::vector<Told> before(begin - rungs_[rung - 1].count, begin);
    std::stable_sort(before.begin(), before.end(), [](const Told& a, const Told& b) {
      return a.outcome.score > b.outcome.score;
    });
    trial.genotype = before[position].trial.genotype;
    return trial;
  }

  std::vector<Rung> rungs_;
  std::vector<Genotype> genotypes_;
};

}  // namespace

StrategyRow halving_strategy() {
  return {.name = "halving",
          .summary = "many short trainings, the best of them longer ones, the last whole ones",
          .source = "Jamieson & Talwalkar, AISTATS 2016; Li et al., JMLR 2018, Algorithm 1",
          .make =
              [](const SearchSpace& space, const StrategyOptions& options) {
                return std::make_unique<Halving>(space, options);
              },
          .varies_epochs = true};
}

}  // namespace serenade
