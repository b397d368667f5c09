#pragma once
// Records of epochs as JSON, for whatever keeps them: metrics.jsonl, checkpoints, the files of
// finished folds. Reading throws a std::exception
// that says what is missing.

#include <string>
#include <vector>

#include "apps/ser/training/train.h"

namespace serenade::ser {

std::string records_json(const std::vector<EpochRecord>& records);
std::vector<EpochRecord> records_from_json(const std::string& text);

}  // namespace serenade::ser
