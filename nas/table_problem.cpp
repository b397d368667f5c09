#include "nas/table_problem.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "tensor/check.h"
#include "tensor/random.h"

namespace serenade {

TableProblem::TableProblem(const ResultTable& table, std::set<std::string> parts,
                           std::uint64_t seed)
    : table_(table), parts_(std::move(parts)), seed_(seed) {
  check(table.size() > 0, "table", "must hold a training; got an empty one");
  check(!parts_.empty(), "table", "needs a part of the data to score by; got none");
}

Outcome TableProblem::evaluate(const Trial& trial) {
  const std::int64_t epochs = trial.epochs == 0 ? table_.last_epoch() : trial.epochs;
  const RandomKey key{seed_, Purpose::data, static_cast<std::uint64_t>(trial.id)};
  const auto drawn =
      std::next(table_.seeds().begin(), random_integer(key, 0, std::ssize(table_.seeds())));
  const std::optional<double> score = table_.score(trial.genotype, *drawn, epochs, parts_);
  check(score.has_value(), "table", "holds no result of ", trial.genotype.summary(), " with seed ",
        *drawn, " after epoch ", epochs, " on all the parts that are asked for");
  const double cost = static_cast<double>(epochs) / static_cast<double>(table_.last_epoch());
  cost_ += cost;
  return {.score = *score, .cost = cost};
}

namespace {

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The mean with the percentiles of the means of resamples (Efron's percentile bootstrap).
RegretPoint bootstrap(double cost, const std::vector<double>& regrets,
                      const ReplayOptions& options) {
  std::vector<double> means;
  std::vector<double> resample(regrets.size());
  for (std::int64_t i = 0; i < options.resamples; ++i) {
    const RandomKey key{options.seed, Purpose::bootstrap, static_cast<std::uint64_t>(i)};
    std::uint64_t element = 0;
    for (double& value : resample) {
      const std::int64_t drawn = random_integer(key, element++, std::ssize(regrets));
      value = regrets[static_cast<std::size_t>(drawn)];
    }
    means.push_back(mean(resample));
  }
  std::sort(means.begin(), means.end());
  const auto percentile = [&](double p) {
    return means[static_cast<std::size_t>(std::lround(p * static_cast<double>(means.size() - 1)))];
  };
  const double tail = (1 - options.level) / 2;
  return {
      .cost = cost, .mean = mean(regrets), .low = percentile(tail), .high = percentile(1 - tail)};
}

// Of one run: the regret of the answer at each cost.
std::vector<double> regrets_of(Strategy& strategy, TableProblem& problem,
                               const std::vector<double>& costs,
                               const std::function<double(const Genotype&)>& regret) {
  std::vector<double> found;
  double now = regret(strategy.recommend());
  while (found.size() < costs.size()) {
    const bool more = strategy.advance(problem);
    // Sums of shares are not exact: a trial that costs what is left is paid for.
    const double spent = problem.cost() - 1e-9;
    while (found.size() < costs.size() && (!more || spent > costs[found.size()])) {
      found.push_back(now);
    }
    if (more) now = regret(strategy.recommend());
  }
  return found;
}

}  // namespace

std::vector<RegretPoint> replay_regret(
    const ResultTable& table, const std::set<std::string>& chosen_by,
    const std::set<std::string>& judged_by,
    const std::function<std::unique_ptr<Strategy>(std::uint64_t seed)>& make,
    const std::vector<double>& costs, const ReplayOptions& options) {
  check(options.repeats > 0 && options.resamples > 0 && 0 < options.level && options.level < 1,
        "replay", "needs repeats, resamples and a level between 0 and 1; got ", options.repeats,
        ", ", options.resamples, " and ", options.level);
  check(std::is_sorted(costs.begin(), costs.end()), "replay", "the costs must ascend");
  std::vector<double> scores;
  for (const Genotype& genotype : table.genotypes()) {
    if (const auto score = table.mean_score(genotype, judged_by)) scores.push_back(*score);
  }
  check(!scores.empty(), "replay", "the table must hold whole trainings on the parts to judge by");
  const double best = *std::max_element(scores.begin(), scores.end());
  const auto regret = [&](const Genotype& answer) {
    const std::optional<double> score = table.mean_score(answer, judged_by);
    check(score.has_value(), "replay", "the table holds no whole training of ", answer.summary());
    return best - *score;
  };
  std::vector<std::vector<double>> per_cost(costs.size());
  for (std::int64_t i = 0; i < options.repeats; ++i) {
    const std::uint64_t seed = options.seed + static_cast<std::uint64_t>(i);
    const std::unique_ptr<Strategy> strategy = make(seed);
    TableProblem problem(table, chosen_by, seed);
    const std::vector<double> regrets = regrets_of(*strategy, problem, costs, regret);
    for (std::size_t c = 0; c < costs.size(); ++c) per_cost[c].push_back(regrets[c]);
  }
  std::vector<RegretPoint> points;
  for (std::size_t c = 0; c < costs.size(); ++c) {
    points.push_back(bootstrap(costs[c], per_cost[c], options));
  }
  return points;
}

}  // namespace serenade
