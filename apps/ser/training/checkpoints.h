#pragma once
// What an experiment has done so far, kept stage by stage, so that it goes on with the same bits
// after whatever stops it: a signal, kill -9, a power cut.
//
// A stage (a search, one training) is kept in a file of its own (nn/checkpoint.h), from its first
// steps to its last: a finished stage is one that has nothing left to do. After a break everything
// is asked for again in the same order, and what is kept is not computed twice.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "nn/checkpoint.h"
#include "nn/training/state_keeper.h"

namespace serenade::ser {

class Checkpoints {
 public:
  /// prefix: of the files' names. minutes: at most so much work is lost within an epoch; 0: every
  /// step is kept. tell: is given one line about a damaged file.
  Checkpoints(std::string prefix, double minutes, std::function<void(const std::string&)> tell = {})
      : prefix_(std::move(prefix)), pace_(minutes), tell_(std::move(tell)) {}

  /// The state in which a stage was left; nothing: it has to begin. Throws IoError.
  std::optional<SafetensorsFile> load(const std::string& stage);

  /// Whether to keep the state now, as KeepingPace says; the end is that of a stage.
  bool due(Moment moment) const { return pace_.due(moment); }

  KeepingPace::Cost cost() const { return pace_.cost(); }

  /// Keeps the state of a stage. Throws IoError, and Interrupted if a signal has asked for a stop.
  void save(const std::string& stage, SafetensorsFile state);

  /// Removes all that this object has read or written.
  void remove();
  /// Removes all states of a folder.
  static void remove_all(const std::string& folder);

 private:
  std::string path(const std::string& stage) const;

  std::string prefix_;
  KeepingPace pace_;
  std::function<void(const std::string&)> tell_;
  std::map<std::string, Checkpoint> stages_;
};

/// One stage of an experiment, for a Trainer. The checkpoints must outlive it.
class KeptStage : public StateKeeper {
 public:
  KeptStage(Checkpoints& checkpoints, std::string stage)
      : checkpoints_(checkpoints), stage_(std::move(stage)) {}

  std::optional<SafetensorsFile> load() override { return checkpoints_.load(stage_); }
  bool due(Moment moment) const override { return checkpoints_.due(moment); }
  void save(SafetensorsFile state) override { checkpoints_.save(stage_, std::move(state)); }

 private:
  Checkpoints& checkpoints_;
  std::string stage_;
};

/// Calls `load`, which takes a kept state over. What it throws, but for a lack of memory and an
/// IoError, becomes an InputError that names the stage and the way on.
void take_over(const std::string& stage, const std::function<void()>& load);

}  // namespace serenade::ser
