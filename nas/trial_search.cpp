#include "nas/trial_search.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tensor/check.h"
#include "tensor/json.h"

namespace serenade {

namespace {

using Json = nlohmann::json;

constexpr const char* kState = "trial_search";

// Training epochs of a trial, where 0 stands for all.
std::int64_t length(const Trial& trial) {
  return trial.epochs == 0 ? std::numeric_limits<std::int64_t>::max() : trial.epochs;
}

bool is_better(const Told& a, const Told& b) {
  if (length(a.trial) != length(b.trial)) return length(a.trial) > length(b.trial);
  return a.outcome.score > b.outcome.score;
}

}  // namespace

TrialSearch::TrialSearch(std::string name, const SearchSpace& space, std::int64_t trials,
                         const std::string& settings)
    : name_(std::move(name)),
      space_(space),
      trials_(trials),
      fingerprint_(name_ + " in " + space.hash() + ", " + std::to_string(trials) + " trials, " +
                   settings) {
  check(trials > 0, name_.c_str(), "there must be at least one trial; got ", trials);
}

std::optional<Trial> TrialSearch::ask() {
  if (!asked_ && std::ssize(told_) < trials_) {
    asked_ = next(told_);
    if (asked_) asked_->id = std::ssize(told_);
  }
  return asked_;
}

void TrialSearch::tell(const Trial& trial, const Outcome& outcome) {
  check(trial.id == std::ssize(told_), name_.c_str(),
        "outcomes must be told in the order of asking; got that of trial ", trial.id, " after ",
        told_.size());
  const std::optional<Trial> asked = ask();
  check(asked && trial.genotype == asked->genotype && trial.epochs == asked->epochs, name_.c_str(),
        "must be told of the trial that was asked for; got another one as trial ", trial.id);
  check(std::isfinite(outcome.score) && std::isfinite(outcome.cost), name_.c_str(),
        "a score and a cost must be finite numbers; got ", outcome.score, " at ", outcome.cost,
        " for trial ", trial.id);
  told_.push_back({trial, choice_indices(trial.genotype, space_), outcome});
  asked_.reset();
}

Genotype TrialSearch::recommend() const {
  if (told_.empty()) return next(told_)->genotype;
  const Told* best = &told_.front();
  for (const Told& other : told_) {
    if (is_better(other, *best)) best = &other;
  }
  return best->trial.genotype;
}

SafetensorsFile TrialSearch::save_state() {
  Json told = Json::array();
  for (const Told& one : told_) {
    told.push_back({one.indices, one.trial.epochs, one.outcome.score, one.outcome.cost});
  }
  SafetensorsFile file;
  file.metadata[kState] = Json({{"search", fingerprint_}, {"told", told}}).dump();
  return file;
}

void TrialSearch::load_state(const SafetensorsFile& state) {
  const auto found = state.metadata.find(kState);
  check(found != state.metadata.end(), name_.c_str(), "must be given the state of such a search");
  try {
    const Json saved = parse_json<Json>(found->second, name_);
    check(saved.at("search") == fingerprint_, name_.c_str(),
          "must continue a search with the same space and options: ", fingerprint_,
          "; got that of ", saved.at("search").dump());
    std::vector<Told> told;
    for (const Json& one : saved.at("told")) {
      std::vector<std::int64_t> indices;
      for (const Json& index : one.at(0)) indices.push_back(json_integer(index, "a candidate"));
      const Trial trial{.id = std::ssize(told),
                        .genotype = make_genotype(space_, indices),
                        .epochs = json_integer(one.at(1), "epochs")};
      told.push_back({trial, indices, {one.at(2).get<double>(), one.at(3).get<double>()}});
    }
    check(std::ssize(told) <= trials_, name_.c_str(), "must be given at most ", trials_,
          " outcomes; got ", told.size());
    told_ = std::move(told);
    asked_.reset();
  } catch (const Json::exception& error) {
    check(false, name_.c_str(), "must be given what save_state wrote; ", json_reason(error));
  }
}

std::vector<Genotype> first_genotypes(const char* name, const SearchSpace& space,
                                      const StrategyOptions& options) {
  check(!space.is_countable() || options.trials <= space.size(), name,
        "trials must not exceed the architectures that there are, ",
        space.is_countable() ? space.size() : 0, "; got ", options.trials);
  return random_genotypes(space, options.trials, {options.seed, Purpose::architecture, 0});
}

}  // namespace serenade
