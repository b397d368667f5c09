#pragma once
// TableModel: what a table of some architectures says of all of them, so that strategies that ask
// for any architecture can be replayed on a sample (surrogate benchmarks: Siems et al.,
// "NAS-Bench-301", ICLR 2022).
//
// The model is additive in the choices (additive_fit.h), for each part and epoch, from the mean
// over the table's seeds. Each choice has a ridge that its own analysis of variance gives:
//
//   ridge_l = residual variance / sigma_l^2,
//   sigma_l^2 = (mean square of l - residual variance) / (architectures per candidate),
//
// after the last epoch over all parts; a choice of which nothing is seen beyond noise (sigma_l^2
// <= 0) has no effect. A training is the model plus what one of the table's own trainings, drawn
// by chance, had beyond it: over all epochs and parts at once, so that they hang together as they
// did there.
//
// Traps. A modelled score and a measured one do not mix: measured ones hold their noise, modelled
// ones do not, and the best of a mixture would be whichever was lucky when measured. So a replay
// reads either a whole table or a model, which then stands for the measured architectures as well.
// The model knows no interactions; what there is of them is replayed as noise. leave_out_tau()
// says how far to trust it.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "nas/additive_fit.h"
#include "nas/result_table.h"
#include "tensor/random.h"

namespace serenade {

class TableModel {
 public:
  /// Of the architectures that have every seed, on every part, after the last epoch; epochs that
  /// lack one of them are left out. Throws std::invalid_argument where choice_anova() does
  /// (table_statistics.h), or there are no whole trainings.
  explicit TableModel(const ResultTable& table);

  const std::vector<std::string>& parts() const { return parts_; }
  /// Where these stand in parts(); throws std::invalid_argument naming one that does not.
  std::vector<std::size_t> positions(const std::set<std::string>& parts) const;
  /// Recordings of a part.
  double total(std::size_t part) const { return totals_[part]; }
  std::size_t architectures() const { return architectures_; }

  /// The share that is recognised, on one part after one epoch. Throws std::invalid_argument on an
  /// epoch that the table does not hold.
  double value(const ChoiceIndices& architecture, std::int64_t epoch, std::size_t part) const;
  /// The same of a training: `drawn` of 0 .. trainings() - 1 says whose luck it has. May lie
  /// outside 0 .. 1 by that luck.
  double training(const ChoiceIndices& architecture, std::int64_t epoch, std::size_t part,
                  std::size_t drawn) const;
  std::size_t trainings() const { return trainings_; }

  /// Kendall's tau-b between the scores of single trainings, over all parts after the last epoch,
  /// and what a model fitted to the other architectures says of theirs: in each of `folds` groups,
  /// on average over groups and seeds. To be held against tau_between_seeds(), which a model of
  /// little noise can exceed. Scores of different groups are not compared: leaving a high score out
  /// lowers the mean of the rest, which alone would order them backwards. NaN where no choice has
  /// an effect in any group.
  double leave_out_tau() const { return leave_out_tau_; }

 private:
  struct Column {
    std::vector<AdditiveFit::Effects> effects;   // per part
    std::vector<std::vector<double>> residuals;  // per part and training
  };
  const Column& column(std::int64_t epoch) const;

  std::vector<std::string> parts_;
  std::vector<double> totals_;
  std::size_t architectures_ = 0, trainings_ = 0;
  std::map<std::int64_t, Column> columns_;  // by epoch
  double leave_out_tau_ = 0;
};

}  // namespace serenade
