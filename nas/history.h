#pragma once
// What a supernet's training left behind, epoch by epoch: for reports, diagnostics and resumes.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace serenade {

/// The state of one choice at the end of an epoch.
struct ChoiceRecord {
  std::string name;                     ///< of the space
  std::vector<std::string> candidates;  ///< of the space
  std::vector<double> alphas;
  std::vector<double> probabilities;  ///< softmax(alphas)
  double entropy = 0;     ///< of the probabilities, in nats: ln n when undecided, 0 when certain
  std::int64_t best = 0;  ///< argmax
  std::vector<std::int64_t> updates;  ///< weight steps each candidate took part in, so far
  double activation_rms = 0;          ///< of its layers' output in the epoch's first weight step
  double gradient_norm = 0;           ///< of all its candidates' weights in that step
  /// Like activation_rms, in the epoch's first architecture step; 0 if there was none.
  double architecture_activation_rms = 0;
};

struct SearchRecord {
  std::int64_t epoch = 0;         ///< from 0
  std::int64_t weight_steps = 0;  ///< so far
  std::int64_t architecture_steps = 0;
  double weight_loss = 0;        ///< mean over the epoch's weight steps; 0 if there was none
  double architecture_loss = 0;  ///< likewise
  std::vector<ChoiceRecord> choices;
  std::map<std::string, double> values = {};  ///< what the strategy measured (OneShot::end_epoch)
};

/// Throws std::invalid_argument naming the epoch and the choice unless all epochs have the same
/// choices, each with one value of each kind per candidate, in its range and finite.
void check_history(const std::vector<SearchRecord>& history);

/// One line per epoch (here from 1, as in metrics.jsonl), choice and candidate:
/// epoch,layer,candidate,alpha,probability,entropy,chosen,updates.
std::string history_csv(const std::vector<SearchRecord>& history);
/// The scale of outputs and gradients, one line per epoch (from 1) and choice:
/// epoch,layer,activation_rms,architecture_activation_rms,gradient_norm.
std::string norms_csv(const std::vector<SearchRecord>& history);
/// The whole history as a JSON list, numbers exact.
std::string history_json(const std::vector<SearchRecord>& history);
/// The inverse; throws std::invalid_argument on text that history_json did not write, also where
/// check_history() does.
std::vector<SearchRecord> history_from_json(const std::string& text);

}  // namespace serenade
