// Random search (Wu et al., ICASSP 2022, section 4.1): some distinct architectures, drawn
// uniformly, are trained alone; the one with the best score is kept, the first on ties.

#include <cmath>
#include <nlohmann/json.hpp>

#include "nas/strategy.h"
#include "tensor/check.h"
#include "tensor/json.h"

namespace serenade {

namespace {

constexpr const char* kState = "random_search";

class RandomSearch : public BlackBox {
 public:
  RandomSearch(const SearchSpace& space, const StrategyOptions& options)
      : genotypes_(
            random_genotypes(space, options.trials, {options.seed, Purpose::architecture, 0})) {
    check(!genotypes_.empty(), "random", "there must be at least one trial; got none");
  }

  std::string name() const override { return "random"; }
  std::int64_t planned_steps() const override {
    return static_cast<std::int64_t>(genotypes_.size());
  }

  std::optional<Trial> ask() override {
    if (scores_.size() == genotypes_.size()) return std::nullopt;
    return Trial{.id = static_cast<std::int64_t>(scores_.size()),
                 .genotype = genotypes_[scores_.size()]};
  }

  void tell(const Trial& trial, const Outcome& outcome) override {
    check(
        trial.id == static_cast<std::int64_t>(scores_.size()) && scores_.size() < genotypes_.size(),
        "random", "outcomes must be told in the order of asking; got that of trial ", trial.id,
        " after ", scores_.size());
    check(std::isfinite(outcome.score), "random", "a score must be a finite number; got ",
          outcome.score, " for trial ", trial.id);
    scores_.push_back(outcome.score);
    if (outcome.score > scores_[best_]) best_ = scores_.size() - 1;
  }

  Genotype recommend() const override { return genotypes_[best_]; }

  SafetensorsFile save_state() override {
    SafetensorsFile file;
    file.metadata[kState] = nlohmann::json({{"drawn", fingerprint()}, {"scores", scores_}}).dump();
    return file;
  }

  void load_state(const SafetensorsFile& state) override {
    const auto found = state.metadata.find(kState);
    check(found != state.metadata.end(), "random", "must be given the state of a random search");
    try {
      const nlohmann::json saved = parse_json<nlohmann::json>(found->second, "random");
      const auto scores = saved.at("scores").get<std::vector<double>>();
      check(saved.at("drawn") == fingerprint() && scores.size() <= genotypes_.size(), "random",
            "must continue a search with the same space, seed and number of trials");
      scores_.clear();
      best_ = 0;
      for (const double score : scores) {
        scores_.push_back(score);
        if (score > scores_[best_]) best_ = scores_.size() - 1;
      }
    } catch (const nlohmann::json::exception& error) {
      check(false, "random", "must be given what save_state wrote; ", json_reason(error));
    }
  }

  // The trials are the same for all folds; only which of them is kept depends on validation data.
  bool shares_training() const override { return true; }

 private:
  std::string fingerprint() const {
    std::string text;
    for (const Genotype& genotype : genotypes_) {
      text += genotype.space_hash + " " + genotype.summary() + "; ";
    }
    return text;
  }

  std::vector<Genotype> genotypes_;
  std::vector<double> scores_;  // of the first ones
  std::size_t best_ = 0;
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
