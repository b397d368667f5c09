#pragma once
// What the search of a fold did: the trainings that its strategy asked for, and what it measured.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/ser/report/report.h"
#include "apps/ser/training/experiment.h"

namespace serenade::ser {

/// The trials in the order of asking, each with the best so far. Short trainings say less than long
/// ones: the best is one of those trained longest, as for TrialSearch::recommend().
std::vector<TrialPoint> trial_points(const std::vector<TrialRecord>& trials);

/// What was scored without a training, the best first; equal ones in the order of asking.
std::vector<ScoredPoint> scored_points(const FoldRun& run);

/// SearchRecord::values, by name.
std::vector<MeasuredValue> measured_values(const std::vector<SearchRecord>& history);

/// How far the search went, in sentences. planned: Strategy::planned_steps().
std::vector<std::string> search_facts(const FoldRun& run, const SearchSpace& space,
                                      std::int64_t planned);

/// "trial,architecture,epochs,score,cost_so_far,best_score": the cost is in whole trainings. Where
/// architectures were scored without a training, "untrained_score" as well, and below the trials a
/// line for each that was not trained.
std::string trials_csv(const FoldRun& run);
/// "epoch,name,value", epochs from 1.
std::string measured_csv(const std::vector<SearchRecord>& history);

}  // namespace serenade::ser
