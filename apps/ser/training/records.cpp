#include "apps/ser/training/records.h"

#include <nlohmann/json.hpp>

#include "tensor/json.h"

namespace serenade::ser {

using nlohmann::json;

namespace {

// Runs of before call the norms of capsules lengths.
std::string norm_key(const json& j, const std::string& stage) {
  return stage + (j.contains(stage + "_norm") ? "_norm" : "_length");
}

EpochRecord record_from_json(const json& j) {
  return {.stage = j.at("stage"),
          .epoch = json_integer<int>(j.at("epoch"), "'epoch'"),
          .learning_rate = j.at("learning_rate"),
          .train_loss = j.at("train_loss"),
          .architecture_loss = j.at("architecture_loss"),
          .child_loss = j.at("child_loss"),
          // Runs of before have none.
          .mixture_loss = j.value("mixture_loss", 0.0),
          .matched_child_loss = j.value("matched_child_loss", 0.0),
          .validation_loss = j.at("validation_loss"),
          .validation_wa = j.at("validation_wa"),
          .validation_ua = j.at("validation_ua"),
          .gradient_norm = j.at("gradient_norm"),
          .window_norm = j.at(norm_key(j, "window")),
          .utterance_norm = j.at(norm_key(j, "utterance")),
          .seconds = j.at("seconds")};
}

json record_json(const EpochRecord& e) {
  return {{"stage", e.stage},
          {"epoch", e.epoch},
          {"learning_rate", e.learning_rate},
          {"train_loss", e.train_loss},
          {"architecture_loss", e.architecture_loss},
          {"child_loss", e.child_loss},
          {"mixture_loss", e.mixture_loss},
          {"matched_child_loss", e.matched_child_loss},
          {"validation_loss", e.validation_loss},
          {"validation_wa", e.validation_wa},
          {"validation_ua", e.validation_ua},
          {"gradient_norm", e.gradient_norm},
          {"window_norm", e.window_norm},
          {"utterance_norm", e.utterance_norm},
          {"seconds", e.seconds}};
}

}  // namespace

std::string records_json(const std::vector<EpochRecord>& records) {
  std::string list = "[";
  for (const EpochRecord& record : records) {
    if (list.size() > 1) list += ',';
    list += to_json(record);
  }
  return list += ']';
}

std::vector<EpochRecord> records_from_json(const std::string& text) {
  std::vector<EpochRecord> records;
  for (const json& record : parse_json<json>(text, "records of epochs")) {
    records.push_back(record_from_json(record));
  }
  return records;
}

std::string to_json(const EpochRecord& record) { return record_json(record).dump(); }

}  // namespace serenade::ser
