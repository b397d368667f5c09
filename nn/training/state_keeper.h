#pragma once
// Where the state of a training is kept, and how often, so that it goes on with the same bits after
// whatever stops it: a signal, kill -9, a power cut.

#include <functional>
#include <optional>
#include <string>

#include "nn/checkpoint.h"
#include "nn/training/stopwatch.h"

namespace serenade {

/// When the state of a training could be kept.
enum class Moment { step, epoch, end };

/// How often it is.
class KeepingPace {
 public:
  /// minutes: at most so much work is lost within an epoch; 0: every step is kept.
  explicit KeepingPace(double minutes) : minutes_(minutes) {}

  /// Whether to keep the state now: at the end, when a signal asks for a stop, after `minutes`, and
  /// at the end of an epoch; but for the first two never so often that keeping takes more than a
  /// hundredth of the time.
  bool due(Moment moment) const;
  /// A state has been kept, which took `seconds` until now.
  void kept(double seconds);

  /// What keeping has taken since this object was made.
  struct Cost {
    int times = 0;
    double seconds = 0;
    double share = 0;  ///< of all the time
  };
  Cost cost() const;

 private:
  double minutes_;
  Stopwatch since_begin_, since_last_;
  double last_cost_ = 0;  // seconds that the last time took
  int times_ = 0;
  double seconds_ = 0;  // of all times
};

/// Where one training is kept.
class StateKeeper {
 public:
  virtual ~StateKeeper() = default;
  StateKeeper() = default;
  StateKeeper(const StateKeeper&) = delete;
  StateKeeper& operator=(const StateKeeper&) = delete;

  /// The state in which it was left; nothing: it has to begin.
  virtual std::optional<SafetensorsFile> load() = 0;
  virtual bool due(Moment moment) const = 0;
  /// Throws Interrupted, with the state kept, if a signal has asked for a stop (interrupt.h).
  virtual void save(SafetensorsFile state) = 0;
};

/// In a Checkpoint. Its errors are those of Checkpoint.
class CheckpointFile : public StateKeeper {
 public:
  /// minutes: of KeepingPace. tell: is given one line about a damaged file.
  explicit CheckpointFile(std::string path, double minutes = 5,
                          std::function<void(const std::string&)> tell = {})
      : checkpoint_(std::move(path)), pace_(minutes), tell_(std::move(tell)) {}

  std::optional<SafetensorsFile> load() override;
  bool due(Moment moment) const override { return pace_.due(moment); }
  void save(SafetensorsFile state) override;
  /// Removes what is kept.
  void remove() const { checkpoint_.remove(); }

 private:
  Checkpoint checkpoint_;
  KeepingPace pace_;
  std::function<void(const std::string&)> tell_;
};

}  // namespace serenade
