#include "nas/derive.h"

#include <algorithm>
#include <cmath>

#include "nas/mixed_layer.h"
#include "tensor/check.h"

namespace serenade {

std::vector<std::int64_t> best_candidates(const std::vector<std::vector<double>>& alphas) {
  std::vector<std::int64_t> best;
  for (const std::vector<double>& alpha : alphas) {
    const bool numbers =
        std::none_of(alpha.begin(), alpha.end(), [](double a) { return std::isnan(a); });
    check(!alpha.empty() && numbers, "best_candidates",
          "every choice must have candidates, and alphas that are not NaN; choice ", best.size(),
          " has not");
    best.push_back(std::max_element(alpha.begin(), alpha.end()) - alpha.begin());
  }
  return best;
}

Genotype derive_genotype(const SearchSpace& space, const std::vector<std::vector<double>>& alphas) {
  check(alphas.size() == space.choices.size(), "derive_genotype",
        "there must be alphas for every choice of the space; got ", alphas.size(), " for ",
        space.choices.size());
  for (std::size_t i = 0; i < alphas.size(); ++i) {
    check(alphas[i].size() == space.choices[i].candidates.size(), "derive_genotype",
          "there must be one alpha per candidate; got ", alphas[i].size(), " for choice '",
          space.choices[i].name, "' with ", space.choices[i].candidates.size());
  }
  return make_genotype(space, best_candidates(alphas));
}

Genotype derive_genotype(const SearchSpace& space, Module& supernet) {
  std::vector<std::vector<double>> alphas;
  for (const ChoiceLayers& here : find_choices(supernet, space)) {
    alphas.push_back(here.choice->alpha_values());
  }
  return derive_genotype(space, alphas);
}

}  // namespace serenade
