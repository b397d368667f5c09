// The history of a search, and what reads it: its table and the warnings about it.

#include "nas/history.h"

#include "nas/diagnostics.h"
#include "tests/fuzz/target.h"

namespace serenade::fuzz {

namespace {

std::vector<SearchRecord> made_up(std::int64_t epochs) {
  std::vector<SearchRecord> history;
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    SearchRecord record;
    record.epoch = epoch;
    record.weight_steps = 3 * (epoch + 1);
    record.weight_loss = 1.25;
    record.choices.push_back({.name = "conv1",
                              .candidates = {"2x8", "4x4"},
                              .alphas = {0.25, -0.5},
                              .probabilities = {0.625, 0.375},
                              .entropy = 0.66,
                              .best = 0,
                              .updates = {3, 4},
                              .activation_rms = 1,
                              .gradient_norm = 1e-9});
    history.push_back(record);
  }
  return history;
}

void run(const std::string& input) {
  std::vector<SearchRecord> history;
  if (!refusal([&] { history = history_from_json(input); }).empty()) return;
  history_csv(history);
  norms_csv(history);
  search_warnings(history);
  const std::string text = history_json(history);
  if (history_json(history_from_json(text)) != text) {
    fault("another history after writing and reading: " + text);
  }
}

}  // namespace

Target history_target() {
  return {
      .name = "history",
      .seeds =
          [] {
            return std::vector{history_json(made_up(12)), history_json({})};
          },
      .run = run,
      .words = {"\"alphas\"", "\"probabilities\"", "\"updates\"", "\"candidates\"", "\"choice\"",
                "\"layers\"", "\"epoch\"", "null", "1e999", "9223372036854775807"}};
}

}  // namespace serenade::fuzz
