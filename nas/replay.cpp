#include "nas/replay.h"

#include <algorithm>
#include <utility>

#include "tensor/check.h"

namespace serenade {

namespace {

// Of one run: the answer at each cost.
std::vector<std::int64_t> answers_of(Strategy& strategy, TableProblem& problem,
                                     const std::vector<double>& costs) {
  const auto number = [&] { return genotype_index(strategy.recommend(), problem.space()); };
  std::vector<std::int64_t> found;
  std::int64_t now = number();
  while (found.size() < costs.size()) {
    const bool more = strategy.advance(problem);
    // Sums of shares are not exact: a trial that costs what is left is paid for.
    const double spent = problem.cost() - 1e-9;
    while (found.size() < costs.size() && (!more || spent > costs[found.size()])) {
      found.push_back(now);
    }
    if (more) now = number();
  }
  return found;
}

}  // namespace

ReplayAnswers replay_answers(const ResultTable& table, const std::set<std::string>& chosen_by,
                             const MakeStrategy& make, const std::vector<double>& costs,
                             std::uint64_t first_seed, std::int64_t repeats,
                             const TableReading& reading) {
  check(std::is_sorted(costs.begin(), costs.end()), "replay", "the costs must ascend");
  ReplayAnswers answers;
  for (std::int64_t i = 0; i < repeats; ++i) {
    const std::uint64_t seed = first_seed + static_cast<std::uint64_t>(i);
    const std::unique_ptr<Strategy> strategy = make(seed);
    TableProblem problem(table, chosen_by, seed, reading);
    answers.push_back(answers_of(*strategy, problem, costs));
  }
  return answers;
}

// Judging -----------------------------------------------------------------------------------------

Judge::Judge(const ResultTable& table, const std::set<std::string>& parts,
             const TableReading& reading)
    : space_(table.space()) {
  if (reading.model != nullptr) {
    const TableModel& model = *reading.model;
    const std::vector<std::size_t> at = model.positions(parts);
    check(!at.empty(), "replay", "needs a part of the data to judge by; got none");
    scores_.seeds = {0};
    scores_.parts.assign(parts.begin(), parts.end());
    for (const std::size_t part : at) scores_.total.push_back(model.total(part));
    for (std::int64_t i = 0; i < space_.size(); ++i) {
      scores_.architectures.push_back(choice_indices(genotype_at(space_, i), space_));
      for (const std::size_t part : at) {
        scores_.right.push_back(
            model.value(scores_.architectures.back(), table.last_epoch(), part));
      }
    }
  } else {
    scores_ = table_scores(table, table.last_epoch(), parts);
  }
  const std::size_t count = scores_.architectures.size();
  check(count > 0, "replay", "the table must hold whole trainings on the parts to judge by");
  positions_.assign(static_cast<std::size_t>(space_.size()), count);
  for (std::size_t a = 0; a < count; ++a) {
    const Genotype genotype = make_genotype(space_, scores_.architectures[a]);
    positions_[static_cast<std::size_t>(genotype_index(genotype, space_))] = a;
  }
}

std::vector<double> Judge::regrets(const std::vector<double>& weight) const {
  std::vector<double> found = scores_.mean_scores(weight);
  const double best = *std::max_element(found.begin(), found.end());
  for (double& score : found) score = best - score;
  return found;
}

std::size_t Judge::position(std::int64_t architecture) const {
  const std::size_t found = positions_.at(static_cast<std::size_t>(architecture));
  check(found < scores_.architectures.size(), "replay", "the table holds no whole training of ",
        genotype_at(space_, architecture).summary());
  return found;
}

namespace {

// The runs of one judge, by the positions of their answers: [cost][run].
struct Judged {
  const Judge* judge;
  std::vector<std::vector<std::size_t>> positions;
};

Judged judged(const JudgedRuns& runs, std::size_t costs) {
  check(!runs.answers.empty(), "replay", "needs repeats; got 0");
  Judged found{runs.judge, {}};
  for (std::size_t c = 0; c < costs; ++c) {
    found.positions.emplace_back();
    for (const std::vector<std::int64_t>& answers : runs.answers) {
      found.positions.back().push_back(runs.judge->position(answers.at(c)));
    }
  }
  return found;
}

// The mean over runs, run i counting weight[i] times.
double mean_regret(const std::vector<std::size_t>& positions, const std::vector<double>& regrets,
                   const std::vector<double>& weight) {
  double sum = 0, all = 0;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    sum += weight[i] * regrets[positions[i]];
    all += weight[i];
  }
  return sum / all;
}

// At one cost: as measured, and of each resample.
struct Means {
  double measured = 0;
  std::vector<double> both, by_runs, by_parts;
};

// Adds a share of what the runs of judge number `number` give.
void add_means(const Judged& runs, std::size_t number, double share, std::uint64_t seed,
               std::vector<Means>& means) {
  const std::size_t parts = runs.judge->parts(), count = runs.positions.front().size();
  const std::vector<double> once(count, 1);
  const std::vector<double> measured = runs.judge->regrets(std::vector<double>(parts, 1));
  for (std::size_t c = 0; c < means.size(); ++c) {
    means[c].measured += share * mean_regret(runs.positions[c], measured, once);
  }
  for (std::size_t r = 0; r < means.front().both.size(); ++r) {
    const std::vector<double> drawn = resample_weights(count, seed, r, 2 * number);
    const std::vector<double> regrets =
        runs.judge->regrets(resample_weights(parts, seed, r, 2 * number + 1));
    for (std::size_t c = 0; c < means.size(); ++c) {
      const std::vector<std::size_t>& positions = runs.positions[c];
      means[c].both[r] += share * mean_regret(positions, regrets, drawn);
      means[c].by_runs[r] += share * mean_regret(positions, measured, drawn);
      means[c].by_parts[r] += share * mean_regret(positions, regrets, once);
    }
  }
}

}  // namespace

