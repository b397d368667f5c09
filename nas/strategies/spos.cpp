// Single-path one-shot search (Guo et al., ECCV 2020): W is trained along one uniformly drawn path
// a step; there are no alphas to learn. When W is done, evolution looks for the child that has the
// lowest validation loss with the supernet's weights (algorithm 1): of all children seen, the best
// fifth are parents; half of a generation are mutants (each choice drawn anew with probability
// 0.1), half are crossovers (each choice from one of two parents).
//
// fair: within any N steps, counted from 0, each of a choice's N candidates is trained exactly
// once, in random order (strict fairness; FairNAS, Chu et al., ICCV 2021, without its accumulation
// of N gradients per update).
//
// Trap. A child may not be looked at twice, or small spaces waste the budget. (children.h has those
// of looking.)

#include <algorithm>
#include <set>

#include "nas/children.h"
#include "nas/diagnostics.h"
#include "tensor/check.h"

namespace serenade {

namespace {

class SinglePath : public OneShot {
 public:
  SinglePath(const SearchSpace& space, const StrategyOptions& options) : OneShot(space, options) {
    check(options.child_population >= 1 && options.child_generations >= 1, "spos",
          "there must be children to choose from; got ", options.child_generations,
          " generations of ", options.child_population);
    check(options.bilevel == Bilevel::alternating, "spos",
          "bilevel two_stage does not go with a search that has no alphas to learn");
  }

  std::string name() const override { return "spos"; }
  bool has_architecture_steps() const override { return false; }
  Path draw(const Draw& draw) const override {
    const auto n = static_cast<std::uint64_t>(draw.candidates);
    if (!options().fair) {
      const RandomKey key{draw.seed, Purpose::path, draw.step};
      return single_path(draw.candidates, draw_subset(1, draw.candidates, key, draw.choice)[0]);
    }
    const RandomKey key{draw.seed, Purpose::path, draw.step / n};
    const Child order = draw_subset(draw.candidates, draw.candidates, key, draw.choice);
    return single_path(draw.candidates, order[static_cast<std::size_t>(draw.step % n)]);
  }

  std::map<std::string, double> end_epoch(const EpochEnd& end) const override {
    if (end.epoch + 1 < planned_steps()) return {};
    Children children(end);
    children.decide(evolve([&](const Child& child) { return children.loss(child); }));
    return children.measured();
  }
  // The answer is a child, and its alphas are written in the end: they are no course.
  std::vector<std::string> warnings(const std::vector<SearchRecord>& history) const override {
    return weight_warnings(history);
  }
  std::string fingerprint() const override {
    return std::to_string(options().epochs) + " epochs, " + (options().fair ? "fair, " : "") +
           std::to_string(options().child_generations) + " generations of " +
           std::to_string(options().child_population);
  }

 private:
  // The child with the lowest loss that is found; the first drawn on ties.
  Child evolve(const std::function<double(const Child&)>& loss) const {
    std::uint64_t drawn = 0;
    const auto below = [&](std::int64_t n) {
      return random_integer({options().seed, Purpose::path, UINT64_MAX}, drawn++, n);
    };
    std::vector<std::pair<double, Child>> ranked;  // all that were looked at, best first
    std::set<Child> seen;
    const auto parent = [&] {
      const std::int64_t parents = std::max<std::int64_t>(1, options().child_population / 5);
      const auto i = below(std::min(parents, std::ssize(ranked)));
      return ranked[static_cast<std::size_t>(i)].second;
    };
    for (std::int64_t generation = 0; generation < options().child_generations; ++generation) {
      std::vector<Child> children;
      // Few attempts at a new one each: a small space has no more to offer.
      for (std::int64_t attempt = 0; attempt < 10 * options().child_population &&
                                     std::ssize(children) < options().child_population;
           ++attempt) {
        const bool mutant = attempt % 2 == 0, first = ranked.empty();
        Child child(space().choices.size(), 0);
        if (!first) child = parent();
        const Child other = first || mutant ? child : parent();
        for (std::size_t i = 0; i < child.size(); ++i) {
          if (first || (mutant && below(10) == 0)) child[i] = below(space().choices[i].size());
          if (!first && !mutant && below(2) == 0) child[i] = other[i];
        }
        if (seen.insert(child).second) children.push_back(child);
      }
      for (const Child& child : children) ranked.emplace_back(loss(child), child);
      std::stable_sort(ranked.begin(), ranked.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
    }
    return ranked.front().second;
  }
};

}  // namespace

StrategyRow spos_strategy() {
  return {.name = "spos",
          .summary = "weights along one random path a step, then evolution of children",
          .source = "Guo et al., ECCV 2020",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<SinglePath>(space, options);
          }};
}

}  // namespace serenade
