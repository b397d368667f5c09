#pragma once
// From a searched supernet to an architecture: the candidate with the largest alpha in every layer.

#include <cstdint>
#include <string>
#include <vector>

#include "nas/genotype.h"
#include "nas/search_space.h"
#include "nn/module.h"

namespace serenade {

/// argmax per layer; the first on ties. Throws std::invalid_argument on an empty layer or a value
/// that is not a number.
std::vector<std::int64_t> best_choices(const std::vector<std::vector<double>>& alphas);

/// alphas: per layer of the space, one per candidate.
Genotype derive_genotype(const std::string& system, const SearchSpace& space,
                         const std::vector<std::vector<double>>& alphas);
/// The same from the mixed operations of a supernet.
Genotype derive_genotype(const std::string& system, const SearchSpace& space, Module& supernet);

}  // namespace serenade
