// A search written down and taken up again: its complete state, and its history as CSV and JSON.
//
// Numbers that are not tensors go into the file's metadata as JSON, whose decimal digits give every
// double back exactly.

#include <nlohmann/json.hpp>
#include <sstream>

#include "nas/search.h"
#include "nn/optim.h"
#include "tensor/check.h"

namespace serenade {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSupernet = "search.supernet.";
constexpr const char* kWeightOptimizer = "search.weight_optimizer.";
constexpr const char* kAlphaOptimizer = "search.alpha_optimizer.";
constexpr const char* kOptions = "search.options";
constexpr const char* kProgress = "search.progress";
constexpr const char* kHistory = "search.history";

/// The tensors whose names begin with `prefix`, without it.
StateDict with_prefix(const SafetensorsFile& file, const std::string& prefix) {
  StateDict found;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix)) found[name.substr(prefix.size())] = tensor;
  }
  return found;
}

void put(SafetensorsFile& file, const std::string& prefix, const StateDict& tensors) {
  for (const auto& [name, tensor] : tensors) file.tensors[prefix + name] = tensor.to(Device::cpu);
}

void save_optimizer(SafetensorsFile& file, const std::string& prefix, const Optimizer& optimizer) {
  const OptimizerState state = optimizer.state_dict();
  put(file, prefix, state.tensors);
  const Json numbers = {{"learning_rate", state.learning_rate}, {"steps", state.steps}};
  file.metadata[prefix + "numbers"] = numbers.dump();
}

void load_optimizer(const SafetensorsFile& file, const std::string& prefix, Optimizer& optimizer) {
  const Json numbers = Json::parse(file.metadata.at(prefix + "numbers"));
  optimizer.load_state_dict(
      {.learning_rate = numbers.at("learning_rate").get<double>(),
       .steps = numbers.at("steps").get<std::map<std::string, std::int64_t>>(),
       .tensors = with_prefix(file, prefix)});
}

Json to_json(const LayerRecord& layer) {
  return {{"name", layer.name},
          {"candidates", layer.candidates},
          {"alphas", layer.alphas},
          {"probabilities", layer.probabilities},
          {"entropy", layer.entropy},
          {"choice", layer.choice},
          {"updates", layer.updates},
          {"activation_rms", layer.activation_rms},
          {"gradient_norm", layer.gradient_norm}};
}

LayerRecord layer_from_json(const Json& json) {
  LayerRecord layer;
  json.at("name").get_to(layer.name);
  json.at("candidates").get_to(layer.candidates);
  json.at("alphas").get_to(layer.alphas);
  json.at("probabilities").get_to(layer.probabilities);
  json.at("entropy").get_to(layer.entropy);
  json.at("choice").get_to(layer.choice);
  json.at("updates").get_to(layer.updates);
  json.at("activation_rms").get_to(layer.activation_rms);
  json.at("gradient_norm").get_to(layer.gradient_norm);
  const std::size_t n = layer.candidates.size();
  check(layer.alphas.size() == n && layer.probabilities.size() == n && layer.updates.size() == n &&
            0 <= layer.choice && layer.choice < static_cast<std::int64_t>(n),
        "search history", "layer '", layer.name, "' must have one value of each per candidate");
  return layer;
}

}  // namespace

// State -------------------------------------------------------------------------------------------

std::string SupernetSearch::fingerprint() const {
  // A longer search with the same options may continue a shorter one, unless the number of epochs
  // says when the second stage begins.
  const bool two_stage = options_.bilevel == Bilevel::two_stage;
  const Json json = {{"space", space_.hash()},
                     {"mode", to_string(options_.mode)},
                     {"bilevel", to_string(options_.bilevel)},
                     {"weight_epochs", two_stage ? options_.epochs : 0},
                     {"masked", options_.masked},
                     {"renormalize", options_.renormalize},
                     {"alpha_learning_rate", options_.alpha_learning_rate},
                     {"seed", options_.seed}};
  return json.dump();
}

