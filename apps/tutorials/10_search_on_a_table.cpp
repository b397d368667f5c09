// Tutorial 10: searches that see architectures from outside, compared on a table.
//
// Evolution, Bayesian optimisation and REINFORCE ask for an architecture, are told its score, and
// ask for the next. One run of each says little, since all of them draw by chance; and many runs
// with real trainings are not to be had. So trainings are done once, kept in a table, and the
// searches replayed on it in seconds (nas/result_table.h, nas/replay.h).
//
// NOTHING HERE IS MEASURED. No network is trained: the scores of both tables are made by formulas,
// with noise, so that it is known what there is to be found. In the first table every choice has
// its say, and two of them work together. In the second the scores are shuffled: an architecture
// says nothing about its neighbours. Whatever a strategy gains on the first and not on the second,
// it owes to the formula. Which of the two a real space is like, only real trainings tell.
//
// Read tutorial 5 before this, nas/strategies/README.md after it.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <set>
#include <string>

#include "nas/replay.h"
#include "tensor/random.h"

using namespace serenade;

namespace {

const std::vector<std::string> kCandidates = {"a", "b", "c", "d", "e"};
const SearchSpace kSpace = {.choices = {{"first", kCandidates},
                                        {"second", kCandidates},
                                        {"third", kCandidates},
                                        {"fourth", kCandidates}}};  // 5^4 = 625 architectures

constexpr RandomKey stream(std::uint64_t number) { return {10, Purpose::data, number}; }

// The share of recordings that an architecture gets right, without noise. Draws 0 .. 19 are what
// each candidate adds, 20 .. 44 what each pair of the first two does.
double formula(const std::vector<std::int64_t>& x) {
  double share = 0.6;
  for (std::size_t l = 0; l < 4; ++l) {
    share += 0.05 * normal(stream(0), 5 * l + static_cast<std::uint64_t>(x[l]));
  }
  return share + 0.03 * normal(stream(0), static_cast<std::uint64_t>(20 + 5 * x[0] + x[1]));
}

// Three trainings of each architecture, with scores on 400 recordings to choose by and 400 others
// to judge by: a training is luckier than another, and so is a set of recordings.
ResultTable make_table(bool shuffled) {
  const std::vector<Genotype> all = enumerate_genotypes(kSpace);
  std::vector<std::size_t> source(all.size());
  std::iota(source.begin(), source.end(), 0);
  for (std::size_t i = all.size() - 1; shuffled && i > 0; --i) {
    const auto j = random_integer(stream(1), i, static_cast<std::int64_t>(i) + 1);
    std::swap(source[i], source[static_cast<std::size_t>(j)]);
  }
  ResultTable table(kSpace);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double share = formula(choice_indices(all[source[i]], kSpace));
    std::uint64_t element = 0;
    for (std::int64_t seed = 0; seed < 3; ++seed) {
      const double trained = share + 0.01 * normal(stream(2 + i), element++);
      for (const char* part : {"choose", "judge"}) {
        const double noise = 0.025 * normal(stream(2 + i), element++);  // of 400 recordings
        const double right = std::clamp(std::round(400 * (trained + noise)), 0.0, 400.0);
        table.add({.architecture = choice_indices(all[i], kSpace),
                   .seed = seed,
                   .epoch = 1,
                   .part = part,
                   .loss = 0,  // nobody asks for it here
                   .right = static_cast<std::int64_t>(right),
                   .total = 400});
      }
    }
  }
  return table;
}

const std::vector<double> kCosts = {5, 10, 20, 40};  // in trainings

// Regret: how much less an answer gets right than the best of the table does, on the recordings
// that it was not chosen by. The mean of 50 searches, with a bootstrap interval of the mean (95 %).
// Returns the names of those whose interval lies below that of random search in the end.
std::set<std::string> replay(const ResultTable& table) {
  std::set<std::string> better;
  double random_low = 0;
  for (const char* name : {"random", "evolution", "bayesian", "reinforce"}) {
    const auto make = [name](std::uint64_t seed) {
      return make_strategy(name, kSpace, {.seed = seed, .trials = 40});
    };
    std::printf("%-10s", name);
    Interval last;
    for (const RegretPoint& point :
         replay_regret(table, {"choose"}, {"judge"}, make, kCosts, {.repeats = 50})) {
      std::printf("  %5.3f [%5.3f, %5.3f]", point.by_runs.estimate, point.by_runs.low,
                  point.by_runs.high);
      last = point.by_runs;
    }
    if (name == std::string("random")) {
      random_low = last.low;
    } else if (last.high < random_low) {
      better.insert(name);
    }
    const bool is_better = better.count(name) == 1;
    std::printf("%s\n", is_better ? "  better than random" : "");
  }
  return better;
}

}  // namespace

int main() {
  std::set<std::string> better[2];
  for (const bool shuffled : {false, true}) {
    std::printf("Regret on the table %s, after so many trainings:\n",
                shuffled ? "that is shuffled" : "made by the formula");
    std::printf("%10s", "");
    for (const double cost : kCosts) std::printf("%22.0f", cost);
    std::printf("\n");
    better[shuffled] = replay(make_table(shuffled));
  }
  // A model of the scores finds what the formula has put there; where nothing is, nobody can. Those
  // not marked are not shown to be alike: 50 searches do not tell.
  const bool right = better[false].count("bayesian") == 1 && better[true].empty();
  if (!right) std::printf("Unexpected: see above.\n");
  return right ? 0 : 1;
}
