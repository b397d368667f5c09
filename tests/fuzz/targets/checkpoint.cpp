// What a run keeps for its continuation. The first byte says what the rest is given to: a finished
// fold as JSON; a model; the state of a strategy that is one-shot, or black-box.

#include "nn/checkpoint.h"

#include "apps/ser/training/experiment.h"
#include "autograd/functions.h"
#include "nas/builder.h"
#include "nas/one_shot.h"
#include "nas/strategy.h"
#include "nas/supernet_search.h"
#include "nn/linear.h"
#include "tensor/files.h"
#include "tests/fuzz/target.h"

namespace serenade::fuzz {

namespace {

constexpr char kFold = 'f', kModel = 'm', kOneShot = 'o', kBlackBox = 'b';

SearchSpace small_space() {
  return {.choices = {{.name = "filter", .candidates = {"1x3", "3x1"}, .kind = "conv"}}};
}

struct SmallNet : Module {
  std::unique_ptr<Layer> filter;
  explicit SmallNet(Builder builder)
      : filter(builder.choose("filter", {.in_channels = 1, .out_channels = 1})) {
    register_module("filter", *filter);
  }
  Variable loss() {
    const Variable y = filter->forward(Tensor::ones({1, 1, 4, 4}));
    return mean(y * y);
  }
};

// A search that can be written down, read, and gone on with.
struct Search {
  std::unique_ptr<OneShot> method = make_one_shot("dropout", small_space(), {.epochs = 2});
  SmallNet net{Builder(*method)};
  SupernetSearch search{net, *method};

  SafetensorsFile save_state() { return search.save_state(); }
  void load_state(const SafetensorsFile& state) { search.load_state(state); }
  void go_on() {
    if (search.finished()) return;
    const auto loss = [this] { return net.loss(); };
    if (search.trains_architecture()) search.architecture_step(loss);
    if (search.trains_weights()) search.weight_step(loss);
    search.end_epoch();
  }
};

struct Trials {
  std::unique_ptr<Strategy> strategy = make_strategy("random", small_space(), {.trials = 2});

  SafetensorsFile save_state() { return strategy->save_state(); }
  void load_state(const SafetensorsFile& state) { strategy->load_state(state); }
  void go_on() {
    auto& trials = dynamic_cast<BlackBox&>(*strategy);
    if (const std::optional<Trial> trial = trials.ask()) trials.tell(*trial, {.score = 0.5});
    strategy->recommend();
  }
};

std::string bytes_of(const SafetensorsFile& file) {
  const std::string path = scratch_folder() + "/state.safetensors";
  write_safetensors(path, file);
  return read_file(path);
}

std::string fold_text() {
  ser::FoldRun run;
  run.fold = "session1";
  run.genotype = ser::baseline_genotype({});
  run.epochs.emplace_back().stage = "train";
  ser::Prediction prediction;
  prediction.id = "a";
  prediction.probabilities = {0.25, 0.5, 0.125, 0.125};
  run.predictions.push_back(prediction);
  SearchRecord record;
  record.choices.push_back({.name = "conv1",
                            .candidates = {"2x8", "4x4"},
                            .alphas = {0, 1},
                            .probabilities = {0.25, 0.75},
                            .best = 1,
                            .updates = {1, 0}});
  run.history.push_back(record);
  return to_json(run);
}

template <class Kind>
std::string state_after_a_step() {
  Kind kind;
  kind.go_on();
  return bytes_of(kind.save_state());
}

std::vector<std::string> seeds() {
  const std::string path = scratch_folder() + "/model.safetensors";
  save_model(path, Linear({.in_features = 2, .out_features = 3}), {{"epoch", "1"}});
  return {kFold + fold_text(), kModel + read_file(path), kOneShot + state_after_a_step<Search>(),
          kBlackBox + state_after_a_step<Trials>()};
}

void read_fold(const std::string& text) {
  ser::FoldRun run;
  if (!refusal([&] { run = ser::fold_run_from_json(text); }).empty()) return;
  const std::string written = to_json(run);
  if (to_json(ser::fold_run_from_json(written)) != written) {
    fault("another fold after writing and reading: " + written);
  }
}

template <class Kind>
void read_state(const std::string& path) {
  Kind first;
  const std::string before = bytes_of(first.save_state());
  const bool refused = !refusal([&] { first.load_state(read_safetensors(path)); }).empty();
  const std::string after = bytes_of(first.save_state());
  if (refused) {
    if (after != before) fault("a state that was refused has changed something");
    return;
  }
  Kind second;
  second.load_state(read_safetensors(scratch_file("again.safetensors", after)));
  if (bytes_of(second.save_state()) != after) fault("another state after writing and reading");
  refusal([&] { first.go_on(); });
}

void run(const std::string& input) {
  if (input.empty()) return;
  const std::string rest = input.substr(1);
  if (input.front() == kFold) return read_fold(rest);
  const std::string path = scratch_file("input.safetensors", rest);
  if (input.front() == kModel) {
    Linear model({.in_features = 2, .out_features = 3});
    refusal([&] { load_model(path, model); });
  } else if (input.front() == kOneShot) {
    read_state<Search>(path);
  } else if (input.front() == kBlackBox) {
    read_state<Trials>(path);
  }
}

}  // namespace

Target checkpoint_target() {
  return {.name = "checkpoint",
          .seeds = seeds,
          .run = run,
          .words = {"\"predictions\"", "\"probabilities\"", "\"history\"", "\"epochs\"",
                    "\"label\"", "\"genotype\"", "search.progress", "search.history",
                    "search.options", "null", "-1", "1e999"}};
}

}  // namespace serenade::fuzz
