#pragma once
// One progress bar over several folds, each of several stages, with the time left for all of them.

#include <memory>

#include "apps/ser/experiment.h"
#include "apps/ser/progress.h"
#include "apps/ser/run_folder.h"

namespace serenade::ser {

/// Expected work of one fold in epochs of training a single architecture: stages that cost more per
/// epoch count for more. An estimate, for time left and for nothing else.
double expected_work(const Config& config);

class RunProgress {
 public:
  /// `work`: expected_work of everything that is to be done.
  RunProgress(const std::string& label, double work);

  /// An observer for one fold, whose epochs are logged to `folder` if given. To be used until the
  /// next call of finish_fold.
  Observer observe(const Config& config, const std::string& fold, RunFolder* folder);
  void finish_fold(const Config& config);
  void finish(const std::string& figures = "") { bar_.finish(figures); }
  void message(const std::string& line) { bar_.message(line); }

 private:
  ProgressBar bar_;
  double finished_ = 0;  // work of finished folds
};

}  // namespace serenade::ser
