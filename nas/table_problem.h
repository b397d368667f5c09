#pragma once
// TableProblem: trials that are looked up in a table of results, in place of trainings.

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "nas/result_table.h"
#include "nas/strategy.h"
#include "nas/table_model.h"

namespace serenade {

/// How a table is read.
struct TableReading {
  /// All scores are the model's and none the table's; none: all are the table's, which must hold
  /// what is asked for.
  const TableModel* model = nullptr;
  /// What a whole training of an architecture costs, 1 being that of the mean one; none: 1 each.
  std::function<double(const Genotype&)> cost = {};
};

class TableProblem : public Problem {
 public:
  /// Scores are those of `parts`. Each trial is one of the table's training seeds (of a model: has
  /// the luck of one of its trainings), drawn by `seed` and the trial's number: a repeated trial
  /// may have another score, as a training would. Table and model must outlive the problem.
  TableProblem(const ResultTable& table, std::set<std::string> parts, std::uint64_t seed,
               TableReading reading = {});

  const SearchSpace& space() const override { return table_.space(); }
  /// The cost is the share of the table's epochs that the trial asks for, times that of a whole
  /// training. Throws std::invalid_argument naming what the table does not hold.
  Outcome evaluate(const Trial& trial) override;
  /// Throws std::invalid_argument: a table holds trainings.
  double untrained_score(const Genotype& genotype) override;
  /// Of all trials.
  double cost() const { return cost_; }

 private:
  double measured_score(const Trial& trial, std::int64_t epochs) const;
  double modelled_score(const Trial& trial, std::int64_t epochs) const;

  const ResultTable& table_;
  std::set<std::string> parts_;
  std::uint64_t seed_;
  TableReading reading_;
  std::vector<std::size_t> model_parts_;  // of parts_
  double cost_ = 0;
};

}  // namespace serenade
