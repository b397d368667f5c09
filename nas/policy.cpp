#include "nas/policy.h"

#include <algorithm>
#include <cmath>

namespace serenade {

Policy::Policy(const SearchSpace& space) {
  for (const Choice& choice : space.choices) logits.emplace_back(choice.candidates.size(), 0);
}

std::vector<double> Policy::probabilities(std::size_t choice) const {
  std::vector<double> p = logits.at(choice);
  const double largest = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& value : p) sum += value = std::exp(value - largest);
  for (double& value : p) value /= sum;
  return p;
}

std::vector<std::int64_t> Policy::draw(const RandomKey& key) const {
  std::vector<std::int64_t> x;
  for (std::size_t l = 0; l < logits.size(); ++l) {
    const std::vector<double> p = probabilities(l);
    double rest = uniform(key, l);
    std::size_t j = 0;
    while (j + 1 < p.size() && rest >= p[j]) rest -= p[j++];
    x.push_back(static_cast<std::int64_t>(j));
  }
  return x;
}

Policy::Table Policy::log_gradient(const std::vector<std::int64_t>& x) const {
  Table gradient;
  for (std::size_t l = 0; l < logits.size(); ++l) {
    std::vector<double> row = probabilities(l);
    for (double& value : row) value = -value;
    row.at(static_cast<std::size_t>(x.at(l))) += 1;
    gradient.push_back(std::move(row));
  }
  return gradient;
}

void Policy::add(const Table& direction, double amount) {
  for (std::size_t l = 0; l < logits.size(); ++l) {
    for (std::size_t j = 0; j < logits[l].size(); ++j) logits[l][j] += amount * direction[l][j];
  }
}

}  // namespace serenade