SafetensorsFile SupernetSearch::save_state() {
  drain_losses(0);
  SafetensorsFile file;
  put(file, kSupernet, supernet_.state_dict());
  save_optimizer(file, kWeightOptimizer, *weight_optimizer_);
  save_optimizer(file, kAlphaOptimizer, *alpha_optimizer_);

  std::vector<std::vector<std::int64_t>> updates;
  for (const NamedMixedOp& mixed : mixed_ops_) updates.push_back(mixed.op->update_counts());
  const Json progress = {{"weight_steps", weight_steps_},
                         {"architecture_steps", architecture_steps_},
                         {"epoch_weight_steps", epoch_weight_steps_},
                         {"epoch_architecture_steps", epoch_architecture_steps_},
                         {"epoch_weight_loss", epoch_weight_loss_},
                         {"epoch_architecture_loss", epoch_architecture_loss_},
                         {"activation_rms", activation_rms_},
                         {"gradient_norms", gradient_norms_},
                         {"updates", updates}};
  file.metadata[kOptions] = fingerprint();
  file.metadata[kProgress] = progress.dump();
  file.metadata[kHistory] = history_json(history_);
  return file;
}

void SupernetSearch::load_state(const SafetensorsFile& state) {
  for (const std::string& key :
       {std::string(kOptions), std::string(kProgress), std::string(kHistory),
        std::string(kWeightOptimizer) + "numbers", std::string(kAlphaOptimizer) + "numbers"}) {
    check(state.metadata.count(key) != 0, "SupernetSearch::load_state",
          "must be given the state of a search; '", key, "' is missing");
  }
  const std::string& options = state.metadata.at(kOptions);
  check(options == fingerprint(), "SupernetSearch::load_state",
        "must continue a search with the same space and options; got ", options, " for ",
        fingerprint());
  const SafetensorsFile before = save_state();
  try {
    apply_state(state);
  } catch (const Json::exception& error) {
    apply_state(before);
    check(false, "SupernetSearch::load_state", "must be given what save_state wrote; got ",
          error.what());
  } catch (...) {
    apply_state(before);
    throw;
  }
}

void SupernetSearch::apply_state(const SafetensorsFile& state) {
  pending_.clear();
  guard_ = NonFiniteGuard(supernet_.device());
  supernet_.load_state_dict(with_prefix(state, kSupernet));
  load_optimizer(state, kWeightOptimizer, *weight_optimizer_);
  load_optimizer(state, kAlphaOptimizer, *alpha_optimizer_);
  const Json progress = Json::parse(state.metadata.at(kProgress));
  progress.at("weight_steps").get_to(weight_steps_);
  progress.at("architecture_steps").get_to(architecture_steps_);
  progress.at("epoch_weight_steps").get_to(epoch_weight_steps_);
  progress.at("epoch_architecture_steps").get_to(epoch_architecture_steps_);
  progress.at("epoch_weight_loss").get_to(epoch_weight_loss_);
  progress.at("epoch_architecture_loss").get_to(epoch_architecture_loss_);
  progress.at("activation_rms").get_to(activation_rms_);
  progress.at("gradient_norms").get_to(gradient_norms_);
  for (std::size_t l = 0; l < mixed_ops_.size(); ++l) {
    mixed_ops_[l].op->set_update_counts(progress.at("updates").at(l));
  }
  history_ = history_from_json(state.metadata.at(kHistory));
}

// History -----------------------------------------------------------------------------------------

std::string history_csv(const std::vector<SearchRecord>& history) {
  std::ostringstream out;
  out.precision(9);
  out << "epoch,layer,candidate,alpha,probability,entropy,chosen,updates\n";
  for (const SearchRecord& record : history) {
    for (const LayerRecord& layer : record.layers) {
      for (std::size_t i = 0; i < layer.candidates.size(); ++i) {
        out << record.epoch << ',' << layer.name << ',' << layer.candidates[i] << ','
            << layer.alphas[i] << ',' << layer.probabilities[i] << ',' << layer.entropy << ','
            << (static_cast<std::int64_t>(i) == layer.choice ? 1 : 0) << ',' << layer.updates[i]
            << '\n';
      }
    }
  }
  return out.str();
}

std::string history_json(const std::vector<SearchRecord>& history) {
  Json list = Json::array();
  for (const SearchRecord& record : history) {
    Json layers = Json::array();
    for (const LayerRecord& layer : record.layers) layers.push_back(to_json(layer));
    list.push_back({{"epoch", record.epoch},
                    {"weight_steps", record.weight_steps},
                    {"architecture_steps", record.architecture_steps},
                    {"weight_loss", record.weight_loss},
                    {"architecture_loss", record.architecture_loss},
                    {"layers", layers}});
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
      for (const Json& layer : json.at("layers")) record.layers.push_back(layer_from_json(layer));
      history.push_back(std::move(record));
    }
  } catch (const Json::exception& error) {
    check(false, "search history", "must be what history_json wrote; got ", error.what());
  }
  return history;
}

}  // namespace serenade
