// FoldRun as JSON: what checkpoints of runs and cells of tables keep.

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "apps/ser/training/experiment.h"
#include "apps/ser/training/records.h"
#include "tensor/fnv.h"

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

}  // namespace

std::string to_json(const FoldRun& result) {
  json document = {{"fold", result.fold},
                   {"seed", result.seed},
                   {"device", result.device},
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
  document["epochs"] = records_json(result.epochs);
  document["predictions"] = json::array();
  for (const Prediction& p : result.predictions) {
    document["predictions"].push_back(prediction_json(p));
  }
  document["hash"] = hash_of(document);
  return document.dump() + "\n";
}

FoldRun fold_run_from_json(const std::string& text) {
  try {
    json document = json::parse(text);
    // Of before, files have no hash.
    const std::string hash = document.value("hash", "");
    document.erase("hash");
    if (!hash.empty() && hash != hash_of(document)) {
      throw std::runtime_error("damaged: its content does not fit its hash");
    }
    FoldRun result;
    result.fold = document.at("fold");
    result.seed = document.at("seed");
    result.device = document.value("device", "cpu");
    result.genotype = genotype_from_json(document.at("genotype").dump(), result.fold);
    result.best_epoch = document.at("best_epoch");
    result.best_validation_wa = document.at("best_validation_wa");
    result.parameters = document.at("parameters");
    result.planned_epochs = document.value("planned_epochs", 0);
    result.weights_hash = document.value("weights_hash", "");
    result.search_seconds = document.at("search_seconds");
    result.train_seconds = document.at("train_seconds");
    result.warnings = document.at("warnings").get<std::vector<std::string>>();
    result.history = history_from_json(document.at("history").dump());
    result.epochs = records_from_json(document.at("epochs"));
    for (const json& p : document.at("predictions")) {
      result.predictions.push_back({.id = p.at("id"),
                                    .speaker = p.at("speaker"),
                                    .label = p.at("label"),
                                    .predicted = p.at("predicted"),
                                    .probabilities = p.at("probabilities"),
                                    .fold = result.fold,
                                    .seed = result.seed});
    }
    return result;
  } catch (const json::exception& error) {
    throw std::runtime_error(std::string("not a saved run of a fold: ") + error.what());
  }
}

}  // namespace serenade::ser
