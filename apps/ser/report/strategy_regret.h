#pragma once
// How far the answers of strategies are from the best architecture of a table, over what they have
// cost: one picture and one table.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/ser/common/text_table.h"
#include "nas/replay.h"

namespace serenade::ser {

struct StrategyRegret {
  std::string strategy;
  std::vector<RegretPoint> points;  ///< by cost
  std::int64_t runs = 0;            ///< one tells nothing of how far others would differ
  /// What real searches have found: one point without a cost.
  bool searched = false;
};

struct RegretComparison {
  std::string title;
  std::vector<std::string> notes;  ///< sentences on what was compared
  std::vector<StrategyRegret> strategies;
  /// Whether other speakers could have judged: with one speaker a side, nothing is known of others.
  bool speakers_drawn = true;
};

/// A row per strategy and cost.
TextTable regret_rows(const RegretComparison& comparison);
/// Which of the two chances the intervals come from, at the largest cost: one sentence.
std::string widest_chance(const RegretComparison& comparison);
/// Lines with bands over the cost, which is logarithmic unless one is 0; what was searched is
/// dashed, at all costs.
std::string draw_regret(const RegretComparison& comparison, bool standalone = false);

/// Makes the folder and writes regret.svg and regret.md; throws IoError naming the file.
void write_regret(const std::string& folder, const RegretComparison& comparison);

}  // namespace serenade::ser
