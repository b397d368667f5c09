#include "nas/history.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "tensor/check.h"
#include "tensor/csv.h"
#include "tensor/json.h"

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
          {"gradient_norm", choice.gradient_norm},
          {"architecture_activation_rms", choice.architecture_activation_rms}};
}

ChoiceRecord choice_from_json(const Json& json) {
  ChoiceRecord choice;
  json.at("name").get_to(choice.name);
  json.at("candidates").get_to(choice.candidates);
  json.at("alphas").get_to(choice.alphas);
  json.at("probabilities").get_to(choice.probabilities);
  json.at("entropy").get_to(choice.entropy);
  choice.best = json_integer(json.at("choice"), "search history: choice");
  for (const Json& count : json.at("updates")) {
    choice.updates.push_back(json_integer(count, "search history: updates"));
  }
  json.at("activation_rms").get_to(choice.activation_rms);
  json.at("gradient_norm").get_to(choice.gradient_norm);
  // Searches of before have none.
  choice.architecture_activation_rms = json.value("architecture_activation_rms", 0.0);
  return choice;
}

bool all_between(const std::vector<double>& values, double low, double high) {
  return std::all_of(values.begin(), values.end(), [=](double value) {
    return value >= low && value <= high;  // false for NaN
  });
}

// Throws naming `epoch` and the choice unless its record is one of `first`'s choice.
void check_choice(const ChoiceRecord& choice, const ChoiceRecord& first, std::int64_t epoch) {
  const std::size_t n = choice.candidates.size();
  const auto require = [&](bool condition, const char* what) {
    check(condition, "search history", "epoch ", epoch, ", choice ", json_quoted(choice.name), ": ",
          what);
  };
  constexpr double kAny = std::numeric_limits<double>::max();
  require(choice.name == first.name && choice.candidates == first.candidates,
          "must be of the same choice and candidates as in the first epoch");
  require(n >= 1 && choice.alphas.size() == n && choice.probabilities.size() == n &&
              choice.updates.size() == n && 0 <= choice.best &&
              choice.best < std::ssize(choice.candidates),
          "must have one value of each per candidate, and have chosen one of them");
  require(all_between(choice.alphas, -kAny, kAny), "alphas must be finite");
  require(all_between(choice.probabilities, 0, 1), "probabilities must be in 0 .. 1");
  require(all_between({choice.entropy, choice.activation_rms, choice.gradient_norm,
                       choice.architecture_activation_rms},
                      0, kAny),
          "entropy, activation_rms and gradient_norm must be finite and not negative");
  require(std::all_of(choice.updates.begin(), choice.updates.end(), [](auto u) { return u >= 0; }),
          "updates must not be negative");
}

}  // namespace

void check_history(const std::vector<SearchRecord>& history) {
  for (const SearchRecord& record : history) {
    const std::vector<ChoiceRecord>& first = history.front().choices;
    check(record.epoch >= 0 && record.weight_steps >= 0 && record.architecture_steps >= 0,
          "search history", "epochs and steps must not be negative; got epoch ", record.epoch);
    check(std::isfinite(record.weight_loss) && std::isfinite(record.architecture_loss),
          "search history", "epoch ", record.epoch, ": losses must be finite");
    for (const auto& [name, value] : record.values) {
      check(std::isfinite(value), "search history", "epoch ", record.epoch, ": ", json_quoted(name),
            " must be finite");
    }
    check(record.choices.size() == first.size(), "search history", "epoch ", record.epoch,
          ": must have as many choices as the first epoch, ", first.size(), "; got ",
          record.choices.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      check_choice(record.choices[i], first[i], record.epoch);
    }
  }
}

std::string history_csv(const std::vector<SearchRecord>& history) {
  CsvTable table(
      {"epoch", "layer", "candidate", "alpha", "probability", "entropy", "chosen", "updates"}, 9);
  for (const SearchRecord& record : history) {
    for (const ChoiceRecord& choice : record.choices) {
      for (std::size_t i = 0; i < choice.candidates.size(); ++i) {
        table.add(record.epoch + 1).add(choice.name).add(choice.candidates[i]);
        table.add(choice.alphas[i]).add(choice.probabilities[i]).add(choice.entropy);
        table.add(static_cast<std::int64_t>(i) == choice.best ? 1 : 0).add(choice.updates[i]);
      }
    }
  }
  return table.text();
}

std::string norms_csv(const std::vector<SearchRecord>& history) {
  CsvTable table(
      {"epoch", "layer", "activation_rms", "architecture_activation_rms", "gradient_norm"}, 9);
  for (const SearchRecord& record : history) {
    for (const ChoiceRecord& choice : record.choices) {
      table.add(record.epoch + 1).add(choice.name).add(choice.activation_rms);
      table.add(choice.architecture_activation_rms).add(choice.gradient_norm);
    }
  }
  return table.text();
}

std::string history_json(const std::vector<SearchRecord>& history) {
  std::string list = "[";  // the tree of one epoch at a time: a tree takes ten times the text
  for (const SearchRecord& record : history) {
    Json choices = Json::array();
    for (const ChoiceRecord& choice : record.choices) choices.push_back(to_json(choice));
    Json epoch = {{"epoch", record.epoch},
                  {"weight_steps", record.weight_steps},
                  {"architecture_steps", record.architecture_steps},
                  {"weight_loss", record.weight_loss},
                  {"architecture_loss", record.architecture_loss},
                  {"layers", choices}};
    if (!record.values.empty()) epoch["values"] = record.values;
    if (list.size() > 1) list += ',';
    list += epoch.dump();
  }
  return list += ']';
}

std::vector<SearchRecord> history_from_json(const std::string& text) {
  std::vector<SearchRecord> history;
  try {
    const Json list = parse_json<Json>(text, "search history");
    check(list.is_array(), "search history", "must be a list; got ", list.type_name());
    for (const Json& json : list) {
      SearchRecord record;
      record.epoch = json_integer(json.at("epoch"), "search history: epoch");
      record.weight_steps = json_integer(json.at("weight_steps"), "search history: weight_steps");
      record.architecture_steps =
          json_integer(json.at("architecture_steps"), "search history: architecture_steps");
      json.at("weight_loss").get_to(record.weight_loss);
      json.at("architecture_loss").get_to(record.architecture_loss);
      for (const Json& choice : json.at("layers")) {
        record.choices.push_back(choice_from_json(choice));
      }
      if (json.contains("values")) json.at("values").get_to(record.values);
      history.push_back(std::move(record));
    }
  } catch (const Json::exception& error) {
    check(false, "search history", "must be what history_json wrote; ", json_reason(error));
  }
  check_history(history);
  return history;
}

}  // namespace serenade
