#pragma once
// The search of a one-shot strategy: one supernet, for folds that share their training.

#include <vector>

#include "apps/ser/training/search.h"

namespace serenade::ser {

/// search_architectures for a strategy that trains a supernet. Throws NonFiniteError.
std::vector<FoldSearch> search_supernet(const Config& config, Strategy& strategy,
                                        const std::vector<FoldData>& folds,
                                        const Observer& observer);

}  // namespace serenade::ser
