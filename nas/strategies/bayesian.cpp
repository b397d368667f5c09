// Bayesian optimisation (Jones, Schonlau & Welch, "Efficient global optimization of expensive
// black-box functions", J. Global Optimization 13, 1998; Snoek, Larochelle & Adams, NeurIPS 2012):
// after some random architectures, always the one of which a Gaussian process expects the largest
// improvement. Kernel, posterior and equation 15 are those of nas/gaussian_process.h.
//
// Traps. With noise the best score told is partly luck, and nothing seems to improve on it: the
// improvement is over the best posterior mean among those that were told (the plug-in of Picheny,
// Wagner & Ginsbourger, Struct. Multidisc. Optim. 48, 2013). Equal expectations are the rule at
// the beginning: the search for the largest begins at a random place, or the space's first
// candidates would always win. Nothing is asked twice. Of a space that is too large to look at as a
// whole, random ones and the neighbours of the best are: random ones alone hardly come near it.

#include <algorithm>
#include <set>

#include "nas/gaussian_process.h"
#include "nas/trial_search.h"
#include "tensor/check.h"

namespace serenade {

namespace {

constexpr std::int64_t kListed = 16384;  // a space of at most so many is looked at as a whole
constexpr std::int64_t kSampled = 2048;  // of a larger one, per trial

bool is_listed(const SearchSpace& space) { return space.is_countable() && space.size() <= kListed; }

std::int64_t trials_in(const SearchSpace& space, std::int64_t wanted) {
  return space.is_countable() ? std::min(wanted, space.size()) : wanted;
}

// All architectures, from a random one on.
std::vector<ChoiceIndices> listed(const SearchSpace& space, const RandomKey& key) {
  const std::int64_t count = space.size();
  const std::int64_t first = random_integer(key, 0, count);
  std::vector<ChoiceIndices> found(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t number = (first + i) % count;
    for (const Choice& choice : space.choices) {
      found[static_cast<std::size_t>(i)].push_back(number % choice.size());
      number /= choice.size();
    }
  }
  return found;
}

// Some random ones, and all that differ from the best in one choice.
std::vector<ChoiceIndices> sampled(const SearchSpace& space, const RandomKey& key,
                                   const ChoiceIndices& best) {
  std::vector<ChoiceIndices> found(static_cast<std::size_t>(kSampled));
  std::uint64_t element = 0;
  for (ChoiceIndices& x : found) {
    for (const Choice& choice : space.choices) {
      x.push_back(random_integer(key, element++, choice.size()));
    }
  }
  for (std::size_t l = 0; l < best.size(); ++l) {
    for (std::int64_t j = 0; j < space.choices[l].size(); ++j) {
      found.push_back(best);
      found.back()[l] = j;
    }
  }
  return found;
}

class Bayesian : public TrialSearch {
 public:
  Bayesian(const SearchSpace& space, const StrategyOptions& options)
      : TrialSearch("bayesian", space, trials_in(space, options.trials),
                    "seed " + std::to_string(options.seed) + ", " +
                        std::to_string(options.random_trials) + " random ones"),
        seed_(options.seed) {
    check(options.random_trials > 0, "bayesian", "must begin with a random trial; got ",
          options.random_trials);
    first_ = random_genotypes(space, std::min(planned_steps(), options.random_trials),
                              {seed_, Purpose::architecture, 0});
  }

  std::vector<std::string> remarks() const override {
    if (planned_steps() > std::ssize(first_)) return {};
    return {"bayesian: all " + std::to_string(planned_steps()) +
            " trials are random, as those before the first model are: give more trials, or fewer "
            "random_trials"};
  }

 private:
  std::optional<Trial> next(const std::vector<Told>& told) const override {
    if (told.size() < first_.size()) return Trial{.genotype = first_[told.size()]};
    std::vector<ChoiceIndices> x;
    std::vector<double> y;
    for (const Told& one : told) {
      x.push_back(one.indices);
      y.push_back(one.outcome.score);
    }
    const GaussianProcess process = fit_gaussian_process(x, y);
    double best = process.at(x.front()).mean;
    const ChoiceIndices* at_best = &x.front();
    for (const ChoiceIndices& known : x) {
      const double mean = process.at(known).mean;
      if (mean <= best) continue;
      best = mean;
      at_best = &known;
    }

    const RandomKey key{seed_, Purpose::architecture, told.size()};
    const std::set<ChoiceIndices> known(x.begin(), x.end());
    double largest = -1;
    std::optional<Trial> trial;
    for (const ChoiceIndices& candidate :
         is_listed(space()) ? listed(space(), key) : sampled(space(), key, *at_best)) {
      if (known.count(candidate) == 1) continue;
      const double improvement = expected_improvement(process.at(candidate), best);
      if (improvement <= largest) continue;
      largest = improvement;
      trial = Trial{.genotype = make_genotype(space(), candidate)};
    }
    return trial;
  }

  std::uint64_t seed_;
  std::vector<Genotype> first_;
};

}  // namespace

StrategyRow bayesian_strategy() {
  return {.name = "bayesian",
          .summary = "a Gaussian process over the choices; where it expects the most improvement",
          .source = "Jones, Schonlau & Welch 1998, equation 15; Snoek et al., NeurIPS 2012",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Bayesian>(space, options);
          }};
}

}  // namespace serenade
