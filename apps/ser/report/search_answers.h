#pragma once
// What searches have found, for a comparison with strategies that are replayed on a table.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "apps/ser/training/config.h"
#include "nas/replay.h"

namespace serenade::ser {

struct SearchAnswers {
  struct Answer {
    std::string part;               ///< of the table: the test speakers of the fold
    std::int64_t architecture = 0;  ///< genotype_index
  };
  std::string strategy;
  std::vector<Answer> answers;  ///< one per finished fold

  /// The answers of folds whose test speakers are among those that judge, each as a run: the other
  /// speaker of the session has chosen it.
  ReplayAnswers of(const std::set<std::string>& judged_by) const;
};

/// Of the folders of `serenade search`, those of the same strategy (such as its seeds) together.
/// Throws InputError, naming the folder, where it is of another system or preset than the table, or
/// holds no finished fold; IoError where it cannot be read.
std::vector<SearchAnswers> read_search_answers(const std::vector<std::string>& folders,
                                               const Config& table);

}  // namespace serenade::ser
