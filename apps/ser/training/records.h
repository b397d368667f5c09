#pragma once
// Records of epochs and states of schedules as JSON, for whatever keeps them: metrics.jsonl,
// checkpoints, the files of finished folds. Reading throws nlohmann::json::exception.

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "apps/ser/training/train.h"
#include "nn/schedule.h"

namespace serenade::ser {

nlohmann::json record_json(const EpochRecord& record);
nlohmann::json records_json(const std::vector<EpochRecord>& records);
std::vector<EpochRecord> records_from_json(const nlohmann::json& list);

nlohmann::json schedule_json(const ScheduleState& state);
ScheduleState schedule_from_json(const nlohmann::json& object);

}  // namespace serenade::ser
