// A search written down and taken up again: its complete state.
//
// Numbers that are not tensors go into the file's metadata as JSON, whose decimal digits give every
// double back exactly.

#include <iterator>
#include <nlohmann/json.hpp>

#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "nn/checkpoint.h"
#include "nn/optim.h"
#include "tensor/check.h"
#include "tensor/json.h"

namespace serenade {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSupernet = "search.supernet.";
constexpr const char* kWeightOptimizer = "search.weight_optimizer.";
constexpr const char* kAlphaOptimizer = "search.alpha_optimizer.";
constexpr const char* kKept = "search.kept";
constexpr const char* kOptions = "search.options";
constexpr const char* kProgress = "search.progress";
constexpr const char* kHistory = "search.history";

std::int64_t count_of(const Json& progress, const char* key) {
  const std::int64_t count = json_integer(progress.at(key), key);
  check(count >= 0, "SupernetSearch::load_state", key, " must not be negative; got ", count);
  return count;
}

// What two searches must have in common for one to continue the other.
std::string fingerprint_of(const OneShot& method) {
  // A longer search with the same options may continue a shorter one, unless the number of epochs
  // says when the second stage begins.
  const StrategyOptions& options = method.options();
  const bool two_stage = options.bilevel == Bilevel::two_stage;
  // Of joint searches before, alphas had a constant rate: these are not continued at another.
  const Json alpha_rate =
      method.trains_jointly() ? Json("of the weights") : Json(options.alpha_learning_rate);
  const Json json = {{"space", method.space().hash()},
                     {"strategy", method.name()},
                     {"options", method.fingerprint()},
                     {"bilevel", to_string(options.bilevel)},
                     {"weight_epochs", two_stage ? options.epochs : 0},
                     {"alpha_learning_rate", alpha_rate},
                     {"seed", options.seed}};
  return json.dump();
}

}  // namespace

// State -------------------------------------------------------------------------------------------

SafetensorsFile SupernetSearch::initial_state(const OneShot& method) {
  SafetensorsFile file;
  file.metadata[kOptions] = fingerprint_of(method);
  return file;
}

void SupernetSearch::check_state(const SafetensorsFile& state, const OneShot& method) {
  const auto options = state.metadata.find(kOptions);
  check(options != state.metadata.end(), "SupernetSearch::load_state",
        "must be given the state of a search; '", kOptions, "' is missing");
  check(options->second == fingerprint_of(method), "SupernetSearch::load_state",
        "must continue a search with the same space and options; got ", options->second, " for ",
        fingerprint_of(method));
}

std::vector<SearchRecord> SupernetSearch::history_of(const SafetensorsFile& state) {
  const auto history = state.metadata.find(kHistory);
  if (history == state.metadata.end()) return {};
  return history_from_json(history->second);
}

SafetensorsFile SupernetSearch::save_state() {
  drain_losses(0);
  SafetensorsFile file;
  add_part(file, kSupernet, supernet_.state_dict());
  add_optimizer(file, kWeightOptimizer, *weight_optimizer_);
  add_optimizer(file, kAlphaOptimizer, *alpha_optimizer_);
  if (kept_.defined()) file.tensors[kKept] = kept_.value();

  std::vector<std::vector<std::int64_t>> updates;
  for (const ChoiceLayers& here : choices_) updates.push_back(here.choice->update_counts());
  const Json progress = {{"weight_steps", weight_steps_},
                         {"architecture_steps", architecture_steps_},
                         {"epoch_weight_steps", epoch_weight_steps_},
                         {"epoch_architecture_steps", epoch_architecture_steps_},
                         {"epoch_weight_loss", epoch_weight_loss_},
                         {"epoch_architecture_loss", epoch_architecture_loss_},
                         {"activation_rms", activation_rms_},
                         {"gradient_norms", gradient_norms_},
                         {"architecture_rms", architecture_rms_},
                         {"updates", updates}};
  file.metadata[kOptions] = fingerprint_of(method_);
  file.metadata[kProgress] = progress.dump();
  file.metadata[kHistory] = history_json(history_);
  return file;
}

void SupernetSearch::load_state(const SafetensorsFile& state) {
  check_state(state, method_);
  for (const std::string& key :
       {std::string(kProgress), std::string(kHistory), std::string(kWeightOptimizer) + "numbers",
        std::string(kAlphaOptimizer) + "numbers"}) {
    check(state.metadata.contains(key), "SupernetSearch::load_state",
          "must be given the state of a search; '", key, "' is missing");
  }
  const SafetensorsFile before = save_state();
  try {
    apply_state(state);
  } catch (const Json::exception& error) {
    apply_state(before);
    check(false, "SupernetSearch::load_state", "must be given what save_state wrote; ",
          json_reason(error));
  } catch (...) {
    apply_state(before);
    throw;
  }
}

void SupernetSearch::apply_state(const SafetensorsFile& state) {
  pending_.clear();
  guard_ = NonFiniteGuard(supernet_.device());
  supernet_.load_state_dict(part_of(state, kSupernet));
  load_optimizer(state, kWeightOptimizer, *weight_optimizer_);
  load_optimizer(state, kAlphaOptimizer, *alpha_optimizer_);
  const auto kept = state.tensors.find(kKept);
  check(kept == state.tensors.end() || kept->second.numel() == 1, "SupernetSearch::load_state", "'",
        kKept, "' must be one number");
  kept_ = kept == state.tensors.end() ? Variable() : kept->second.to(supernet_.device());
  const Json progress = parse_json<Json>(state.metadata.at(kProgress), kProgress);
  weight_steps_ = count_of(progress, "weight_steps");
  architecture_steps_ = count_of(progress, "architecture_steps");
  epoch_weight_steps_ = count_of(progress, "epoch_weight_steps");
  epoch_architecture_steps_ = count_of(progress, "epoch_architecture_steps");
  progress.at("epoch_weight_loss").get_to(epoch_weight_loss_);
  progress.at("epoch_architecture_loss").get_to(epoch_architecture_loss_);
  progress.at("activation_rms").get_to(activation_rms_);
  progress.at("gradient_norms").get_to(gradient_norms_);
  architecture_rms_ = progress.value("architecture_rms", std::vector<double>(choices_.size(), 0));
  check(activation_rms_.size() == choices_.size() && gradient_norms_.size() == choices_.size() &&
            architecture_rms_.size() == choices_.size(),
        "SupernetSearch::load_state", "must be given one figure of each per choice, ",
        choices_.size(), "; got ", activation_rms_.size(), ", ", gradient_norms_.size(), " and ",
        architecture_rms_.size());
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    std::vector<std::int64_t> counts;
    for (const Json& count : progress.at("updates").at(i)) {
      counts.push_back(json_integer(count, "updates"));
    }
    choices_[i].choice->set_update_counts(std::move(counts));
  }
  history_ = history_of(state);
  check(history_.empty() || history_.front().choices.size() == choices_.size(),
        "SupernetSearch::load_state", "must be given a history of these ", choices_.size(),
        " choices");
  if (history_.empty()) return;
  for (std::size_t i = 0; i < choices_.size(); ++i) {  // of the first epoch, which all others equal
    const SupernetChoice& choice = *choices_[i].choice;
    const ChoiceRecord& record = history_.front().choices[i];
    check(record.name == choice.name() && std::ssize(record.candidates) == choice.candidate_count(),
          "SupernetSearch::load_state", "must be given a history of choice ",
          json_quoted(choice.name()), " with ", choice.candidate_count(), " candidates; got ",
          json_quoted(record.name), " with ", record.candidates.size());
  }
}

}  // namespace serenade
