#pragma once
// The folder that results go into, the same for a run and for a table. Nothing is overwritten
// unasked, nothing that is not this program's is touched, nothing is continued under another
// configuration, and no two processes write into one folder.
//
//   serenade.json   marks the folder as this program's: the format's version, what it holds (a run
//                   or a table), its configuration, and what its bits depend on (fingerprint.h)
//   serenade.lock   held by the process that writes here (folder_lock.h)
//   config.json     the configuration, for people and for `--config`

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/ser/report/folder_lock.h"
#include "apps/ser/training/config.h"
#include "apps/ser/training/fingerprint.h"

namespace serenade::ser {

/// What to do where the folder exists already.
enum class OverwritePolicy {
  refuse,
  resume,  ///< go on with what it holds
  replace  ///< write beside it; only when all is there does the new take the old one's place
};

/// What goes into a folder.
struct FolderPlan {
  std::string path;  ///< a link to a folder stays a link
  std::string kind;  ///< "run" or "table"
  Config config;
  OverwritePolicy overwrite = OverwritePolicy::refuse;
  /// Keys of the configuration that may differ when resuming.
  std::vector<std::string> free_keys = {};
  /// What else there is to know for `--resume` alone, as the caller writes it.
  std::string also = {};
};

/// Whether results may go into the folder; changes nothing, so it can be asked before long work.
/// Throws InputError, with the way on, if
///   - the corpus, the genotype or the cache lies in it: results and inputs are kept apart
///   - another process is writing into it
///   - refuse: it holds anything but the beginnings of a run that was killed at once
///   - resume: it is not this program's, or its configuration differs
///   - replace: it holds anything that is not this program's, or the current folder is in it
/// and IoError where the system refuses to look.
void check_result_folder(const FolderPlan& plan);

/// The configuration that `--resume` goes on with, or nothing where nothing was begun.
/// Throws InputError where it is damaged beyond its copy in the mark.
std::optional<Config> stored_folder_config(const std::string& path);

/// FolderPlan::also of the folder that `--resume` goes on with; "" where there is none.
std::string stored_folder_also(const std::string& path);

/// Where `--resume` goes on: the folder itself, or the one beside it that is to replace it.
std::string folder_in_work(const std::string& path);

class ResultFolder {
 public:
  /// check_result_folder; then makes the folder, locks it, and marks it with its configuration, so
  /// that `--resume` alone goes on from here.
  explicit ResultFolder(const FolderPlan& plan);
  /// A new folder that no result was begun in, because its input was bad, is gone again.
  ~ResultFolder();
  ResultFolder(const ResultFolder&) = delete;
  ResultFolder& operator=(const ResultFolder&) = delete;

  /// Where to write: beside the folder while it is to be replaced.
  const std::string& path() const { return work_; }
  std::string file(const std::string& name) const { return work_ + "/" + name; }

  /// To be called before the first result. Throws InputError naming what has changed if a resumed
  /// folder had another fingerprint.
  void begin(const Fingerprint& fingerprint);

  /// All results are there: takes the place of the folder that was to be replaced.
  void publish();

 private:
  void write_mark() const;

  FolderPlan plan_;
  Fingerprint fingerprint_;
  std::string real_, work_;
  bool existed_, resumed_, begun_ = false;
  std::vector<std::unique_ptr<FolderLock>> locks_;
};

}  // namespace serenade::ser
