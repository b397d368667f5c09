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

/// SearchRecord::values, by name.
std::vector<MeasuredValue> measured_values(const std::vector<SearchRecord>& history);

/// How far the search went, in sentences. planned: Strategy::planned_steps().
std::vector<std::string> search_facts(const FoldRun& run, const SearchSpace& space,
                                      std::int64_t planned);

/// "trial,architecture,epochs,score,cost,best_score": cost is that of all trials so far, in whole
/// trainings.
std::string trials_csv(const std::vector<TrialRecord>& trials);
/// "epoch,name,value", epochs from 1.
std::string measured_csv(const std::vector<SearchRecord>& history);

}  // namespace serenade::ser
