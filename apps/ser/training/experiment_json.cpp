// FoldRun as JSON: what checkpoints of runs and cells of tables keep.

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "apps/ser/common/error.h"
#include "apps/ser/training/experiment.h"
#include "apps/ser/training/records.h"
#include "tensor/check.h"
#include "tensor/fnv.h"
#include "tensor/json.h"

namespace serenade::ser {

namespace {

using nlohmann::json;

// Changes with any character of what it is given.
std::string hash_of(const json& document) {
  Fnv hash;
  hash.add_text(document.dump());
  return hash.hex();
}

json prediction_json(const Prediction& p) {
  return {{"id", p.id},
          {"speaker", p.speaker},
          {"label", p.label},
          {"predicted", p.predicted},
          {"probabilities", p.probabilities}};
}

json trial_json(const TrialRecord& trial) {
  return {{"genotype", json::parse(serenade::to_json(trial.genotype))},
          {"epochs", trial.epochs},
          {"score", trial.outcome.score},
          {"cost", trial.outcome.cost}};
}

TrialRecord trial_from_json(const json& trial, const std::string& fold) {
  return {.genotype = genotype_from_json(trial.at("genotype").dump(), fold),
          .epochs = json_integer(trial.at("epochs"), "'epochs' of a trial"),
          .outcome = {.score = trial.at("score"), .cost = trial.at("cost")}};
}

json scored_json(const UntrainedScore& scored) {  // minus infinity becomes null
  return {{"genotype", json::parse(serenade::to_json(scored.genotype))}, {"score", scored.score}};
}

UntrainedScore scored_from_json(const json& scored, const std::string& fold) {
  const json& score = scored.at("score");
  return {
      .genotype = genotype_from_json(scored.at("genotype").dump(), fold),
      .score = score.is_null() ? -std::numeric_limits<double>::infinity() : score.get<double>()};
}

// Throws unless all are answers of a recogniser: one of our classes, probabilities for each.
void check_predictions(const std::vector<Prediction>& predictions, std::size_t classes) {
  const auto is_class = [classes](int index) {
    return index >= 0 && static_cast<std::size_t>(index) < classes;
  };
  for (const Prediction& p : predictions) {
    const bool in_range = std::all_of(p.probabilities.begin(), p.probabilities.end(),
                                      [](double x) { return x >= 0 && x <= 1; });
    check(
        p.probabilities.size() == classes && in_range && is_class(p.label) && is_class(p.predicted),
        "prediction", "of ", json_quoted(p.id), ": must have one of ", classes,
        " classes and a probability in 0 .. 1 for each");
  }
}

}  // namespace

std::string to_json(const FoldRun& result) {
  json document = {{"fold", result.fold},
                   {"seed", result.seed},
                   {"device", result.device},
                   {"classes", result.classes},
                   {"genotype", json::parse(serenade::to_json(result.genotype))},
                   {"best_epoch", result.best_epoch},
                   {"best_validation_wa", result.best_validation_wa},
                   {"parameters", result.parameters},
                   {"planned_epochs", result.planned_epochs},
                   {"weights_hash", result.weights_hash},
                   {"search_seconds", result.search_seconds},
                   {"train_seconds", result.train_seconds},
                   {"warnings", result.warnings},
                   {"history", json::parse(history_json(result.history))}};
  document["epochs"] = json::parse(records_json(result.epochs));
  if (!result.trials.empty()) document["trials"] = json::array();
  for (const TrialRecord& trial : result.trials) document["trials"].push_back(trial_json(trial));
  if (!result.scored.empty()) document["scored"] = json::array();
  for (const UntrainedScore& one : result.scored) document["scored"].push_back(scored_json(one));
  document["predictions"] = json::array();
  for (const Prediction& p : result.predictions) {
    document["predictions"].push_back(prediction_json(p));
  }
  document["hash"] = hash_of(document);
  return document.dump() + "\n";
}

FoldRun fold_run_from_json(const std::string& text, const std::string& source) {
  const std::string what = (source.empty() ? "" : source + ": ") + "not a saved run of a fold";
  try {
    json document = parse_json<json>(text, what);
    // Of before, files have no hash.
    const std::string hash = document.value("hash", "");
    document.erase("hash");
    if (!hash.empty() && hash != hash_of(document)) {
      throw std::invalid_argument("damaged: its content does not fit its hash");
    }
    FoldRun result;
    result.fold = document.at("fold");
    read_integer(document, "seed", result.seed);
    result.device = document.value("device", "cpu");
    result.classes = document.value("classes", class_names());  // of before, the four
    result.genotype = genotype_from_json(document.at("genotype").dump(), result.fold);
    read_integer(document, "best_epoch", result.best_epoch);
    result.best_validation_wa = document.at("best_validation_wa");
    read_integer(document, "parameters", result.parameters);
    if (document.contains("planned_epochs")) {
      read_integer(document, "planned_epochs", result.planned_epochs);
    }
    result.weights_hash = document.value("weights_hash", "");
    result.search_seconds = document.at("search_seconds");
    result.train_seconds = document.at("train_seconds");
    result.warnings = document.at("warnings").get<std::vector<std::string>>();
    result.history = history_from_json(document.at("history").dump());
    result.epochs = records_from_json(document.at("epochs").dump());
    // Runs of before have neither trials nor scores.
    for (const json& trial : document.value("trials", json::array())) {
      result.trials.push_back(trial_from_json(trial, result.fold));
    }
    for (const json& one : document.value("scored", json::array())) {
      result.scored.push_back(scored_from_json(one, result.fold));
    }
    for (const json& p : document.at("predictions")) {
      result.predictions.push_back(
          {.id = p.at("id"),
           .speaker = p.at("speaker"),
           .label = json_integer<int>(p.at("label"), "'label'"),
           .predicted = json_integer<int>(p.at("predicted"), "'predicted'"),
           .probabilities = p.at("probabilities"),
           .fold = result.fold,
           .seed = result.seed});
    }
    check_predictions(result.predictions, result.classes.size());
    return result;
  } catch (const json::exception& error) {
    throw InputError(what + ": " + json_reason(error));
  } catch (const std::invalid_argument& error) {
    const std::string reason = error.what();
    throw InputError(reason.starts_with(what) ? reason : what + ": " + reason);
  }
}

}  // namespace serenade::ser
