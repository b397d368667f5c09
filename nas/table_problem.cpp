#include "nas/table_problem.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "tensor/check.h"
#include "tensor/random.h"

namespace serenade {

TableProblem::TableProblem(const ResultTable& table, std::set<std::string> parts,
                           std::uint64_t seed, TableReading reading)
    : table_(table), parts_(std::move(parts)), seed_(seed), reading_(std::move(reading)) {
  check(table.size() > 0, "table", "must hold a training; got an empty one");
  check(!parts_.empty(), "table", "needs a part of the data to score by; got none");
  if (reading_.model != nullptr) model_parts_ = reading_.model->positions(parts_);
}

Outcome TableProblem::evaluate(const Trial& trial) {
  const std::int64_t epochs = trial.epochs == 0 ? table_.last_epoch() : trial.epochs;
  const double score =
      reading_.model != nullptr ? modelled_score(trial, epochs) : measured_score(trial, epochs);
  const double whole = reading_.cost ? reading_.cost(trial.genotype) : 1;
  const double cost =
      whole * static_cast<double>(epochs) / static_cast<double>(table_.last_epoch());
  cost_ += cost;
  return {.score = score, .cost = cost};
}

double TableProblem::untrained_score(const Genotype&) {
  check(false, "table", "holds no scores of untrained networks");
  return 0;
}

double TableProblem::measured_score(const Trial& trial, std::int64_t epochs) const {
  const RandomKey key{seed_, Purpose::data, static_cast<std::uint64_t>(trial.id)};
  const auto drawn =
      std::next(table_.seeds().begin(), random_integer(key, 0, std::ssize(table_.seeds())));
  const std::optional<double> score = table_.score(trial.genotype, *drawn, epochs, parts_);
  check(score.has_value(), "table", "holds no result of ", trial.genotype.summary(), " with seed ",
        *drawn, " after epoch ", epochs, " on all the parts that are asked for");
  return *score;
}

double TableProblem::modelled_score(const Trial& trial, std::int64_t epochs) const {
  const TableModel& model = *reading_.model;
  const RandomKey key{seed_, Purpose::data, static_cast<std::uint64_t>(trial.id)};
  const auto drawn = static_cast<std::size_t>(
      random_integer(key, 0, static_cast<std::int64_t>(model.trainings())));
  const ChoiceIndices architecture = choice_indices(trial.genotype, table_.space());
  double right = 0, total = 0;
  for (const std::size_t part : model_parts_) {
    right += model.total(part) * model.training(architecture, epochs, part, drawn);
    total += model.total(part);
  }
  return std::clamp(right / total, 0.0, 1.0);
}

}  // namespace serenade
