#include "nas/derive.h"

#include <algorithm>
#include <cmath>

#include "nas/mixed_op.h"
#include "tensor/check.h"

namespace serenade {

std::vector<std::int64_t> best_choices(const std::vector<std::vector<double>>& alphas) {
  std::vector<std::int64_t> choices;
  for (const std::vector<double>& alpha : alphas) {
    const bool numbers =
        std::none_of(alpha.begin(), alpha.end(), [](double a) { return std::isnan(a); });
    check(!alpha.empty() && numbers, "best_choices",
          "every layer must have candidates, and numbers for alphas; layer ", choices.size(),
          " has not");
    choices.push_back(std::max_element(alpha.begin(), alpha.end()) - alpha.begin());
  }
  return choices;
}

Genotype derive_genotype(const std::string& system, const SearchSpace& space,
                         const std::vector<std::vector<double>>& alphas) {
  check(alphas.size() == space.layers.size(), "derive_genotype",
        "there must be alphas for every layer of the space; got ", alphas.size(), " for ",
        space.layers.size());
  for (std::size_t l = 0; l < alphas.size(); ++l) {
    check(alphas[l].size() == space.layers[l].candidates.size(), "derive_genotype",
          "there must be one alpha per candidate; got ", alphas[l].size(), " for layer '",
          space.layers[l].name, "' with ", space.layers[l].candidates.size());
  }
  return make_genotype(system, space, best_choices(alphas));
}

Genotype derive_genotype(const std::string& system, const SearchSpace& space, Module& supernet) {
  std::vector<std::vector<double>> alphas;
  for (const NamedMixedOp& mixed : find_mixed_ops(supernet)) {
    const std::vector<real> alpha = mixed.op->alpha().value().to(Device::cpu).to_vector();
    alphas.emplace_back(alpha.begin(), alpha.end());
  }
  return derive_genotype(system, space, alphas);
}

}  // namespace serenade
