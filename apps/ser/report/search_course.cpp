#include "apps/ser/report/search_course.h"

#include <algorithm>
#include <map>

#include "apps/ser/common/text_table.h"
#include "tensor/csv.h"

namespace serenade::ser {

namespace {

std::vector<std::int64_t> best_of(const SearchRecord& record) {
  std::vector<std::int64_t> best;
  for (const ChoiceRecord& choice : record.choices) best.push_back(choice.best);
  return best;
}

std::string epochs_text(std::int64_t epochs) {
  return std::to_string(epochs) + (epochs == 1 ? " epoch" : " epochs");
}

}  // namespace

std::vector<TrialPoint> trial_points(const std::vector<TrialRecord>& trials) {
  std::vector<TrialPoint> points;
  const TrialRecord* best = nullptr;
  double cost = 0;
  for (const TrialRecord& trial : trials) {
    cost += trial.outcome.cost;
    const bool better = best == nullptr || trial.epochs > best->epochs ||
                        (trial.epochs == best->epochs && trial.outcome.score > best->outcome.score);
    if (better) best = &trial;
    points.push_back({.architecture = trial.genotype.summary(),
                      .epochs = trial.epochs,
                      .score = trial.outcome.score,
                      .cost = cost,
                      .best_score = best->outcome.score,
                      .is_best = better});
  }
  return points;
}

std::vector<ScoredPoint> scored_points(const FoldRun& run) {
  std::vector<ScoredPoint> points;
  for (const UntrainedScore& one : run.scored) {
    ScoredPoint point{.architecture = one.genotype.summary(), .score = one.score};
    for (std::size_t i = 0; i < run.trials.size() && point.trial == 0; ++i) {
      if (run.trials[i].genotype == one.genotype) point.trial = static_cast<std::int64_t>(i) + 1;
    }
    points.push_back(std::move(point));
  }
  std::stable_sort(points.begin(), points.end(),
                   [](const ScoredPoint& a, const ScoredPoint& b) { return a.score > b.score; });
  return points;
}

std::vector<MeasuredValue> measured_values(const std::vector<SearchRecord>& history) {
  std::map<std::string, std::vector<double>> by_name;
  for (std::size_t epoch = 0; epoch < history.size(); ++epoch) {
    for (const auto& [name, value] : history[epoch].values) {
      by_name.try_emplace(name, history.size(), kNotMeasured).first->second[epoch] = value;
    }
  }
  std::vector<MeasuredValue> values;
  for (const auto& [name, by_epoch] : by_name) values.push_back({name, by_epoch});
  return values;
}

std::vector<std::string> search_facts(const FoldRun& run, const SearchSpace& space,
                                      std::int64_t planned) {
  std::vector<std::string> facts;
  if (!run.trials.empty()) {
    const std::vector<TrialPoint> points = trial_points(run.trials);
    const auto best = std::find_if(points.rbegin(), points.rend(),
                                   [](const TrialPoint& point) { return point.is_best; });
    facts.push_back("Trials: " + std::to_string(points.size()) + ", at the cost of " +
                    compact(points.back().cost, 3) + " whole trainings. The best is trial " +
                    std::to_string(points.rend() - best) + ".");
    const auto known = std::count_if(run.trials.begin(), run.trials.end(),
                                     [](const auto& trial) { return trial.outcome.cost == 0; });
    if (known > 0) {
      facts.push_back("Trials that had been trained before, and were not trained again: " +
                      std::to_string(known) + ".");
    }
  }
  if (!run.scored.empty()) {
    facts.push_back("Scored without a training: " + std::to_string(run.scored.size()) +
                    "; the best of them were trained.");
  }
  if (run.history.empty()) return facts;
  const auto epochs = std::ssize(run.history);
  facts.push_back(epochs < planned ? "The search ended by itself after " + epochs_text(epochs) +
                                         " of " + std::to_string(planned) + "."
                                   : "The supernet was trained for " + epochs_text(epochs) + ".");
  // A strategy may take an earlier architecture than that of the last alphas.
  const std::vector<std::int64_t> answer = choice_indices(run.genotype, space);
  if (best_of(run.history.back()) == answer) return facts;
  for (auto record = run.history.rbegin(); record != run.history.rend(); ++record) {
    if (best_of(*record) != answer) continue;
    facts.push_back("The answer is what epoch " + std::to_string(record->epoch + 1) +
                    " had chosen, not the last one.");
    break;
  }
  return facts;
}

std::string trials_csv(const FoldRun& run) {
  const std::vector<ScoredPoint> scored = scored_points(run);
  std::vector<std::string> columns = {"trial", "architecture", "epochs",
                                      "score", "cost_so_far",  "best_score"};
  if (!scored.empty()) columns.push_back("untrained_score");
  CsvTable table(columns, 9);
  std::int64_t number = 0;
  for (const TrialPoint& point : trial_points(run.trials)) {
    table.add(++number).add(point.architecture).add(point.epochs);
    table.add(point.score).add(point.cost).add(point.best_score);
    if (scored.empty()) continue;
    const auto same = std::find_if(scored.begin(), scored.end(), [&](const ScoredPoint& one) {
      return one.architecture == point.architecture;
    });
    table.add(same == scored.end() ? "" : compact(same->score, 9));
  }
  for (const ScoredPoint& one : scored) {
    if (one.trial > 0) continue;
    table.add("").add(one.architecture).add(0).add("").add("").add("").add(compact(one.score, 9));
  }
  return table.text();
}

std::string measured_csv(const std::vector<SearchRecord>& history) {
  CsvTable table({"epoch", "name", "value"}, 9);
  for (const SearchRecord& record : history) {
    for (const auto& [name, value] : record.values) {
      table.add(record.epoch + 1).add(name).add(value);
    }
  }
  return table.text();
}

}  // namespace serenade::ser
