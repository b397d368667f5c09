#include "nas/table_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "nas/table_scores.h"
#include "nas/table_statistics.h"
#include "tensor/check.h"

namespace serenade {

namespace {

constexpr std::size_t kFolds = 8;
constexpr double kLeastRidge = 1e-6;  // keeps a table without noise solvable

std::vector<double> ridge_of(const SearchSpace& space, const std::vector<ChoiceIndices>& x,
                             const std::vector<double>& y) {
  const ChoiceAnova anova = choice_anova(space, x, y);
  std::vector<double> ridge(space.choices.size(), kNoEffect);
  for (const ChoiceVariance& choice : anova.choices) {
    const double mean_square =
        choice.share * anova.total_square / static_cast<double>(choice.degrees);
    const double per_candidate =
        static_cast<double>(x.size()) / static_cast<double>(choice.degrees + 1);
    const double variance = (mean_square - anova.residual_variance) / per_candidate;
    if (variance <= 0) continue;
    ridge[space.index_of(choice.choice)] =
        std::max(kLeastRidge, anova.residual_variance / variance);
  }
  return ridge;
}

// Ranking within groups that a model has not seen, against each seed's.
double tau_of_left_out(const SearchSpace& space, const TableScores& scores) {
  const std::size_t n = scores.architectures.size();
  const std::vector<std::int64_t> order =
      permutation({0, Purpose::bootstrap, 0}, static_cast<std::int64_t>(n));
  const std::vector<double> y = scores.mean_scores(scores.all_parts());
  double sum = 0;
  int count = 0;
  for (std::size_t fold = 0; fold < kFolds; ++fold) {
    std::vector<ChoiceIndices> seen;
    std::vector<double> seen_y;
    std::vector<std::size_t> left_out;
    for (std::size_t i = 0; i < n; ++i) {
      const auto a = static_cast<std::size_t>(order[i]);
      if (i % kFolds == fold) {
        left_out.push_back(a);
      } else {
        seen.push_back(scores.architectures[a]);
        seen_y.push_back(y[a]);
      }
    }
    const AdditiveFit::Effects model =
        AdditiveFit(space, seen, ridge_of(space, seen, seen_y)).effects(seen_y);
    std::vector<double> told;
    for (const std::size_t a : left_out) told.push_back(model.at(scores.architectures[a]));
    for (std::size_t s = 0; s < scores.seeds.size(); ++s) {
      std::vector<double> reached;
      for (const std::size_t a : left_out) {
        reached.push_back(scores.score(a, s, scores.all_parts()));
      }
      const double tau = kendall_tau_b(told, reached);
      if (std::isnan(tau)) continue;
      sum += tau;
      ++count;
    }
  }
  return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

TableModel::TableModel(const ResultTable& table) {
  const TableScores last = table_scores(table, table.last_epoch(), table.parts());
  check(!last.architectures.empty(), "table_model", "the table must hold whole trainings");
  parts_ = last.parts;
  totals_ = last.total;
  architectures_ = last.architectures.size();
  trainings_ = architectures_ * last.seeds.size();
  const SearchSpace& space = table.space();
  const AdditiveFit fit(space, last.architectures,
                        ridge_of(space, last.architectures, last.mean_scores(last.all_parts())));
  // A fit has taken some of the noise for effects; its residuals are that much too small.
  const auto count = static_cast<double>(architectures_);
  const double inflate = std::sqrt(count / (count - fit.parameters()));
  for (std::int64_t epoch = 1; epoch <= table.last_epoch(); ++epoch) {
    const TableScores scores = table_scores(table, epoch, table.parts());
    if (scores.architectures != last.architectures) continue;
    Column column;
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      std::vector<double> only(parts_.size(), 0);
      only[p] = 1;
      const AdditiveFit::Effects effects = fit.effects(scores.mean_scores(only));
      column.residuals.emplace_back();
      for (std::size_t a = 0; a < architectures_; ++a) {
        const double told = effects.at(last.architectures[a]);
        for (std::size_t s = 0; s < last.seeds.size(); ++s) {
          column.residuals.back().push_back(inflate * (scores.share(a, s, p) - told));
        }
      }
      column.effects.push_back(effects);
    }
    columns_.emplace(epoch, std::move(column));
  }
  leave_out_tau_ = tau_of_left_out(space, last);
}

std::vector<std::size_t> TableModel::positions(const std::set<std::string>& parts) const {
  std::vector<std::size_t> found;
  for (const std::string& part : parts) {
    const auto at = std::find(parts_.begin(), parts_.end(), part);
    check(at != parts_.end(), "table_model", "the table has no part ", part);
    found.push_back(static_cast<std::size_t>(at - parts_.begin()));
  }
  return found;
}

const TableModel::Column& TableModel::column(std::int64_t epoch) const {
  const auto found = columns_.find(epoch);
  check(found != columns_.end(), "table_model", "the table holds no whole trainings after epoch ",
        epoch);
  return found->second;
}

double TableModel::value(const ChoiceIndices& architecture, std::int64_t epoch,
                         std::size_t part) const {
  return column(epoch).effects.at(part).at(architecture);
}

double TableModel::training(const ChoiceIndices& architecture, std::int64_t epoch, std::size_t part,
                            std::size_t drawn) const {
  const Column& found = column(epoch);
  return found.effects.at(part).at(architecture) + found.residuals.at(part).at(drawn);
}

}  // namespace serenade
