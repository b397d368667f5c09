#pragma once
// From a searched supernet to an architecture: the candidate with the largest alpha of every
// choice.

#include <cstdint>
#include <vector>

#include "nas/genotype.h"
#include "nas/search_space.h"
#include "nn/module.h"

namespace serenade {

/// argmax per choice; the first on ties. Throws std::invalid_argument on an empty choice or a value
/// that is NaN.
std::vector<std::int64_t> best_candidates(const std::vector<std::vector<double>>& alphas);

/// alphas: per choice of the space, one per candidate.
Genotype derive_genotype(const SearchSpace& space, const std::vector<std::vector<double>>& alphas);
/// The same from the mixed layers of a supernet.
Genotype derive_genotype(const SearchSpace& space, Module& supernet);

}  // namespace serenade
