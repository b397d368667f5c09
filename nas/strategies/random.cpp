// Random search (Wu et al., ICASSP 2022, section 4.1): some distinct architectures, drawn
// uniformly, are trained alone; the one with the best score is kept, the first on ties.

#include "nas/trial_search.h"

namespace serenade {

namespace {

class RandomSearch : public TrialSearch {
 public:
  RandomSearch(const SearchSpace& space, const StrategyOptions& options)
      : TrialSearch("random", space, options.trials, "seed " + std::to_string(options.seed)),
        genotypes_(first_genotypes("random", space, options)) {}

  // The trials are the same for all folds; only which of them is kept depends on validation data.
  bool shares_training() const override { return true; }

 private:
  std::optional<Trial> next(const std::vector<Told>& told) const override {
    return Trial{.genotype = genotypes_.at(told.size())};
  }

  std::vector<Genotype> genotypes_;
};

}  // namespace

StrategyRow random_strategy() {
  return {.name = "random",
          .summary = "some random architectures trained alone, the best by validation kept",
          .source = "Wu et al., ICASSP 2022, section 4.1",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<RandomSearch>(space, options);
          }};
}

}  // namespace serenade
