#pragma once
// Replays: how far from the best of a table a strategy's answer is, over what it has spent.
//
//   const std::set<std::string> seen = {"Ses01F"}, unseen = {"Ses02M"};   // parts of the data
//   const auto points = replay_regret(table, seen, unseen, make, {1, 2, 5, 10, 20});
//
// Traps. Choosing by the same parts as judging makes every strategy look better than it is. Chance
// comes in twice: another run of the strategy answers otherwise, which more runs average out; and
// other speakers would have judged otherwise, which no run can tell. The intervals say which is
// which. The best of noisy scores is lucky too: regret does not fall to 0 on a measured table, and
// a resample of few parts has a best of its own, so that intervals lean upwards. The mean over the
// seeds, by which a measured table judges, holds the training that was chosen by.

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "nas/interval.h"
#include "nas/result_table.h"
#include "nas/strategy.h"
#include "nas/table_problem.h"
#include "nas/table_scores.h"

namespace serenade {

struct ReplayOptions {
  std::int64_t repeats = 100;  ///< of the strategy, with the seeds seed, seed + 1, ..
  std::uint64_t seed = 0;
  std::int64_t resamples = 2000;  ///< of the bootstrap
  double level = 0.95;
};

using MakeStrategy = std::function<std::unique_ptr<Strategy>(std::uint64_t seed)>;

/// [run][cost]: the number of the architecture (genotype_index) that was the answer when at most
/// that much had been spent.
using ReplayAnswers = std::vector<std::vector<std::int64_t>>;

/// Runs with the seeds first_seed, first_seed + 1, .. that are told scores of the parts
/// `chosen_by`. costs: ascending. Before a strategy's first trial is paid for, its answer is what
/// it recommends untold. Throws std::invalid_argument where the table lacks what a strategy asks
/// for.
ReplayAnswers replay_answers(const ResultTable& table, const std::set<std::string>& chosen_by,
                             const MakeStrategy& make, const std::vector<double>& costs,
                             std::uint64_t first_seed, std::int64_t repeats,
                             const TableReading& reading = {});

/// What architectures are worth to those parts of the data that judge: the mean over the seeds
/// after the last epoch, or what the model says.
class Judge {
 public:
  /// Throws std::invalid_argument where there is nothing to judge by.
  Judge(const ResultTable& table, const std::set<std::string>& parts,
        const TableReading& reading = {});

  std::size_t parts() const { return scores_.parts.size(); }
  /// The best score minus each architecture's, part p counting weight[p] times.
  std::vector<double> regrets(const std::vector<double>& weight) const;
  /// Where an architecture stands in regrets(). Throws std::invalid_argument naming one that the
  /// table does not hold.
  std::size_t position(std::int64_t architecture) const;

 private:
  SearchSpace space_;
  TableScores scores_;                  // of a single seed, the mean
  std::vector<std::size_t> positions_;  // by number; the number of scores where there is none
};

struct RegretPoint {
  double cost = 0;    ///< at most so many trainings were spent
  Interval regret;    ///< mean over the runs; runs and parts drawn anew
  Interval by_runs;   ///< runs alone drawn anew
  Interval by_parts;  ///< parts that judge alone drawn anew
};

/// Runs, and who judges them.
struct JudgedRuns {
  const Judge* judge = nullptr;
  ReplayAnswers answers;
};
/// On average over the elements of `runs`, such as one per direction of choosing and judging. The
/// parts that choose are not drawn anew. Throws std::invalid_argument where options make no sense.
std::vector<RegretPoint> regret_points(const std::vector<JudgedRuns>& runs,
                                       const std::vector<double>& costs,
                                       const ReplayOptions& options);

/// All of it for one strategy and one way to choose and judge.
std::vector<RegretPoint> replay_regret(const ResultTable& table,
                                       const std::set<std::string>& chosen_by,
                                       const std::set<std::string>& judged_by,
                                       const MakeStrategy& make, const std::vector<double>& costs,
                                       const ReplayOptions& options = {},
                                       const TableReading& reading = {});

}  // namespace serenade
