#pragma once
// What an experiment has done so far, kept stage by stage, so that it goes on with the same bits
// after whatever stops it: a signal, kill -9, a power cut.
//
// A stage (a search, one training) is kept in a file of its own (nn/checkpoint.h), from its first
// steps to its last: a finished stage is one that has nothing left to do. After a break everything
// is asked for again in the same order, and what is kept is not computed twice.

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "nn/checkpoint.h"

namespace serenade::ser {

/// When the state of a stage could be kept.
enum class Moment { step, epoch, stage_end };

class Checkpoints {
 public:
  /// prefix: of the files' names. minutes: at most so much work is lost within an epoch; 0: every
  /// step is kept. tell: is given one line about a damaged file.
  Checkpoints(std::string prefix, double minutes, std::function<void(const std::string&)> tell = {})
      : prefix_(std::move(prefix)), minutes_(minutes), tell_(std::move(tell)) {}

  /// The state in which a stage was left; nothing: it has to begin. Throws IoError.
  std::optional<SafetensorsFile> load(const std::string& stage);

  /// Whether to keep the state now: at the end of a stage, when a signal asks for a stop, after
  /// `minutes`, and at the end of an epoch; but for the first two never so often that keeping takes
  /// more than a hundredth of the time.
  bool due(Moment moment) const;

  /// Keeps the state of a stage. Throws IoError, and Interrupted if a signal has asked for a stop.
  void save(const std::string& stage, SafetensorsFile state);

  /// Removes all that this object has read or written.
  void remove();
  /// Removes all states of a folder.
  static void remove_all(const std::string& folder);

 private:
  using Clock = std::chrono::steady_clock;
  std::string path(const std::string& stage) const;

  std::string prefix_;
  double minutes_;
  std::function<void(const std::string&)> tell_;
  std::map<std::string, Checkpoint> stages_;
  Clock::time_point last_ = Clock::now();  // end of the last save
  double cost_ = 0;                        // seconds that it took
};

/// Calls `load`, which takes a kept state over. What it throws, but for a lack of memory, becomes
/// an InputError that names the stage and the way on.
void take_over(const std::string& stage, const std::function<void()>& load);

}  // namespace serenade::ser
