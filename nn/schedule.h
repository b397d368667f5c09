#pragma once
// Schedules: the learning rate as a function of the epoch and of the mean training loss.
//
//   CosineSchedule schedule({.rate = 1e-3, .epochs = epochs});
//   for (int epoch = 0; epoch < epochs; ++epoch) {
//     optimizer.set_learning_rate(schedule.learning_rate());
//     ...
//     schedule.end_epoch(mean_training_loss);
//   }
//
// All that a schedule remembers is a few numbers, state(), which a checkpoint keeps for the resume.

#include <cstdint>
#include <memory>
#include <string>

namespace serenade {

/// What a schedule remembers between epochs.
struct ScheduleState {
  std::int64_t epoch = 0;     ///< epochs finished
  std::int64_t stage = 0;     ///< changes made so far, of schedules that follow the loss
  double reference_loss = 0;  ///< mean loss of the epoch after which the rate last changed
};

/// As JSON, and back; schedule_state_from_json throws a std::exception that says what is wrong.
std::string to_json(const ScheduleState& state);
ScheduleState schedule_state_from_json(const std::string& text);

class Schedule {
 public:
  virtual ~Schedule() = default;

  /// The rate of the epoch that comes next (or is running).
  virtual double learning_rate() const = 0;
  /// To be called after each epoch with its mean training loss.
  virtual void end_epoch(double mean_training_loss);

  virtual ScheduleState state() const { return state_; }
  virtual void load_state(const ScheduleState& state) { state_ = state; }

 protected:
  ScheduleState state_;
};

/// The same rate for ever.
class ConstantSchedule : public Schedule {
 public:
  explicit ConstantSchedule(double rate);
  double learning_rate() const override { return rate_; }

 private:
  double rate_;
};

/// rate * gamma^(epoch / step_size), integer division.
class StepSchedule : public Schedule {
 public:
  struct Options {
    double rate = 1e-3;
    std::int64_t step_size = 1;  ///< epochs
    double gamma = 0.1;
  };

  explicit StepSchedule(const Options& options);
  double learning_rate() const override;

 private:
  Options options_;
};

/// min_rate + (rate - min_rate) (1 + cos(pi epoch / epochs)) / 2, min_rate from `epochs` on
/// (Loshchilov & Hutter 2017, Eq. 5, without restarts; DARTS trains its weights with it).
class CosineSchedule : public Schedule {
 public:
  struct Options {
    double rate = 1e-3;
    double min_rate = 0;
    std::int64_t epochs = 1;
  };

  explicit CosineSchedule(const Options& options);
  double learning_rate() const override;

 private:
  Options options_;
};

/// Up and down once (Smith & Topin 2019, in PyTorch's form): along half a cosine from
/// max_rate / div_factor to max_rate, over the first `warmup_part` of the epochs, and along another
/// one down to the first rate / final_div_factor, that of the last epoch and after it. Made for
/// steps rather than epochs: call end_epoch() after every batch, and `epochs` is their number.
class OneCycleSchedule : public Schedule {
 public:
  struct Options {
    double max_rate = 1e-2;
    std::int64_t epochs = 2;
    double warmup_part = 0.3;  ///< pct_start of PyTorch
    double div_factor = 25;
    double final_div_factor = 1e4;
  };

  explicit OneCycleSchedule(const Options& options);
  double learning_rate() const override;

 private:
  Options options_;
};

/// Rises to the first rate of another schedule, (epoch + 1) / (epochs + 1) of it in each of the
/// first `epochs` epochs, and then follows that schedule from its start.
class WarmupSchedule : public Schedule {
 public:
  struct Options {
    std::int64_t epochs = 1;
  };

  WarmupSchedule(const Options& options, std::unique_ptr<Schedule> then);
  double learning_rate() const override;
  void end_epoch(double mean_training_loss) override;
  ScheduleState state() const override;
  void load_state(const ScheduleState& state) override;

 private:
  Options options_;
  std::unique_ptr<Schedule> then_;
};

}  // namespace serenade
