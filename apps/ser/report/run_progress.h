#pragma once
// One progress bar over several folds, each of several stages, with the time left for all of them.

#include <map>
#include <mutex>
#include <string>

#include "apps/ser/report/run_folder.h"
#include "apps/ser/training/experiment.h"
#include "nn/training/progress.h"

namespace serenade::ser {

/// Expected work of one fold in epochs of training a single architecture: stages that cost more per
/// epoch count for more. An estimate, for time left and for nothing else.
double expected_work(const Config& config);

/// May be used by several threads, each with folds of its own.
class RunProgress {
 public:
  /// `work`: expected_work of everything that is to be done.
  RunProgress(const std::string& label, double work);

  /// An observer for one fold, whose epochs are logged to `folder` if given. To be used until
  /// finish() of that fold.
  Observer observe(const Config& config, const std::string& fold, RunFolder* folder);
  /// The fold is done, or has failed.
  void finish(const Config& config, const std::string& fold);
  /// All is done.
  void finish();
  void message(const std::string& line);

 private:
  /// A fold is at `work`; before its last step it was at `before`.
  void advance(const std::string& fold, double before, double work, const std::string& figures);

  std::mutex mutex_;
  ProgressBar bar_;
  double finished_ = 0;                    // work of finished folds
  std::map<std::string, double> running_;  // of those under way
};

}  // namespace serenade::ser
