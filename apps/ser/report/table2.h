#pragma once
// The paper's Table 2 as one job: every system under every search mode, over folds and seeds. Modes
// are strategies (nas/strategy.h): the paper's, or any others.
//
// A cell run (system, mode, fold, seed) depends on nothing but itself and the configuration, so
// each is saved when it is done and never computed twice: a broken job goes on where it stopped,
// and a finished table can be given more systems, modes, folds or seeds.
//
//   config.json     the configuration that all runs share
//   table.json      which systems, modes, folds and seeds the table has, and its corpus
//   cells/          <system>-<mode>-<fold>-seed<k>.json, one per finished run
//   checkpoint/     states of the runs under way (checkpoints.h)
//   table2.json, table2.md, figure3_<system>_a.svg, _b.svg, .csv, report.html   (table2_results.h)

#include <optional>
#include <string>
#include <vector>

#include "apps/ser/report/paper.h"
#include "apps/ser/report/result_folder.h"
#include "apps/ser/training/config.h"
#include "apps/ser/training/experiment.h"

namespace serenade::ser {

/// What a table measures.
struct TablePlan {
  Config config;  ///< all that the runs share; its seed is the first of the seeds
  std::vector<std::string> systems = paper_systems();
  std::vector<std::string> modes = paper_modes();
  int seeds = 1;  ///< runs of each fold, with the seeds config.seed, config.seed + 1, ..

  /// Sets the system and the mode of `config` to their defaults, since the plan has lists of them,
  /// and checks the rest. Throws InputError: an empty list, a name given twice, no seed, or a
  /// genotype (each system has its own).
  void resolve();

  /// The configuration of one run.
  Config run_config(const std::string& system, const std::string& mode, std::uint64_t seed) const;
};

/// One run of a table; without a result where it is still to be computed.
struct TableRun {
  std::string system;
  std::string mode = kNoSearch;
  std::string fold;
  std::uint64_t seed = 0;
  std::optional<FoldRun> result;

  /// "CNN_GRU_att dropout session1-test-Ses01F seed 0"
  std::string name() const;
};

/// A table as far as it has been computed.
struct TableRuns {
  TablePlan plan;
  std::string corpus;
  bool synthetic = false;
  std::vector<std::string> corpus_warnings;  ///< Corpus::warnings
  std::vector<std::string> classes;
  std::vector<std::string> folds;
  std::vector<TableRun> runs;         ///< of all systems, modes, folds and seeds
  std::vector<std::string> failures;  ///< runs that stopped being finite: name and reason

  /// Finished runs of a system and mode, by seed and fold.
  std::vector<const FoldRun*> of(const std::string& system, const std::string& mode) const;
};

/// How a table goes into a folder: the keys that choose folds ("folds", "direction") may differ
/// when resuming.
FolderPlan table_folder(const TablePlan& plan, const std::string& path, OverwritePolicy overwrite);

struct TableOptions {
  /// Runs that go on at a time, which share the kernels' threads evenly; 0: one per thread. Results
  /// do not depend on it, and a table of many runs takes about the same time either way: runs side
  /// by side do not wait for each other's threads, but the last of them leave threads idle.
  int jobs = 0;
  double checkpoint_minutes = 5;  ///< of Checkpoints
};

/// Runs what is missing in a folder of table_folder() and returns the whole. The runs of one fold
/// and seed come one after the other, so that a table that is not finished still compares like with
/// like; folds that share their training (shares_training) are computed together. A run that stops
/// being finite is reported, and the others go on. `computed`, if given, receives the number of
/// runs that were computed.
TableRuns run_table(const TablePlan& plan, const LoadedCorpus& loaded, ResultFolder& folder,
                    const TableOptions& options = {}, int* computed = nullptr);

/// What the table in a folder that is to be resumed has, as far as it was begun. Its configuration
/// is stored_folder_config. Throws InputError.
std::optional<TablePlan> stored_plan(const std::string& path);

/// True where `folder` holds a table, finished or not.
bool is_table_folder(const std::string& folder);

/// Reads a table without its corpus. Throws InputError naming the file that is not what it must be.
TableRuns read_table(const std::string& folder);

}  // namespace serenade::ser
