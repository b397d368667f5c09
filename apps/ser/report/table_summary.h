#pragma once
// What can be seen in a table of trainings (nas/table_statistics.h), in words.

#include <string>

#include "nas/result_table.h"

namespace serenade::ser {

/// Tables of the numbers, and a sentence for each. What the table cannot tell, since it has one
/// seed or fewer than five architectures, is said instead. Throws std::invalid_argument without a
/// whole training.
std::string table_summary(const ResultTable& table);

/// One line where the trainings of an architecture differ as much as its neighbours do, so that a
/// comparison of strategies would rank noise; empty where they do not, or where one seed cannot
/// tell.
std::string noise_warning(const ResultTable& table);

}  // namespace serenade::ser
