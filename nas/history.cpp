#include "nas/history.h"

#include <nlohmann/json.hpp>

#include "tensor/check.h"
#include "tensor/csv.h"

namespace serenade {

namespace {

using Json = nlohmann::ordered_json;

Json to_json(const ChoiceRecord& choice) {
  return {{"name", choice.name},
          {"candidates", choice.candidates},
          {"alphas", choice.alphas},
          {"probabilities", choice.probabilities},
          {"entropy", choice.entropy},
          {"choice", choice.best},
          {"updates", choice.updates},
          {"activation_rms", choice.activation_rms},
          {"gradient_norm", choice.gradient_norm}};
}

ChoiceRecord choice_from_json(const Json& json) {
  ChoiceRecord choice;
  json.at("name").get_to(choice.name);
  json.at("candidates").get_to(choice.candidates);
  json.at("alphas").get_to(choice.alphas);
  json.at("probabilities").get_to(choice.probabilities);
  json.at("entropy").get_to(choice.entropy);
  json.at("choice").get_to(choice.best);
  json.at("updates").get_to(choice.updates);
  json.at("activation_rms").get_to(choice.activation_rms);
  json.at("gradient_norm").get_to(choice.gradient_norm);
  const std::size_t n = choice.candidates.size();
  check(choice.alphas.size() == n && choice.probabilities.size() == n &&
            choice.updates.size() == n && 0 <= choice.best &&
            choice.best < static_cast<std::int64_t>(n),
        "search history", "choice '", choice.name, "' must have one value of each per candidate");
  return choice;
}

}  // namespace

std::string history_csv(const std::vector<SearchRecord>& history) {
  CsvTable table(
      {"epoch", "layer", "candidate", "alpha", "probability", "entropy", "chosen", "updates"}, 9);
  for (const SearchRecord& record : history) {
    for (const ChoiceRecord& choice : record.choices) {
      for (std::size_t i = 0; i < choice.candidates.size(); ++i) {
        table.add(record.epoch).add(choice.name).add(choice.candidates[i]);
        table.add(choice.alphas[i]).add(choice.probabilities[i]).add(choice.entropy);
        table.add(static_cast<std::int64_t>(i) == choice.best ? 1 : 0).add(choice.updates[i]);
      }
    }
  }
  return table.text();
}

std::string history_json(const std::vector<SearchRecord>& history) {
  Json list = Json::array();
  for (const SearchRecord& record : history) {
    Json choices = Json::array();
    for (const ChoiceRecord& choice : record.choices) choices.push_back(to_json(choice));
    list.push_back({{"epoch", record.epoch},
                    {"weight_steps", record.weight_steps},
                    {"architecture_steps", record.architecture_steps},
                    {"weight_loss", record.weight_loss},
                    {"architecture_loss", record.architecture_loss},
                    {"layers", choices}});
  }
  return list.dump();
}

std::vector<SearchRecord> history_from_json(const std::string& text) {
  std::vector<SearchRecord> history;
  try {
    const Json list = Json::parse(text);
    check(list.is_array(), "search history", "must be a list; got ", list.type_name());
    for (const Json& json : list) {
      SearchRecord record;
      json.at("epoch").get_to(record.epoch);
      json.at("weight_steps").get_to(record.weight_steps);
      json.at("architecture_steps").get_to(record.architecture_steps);
      json.at("weight_loss").get_to(record.weight_loss);
      json.at("architecture_loss").get_to(record.architecture_loss);
      for (const Json& choice : json.at("layers")) {
        record.choices.push_back(choice_from_json(choice));
      }
      history.push_back(std::move(record));
    }
  } catch (const Json::exception& error) {
    check(false, "search history", "must be what history_json wrote; got ", error.what());
  }
  return history;
}

}  // namespace serenade
