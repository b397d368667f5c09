#include "nas/cell_space.h"

#include <algorithm>
#include <cmath>

#include "nas/path.h"
#include "tensor/check.h"

namespace serenade {

std::string CellSpace::edge_name(const std::string& cell, std::int64_t from, std::int64_t to) {
  return cell + "_" + std::to_string(from) + "_" + std::to_string(to);
}

SearchSpace CellSpace::space() const {
  check(!candidates.empty() && candidates[0] == "none" && 1 <= kept && kept <= inputs && nodes >= 1,
        "CellSpace", "must have nodes, 1 to ", inputs,
        " kept edges, and 'none' as first candidate");
  SearchSpace space{.choices = {}, .system = system};
  for (const std::string& cell : cells) {
    for (std::int64_t node = inputs; node < inputs + nodes; ++node) {
      for (std::int64_t from = 0; from < node; ++from) {
        space.choices.push_back({.name = edge_name(cell, from, node), .candidates = candidates});
      }
    }
  }
  return space;
}

std::vector<CellEdges> CellSpace::derive(const std::vector<std::vector<double>>& alphas) const {
  const SearchSpace whole = space();
  check(alphas.size() == whole.choices.size(), "CellSpace::derive",
        "there must be alphas for each of the ", whole.choices.size(), " edges; got ",
        alphas.size());
  std::vector<CellEdges> found(cells.size());
  auto alpha = alphas.begin();
  for (CellEdges& edges : found) {
    for (std::int64_t node = inputs; node < inputs + nodes; ++node) {
      std::vector<std::pair<double, CellEdge>> ranked;
      for (std::int64_t from = 0; from < node; ++from, ++alpha) {
        check(
            alpha->size() == candidates.size() && alpha->size() > 1 &&
                std::none_of(alpha->begin(), alpha->end(), [](double a) { return std::isnan(a); }),
            "CellSpace::derive", "an edge must have ", candidates.size(), " alphas, none NaN");
        const auto best = std::max_element(alpha->begin() + 1, alpha->end());
        double sum = 0;  // of exp(a) / exp(best)
        for (const double a : *alpha) sum += std::exp(a - *best);
        ranked.push_back({1 / sum, {candidates[std::size_t(best - alpha->begin())], from}});
      }
      std::stable_sort(ranked.begin(), ranked.end(),
                       [](const auto& a, const auto& b) { return a.first > b.first; });
      for (std::int64_t k = 0; k < kept; ++k) edges.push_back(ranked[std::size_t(k)].second);
    }
  }
  return found;
}

std::vector<CellEdges> CellSpace::derive(const SearchRecord& epoch) const {
  std::vector<std::vector<double>> alphas;
  for (const ChoiceRecord& choice : epoch.choices) alphas.push_back(choice.alphas);
  return derive(alphas);
}

Genotype CellSpace::to_genotype(const std::vector<CellEdges>& chosen) const {
  const SearchSpace whole = space();
  check(chosen.size() == cells.size(), "CellSpace", "there must be ", cells.size(), " cells; got ",
        chosen.size());
  Genotype genotype = make_genotype(whole, std::vector<std::int64_t>(whole.choices.size(), 0));
  for (std::size_t c = 0; c < chosen.size(); ++c) {
    const std::string& cell = cells[c];
    check(std::ssize(chosen[c]) == kept * nodes, "CellSpace", "cell '", cell, "' must have ",
          kept * nodes, " edges, ", kept, " per node; got ", chosen[c].size());
    for (std::int64_t i = 0; i < kept * nodes; ++i) {
      const auto& [op, from] = chosen[c][std::size_t(i)];
      const std::int64_t node = inputs + i / kept;
      check(0 <= from && from < node, "CellSpace", "edge ", i + 1, " of cell '", cell,
            "' must come from a state before ", node, "; got ", from);
      const std::size_t choice = whole.index_of(edge_name(cell, from, node));
      check(genotype.decisions[choice].candidate == "none", "CellSpace", "node ", node,
            " of cell '", cell, "' must not have two edges from one state; got two from ", from);
      check(op != "none", "CellSpace", "an edge that is kept must not be 'none'; edge ", i + 1,
            " of cell '", cell, "' is");
      genotype.decisions[choice].candidate =
          candidates[std::size_t(whole.choices[choice].index_of(op))];
    }
  }
  return genotype;
}

std::vector<CellEdges> CellSpace::random(const RandomKey& key) const {
  space();  // its checks
  std::vector<CellEdges> drawn(cells.size());
  std::uint64_t number = 0;
  for (CellEdges& edges : drawn) {
    for (std::int64_t node = inputs; node < inputs + nodes; ++node, ++number) {
      const std::vector<std::int64_t> sources = draw_subset(kept, node, key, number);
      for (std::size_t k = 0; k < sources.size(); ++k) {
        const std::uint64_t element = number << 16 | (0x8000 + k);  // beyond those of the subset
        const std::int64_t op = 1 + random_integer(key, element, std::ssize(candidates) - 1);
        edges.push_back({candidates[std::size_t(op)], sources[k]});
      }
    }
  }
  return drawn;
}

}  // namespace serenade