std::vector<RegretPoint> regret_points(const std::vector<JudgedRuns>& runs,
                                       const std::vector<double>& costs,
                                       const ReplayOptions& options) {
  check(options.resamples > 0 && 0 < options.level && options.level < 1, "replay",
        "needs resamples and a level between 0 and 1; got ", options.resamples, " and ",
        options.level);
  check(!runs.empty() && !costs.empty(), "replay", "needs runs and costs; got ", runs.size(),
        " and ", costs.size());
  const std::vector<double> none(static_cast<std::size_t>(options.resamples), 0);
  std::vector<Means> means(costs.size(), {.both = none, .by_runs = none, .by_parts = none});
  for (std::size_t j = 0; j < runs.size(); ++j) {
    add_means(judged(runs[j], costs.size()), j, 1 / static_cast<double>(runs.size()), options.seed,
              means);
  }
  std::vector<RegretPoint> points;
  for (std::size_t c = 0; c < costs.size(); ++c) {
    const auto interval = [&](const std::vector<double>& resampled) {
      return percentile_interval(means[c].measured, resampled, options.level);
    };
    points.push_back({.cost = costs[c],
                      .regret = interval(means[c].both),
                      .by_runs = interval(means[c].by_runs),
                      .by_parts = interval(means[c].by_parts)});
  }
  return points;
}

std::vector<RegretPoint> replay_regret(const ResultTable& table,
                                       const std::set<std::string>& chosen_by,
                                       const std::set<std::string>& judged_by,
                                       const MakeStrategy& make, const std::vector<double>& costs,
                                       const ReplayOptions& options, const TableReading& reading) {
  const Judge judge(table, judged_by, reading);
  JudgedRuns runs{&judge, replay_answers(table, chosen_by, make, costs, options.seed,
                                         options.repeats, reading)};
  return regret_points({std::move(runs)}, costs, options);
}

}  // namespace serenade
