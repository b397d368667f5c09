#pragma once
// The parts of a run's report that show something over epochs: search and training.
// Each returns markup, empty where there is nothing to show.

#include <string>
#include <vector>

#include "apps/ser/report/report.h"

namespace serenade::ser {

/// What a strategy was told: the score of each trial over the cost, and the best so far.
std::string trials_part(const std::vector<TrialPoint>& trials);
std::string scored_part(const std::vector<ScoredPoint>& scored);
/// What a strategy has measured: a picture of each value that has a course, the others as a table.
std::string measured_part(const std::vector<MeasuredValue>& measured);
/// alpha and softmax(alpha) as bars, an epoch at a time.
std::string alphas_part(const std::vector<LayerSearch>& layers);
/// softmax(alpha) over the epochs, a picture for each layer.
std::string probabilities_part(const std::vector<LayerSearch>& layers);
/// The entropy of every layer's probabilities in one picture.
std::string entropy_part(const std::vector<LayerSearch>& layers);
/// How often the weights of each candidate were updated.
std::string updates_part(const std::vector<LayerSearch>& layers);
/// Losses, accuracies and learning rate: a picture for each, a line for each training.
std::string curves_part(const std::vector<TrainingCurve>& all);

}  // namespace serenade::ser
