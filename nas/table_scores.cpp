#include "nas/table_scores.h"

#include <optional>

#include "tensor/check.h"
#include "tensor/random.h"

namespace serenade {

double TableScores::score(std::size_t architecture, std::size_t seed,
                          const std::vector<double>& weight) const {
  double sum = 0, all = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const double recordings = weight[p] * total[p];
    sum += recordings * share(architecture, seed, p);
    all += recordings;
  }
  return sum / all;
}

std::vector<double> TableScores::scores(std::size_t seed, const std::vector<double>& weight) const {
  std::vector<double> found;
  for (std::size_t a = 0; a < architectures.size(); ++a) found.push_back(score(a, seed, weight));
  return found;
}

std::vector<double> TableScores::mean_scores(const std::vector<double>& weight) const {
  std::vector<double> found(architectures.size(), 0);
  for (std::size_t s = 0; s < seeds.size(); ++s) {
    for (std::size_t a = 0; a < found.size(); ++a) {
      found[a] += score(a, s, weight) / static_cast<double>(seeds.size());
    }
  }
  return found;
}

TableScores table_scores(const ResultTable& table, std::int64_t epoch,
                         const std::set<std::string>& parts) {
  check(!parts.empty(), "table_scores", "needs a part of the data to score by; got none");
  TableScores found;
  found.seeds.assign(table.seeds().begin(), table.seeds().end());
  found.parts.assign(parts.begin(), parts.end());
  found.total.assign(parts.size(), 0);
  for (const Genotype& genotype : table.genotypes()) {
    const ChoiceIndices architecture = choice_indices(genotype, table.space());
    std::vector<double> shares;
    for (const std::int64_t seed : found.seeds) {
      for (std::size_t p = 0; p < parts.size(); ++p) {
        const auto counts = table.counts(architecture, seed, epoch, found.parts[p]);
        if (!counts) continue;
        const auto total = static_cast<double>(counts->total);
        check(total > 0 && (found.total[p] == 0 || found.total[p] == total), "table_scores",
              "part ", found.parts[p], " must have the same total in all rows; got ", total,
              " beside ", found.total[p]);
        found.total[p] = total;
        shares.push_back(static_cast<double>(counts->right) / total);
      }
    }
    if (shares.size() < found.seeds.size() * parts.size()) continue;
    found.architectures.push_back(architecture);
    found.right.insert(found.right.end(), shares.begin(), shares.end());
  }
  return found;
}

std::vector<double> resample_weights(std::size_t count, std::uint64_t seed, std::uint64_t number,
                                     std::uint64_t what) {
  // Elements of one stream, in blocks by what they are for.
  const RandomKey key{seed, Purpose::bootstrap, number};
  std::vector<double> weight(count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t element = (what << 32) + i;
    weight[static_cast<std::size_t>(
        random_integer(key, element, static_cast<std::int64_t>(count)))] += 1;
  }
  return weight;
}

}  // namespace serenade
