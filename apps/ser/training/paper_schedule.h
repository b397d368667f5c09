#pragma once
// The learning rate of the paper, stepped down as the training loss falls.

#include <vector>

#include "nn/schedule.h"

namespace serenade::ser {

/// Wu et al. (ICASSP 2022): the first rate for `first_epochs` epochs, then the second; from then on
/// a step down whenever the mean training loss has fallen by `factor` since the last change. The
/// loss "at a change" is that of the epoch just before the new rate; the paper leaves this open.
/// The last rate stays.
class PaperSchedule : public Schedule {
 public:
  struct Options {
    std::vector<double> rates = {1e-3, 5e-4, 2e-4, 1e-4};
    std::int64_t first_epochs = 3;
    double factor = 10;
  };

  PaperSchedule();
  explicit PaperSchedule(const Options& options);
  double learning_rate() const override;
  void end_epoch(double mean_training_loss) override;
  /// Throws std::invalid_argument for a stage that this schedule does not have.
  void load_state(const ScheduleState& state) override;

 private:
  Options options_;
};

}  // namespace serenade::ser
