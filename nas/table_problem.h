#pragma once
// TableProblem: trials that are looked up in a table of results; and how far from the best of the
// table a strategy's answer is, over what it has cost.
//
//   const std::set<std::string> seen = {"Ses01F"}, unseen = {"Ses02M"};   // parts of the data
//   const auto points = replay_regret(table, seen, unseen, make, {1, 2, 5, 10, 20});

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "nas/result_table.h"
#include "nas/strategy.h"

namespace serenade {

class TableProblem : public Problem {
 public:
  /// Scores are those of `parts`. Each trial is one of the table's training seeds, drawn by `seed`
  /// and the trial's number: a repeated trial may have another score, as a training would. The
  /// table must outlive the problem.
  TableProblem(const ResultTable& table, std::set<std::string> parts, std::uint64_t seed);

  const SearchSpace& space() const override { return table_.space(); }
  /// The cost is the share of the table's epochs that the trial asks for. Throws
  /// std::invalid_argument naming what the table does not hold.
  Outcome evaluate(const Trial& trial) override;
  /// Of all trials.
  double cost() const { return cost_; }

 private:
  const ResultTable& table_;
  std::set<std::string> parts_;
  std::uint64_t seed_;
  double cost_ = 0;
};

struct ReplayOptions {
  std::int64_t repeats = 100;  ///< of the strategy, with the seeds seed, seed + 1, ..
  std::uint64_t seed = 0;
  std::int64_t resamples = 2000;  ///< of the bootstrap over the repeats
  double level = 0.95;
};

struct RegretPoint {
  double cost = 0;           ///< at most so many trainings were spent
  double mean = 0;           ///< regret, over the repeats
  double low = 0, high = 0;  ///< bootstrap percentiles of the mean
};

/// The regret of an answer is the best mean score of the table on the parts `judged_by`, minus the
/// answer's own. Choosing by the same parts as judging makes every strategy look better than it is.
/// costs: ascending. Before a strategy's first trial is paid for, its answer is what it recommends
/// untold. Throws std::invalid_argument where options make no sense or the table lacks an answer.
std::vector<RegretPoint> replay_regret(
    const ResultTable& table, const std::set<std::string>& chosen_by,
    const std::set<std::string>& judged_by,
    const std::function<std::unique_ptr<Strategy>(std::uint64_t seed)>& make,
    const std::vector<double>& costs, const ReplayOptions& options = {});

}  // namespace serenade
