#pragma once
// A table of trainings (nas/result_table.h): architectures x folds x seeds, each measured after
// every epoch on the two speakers of the held-out session, so that strategies can be compared on
// it. A row's part is the speaker; whoever is chosen by must not be judged by.
//
// Beside TABLE.csv stands TABLE.csv.json: the settings and the fingerprint of what is in it.

#include <cstdint>
#include <functional>
#include <string>

#include "apps/ser/training/config.h"
#include "apps/ser/training/fingerprint.h"
#include "apps/ser/training/loaded_corpus.h"
#include "nas/result_table.h"

namespace serenade::ser {

struct TabulatePlan {
  /// So many random ones, a function of config.seed; more have fewer among them. 0: all.
  std::int64_t architectures = 0;
  int seeds = 1;  ///< trainings of each: config.seed, config.seed + 1, ..
};

/// Throws InputError where the space has fewer architectures than are asked for, or more than
/// 1,000,000.
void check_plan(const Config& config, const TabulatePlan& plan);

/// What a part of the data is called in a table: the speakers of one side of a session, "A+B".
std::string part_name(std::vector<std::string> speakers);

/// The table of `path`, new or to be gone on with; a compressed one is for reading. Throws
/// InputError, one line, where it is no such table or was begun with other settings or another
/// corpus, device or version; IoError where it cannot be read or written.
ResultFile open_results(const std::string& path, const Config& config,
                        const Fingerprint& fingerprint);

/// A table to be read, with the settings that it was made with, resolved: those of table.csv, and
/// of table.csv.gz, stand in table.csv.json. Throws InputError on one that is not there, damaged,
/// empty, or of other epochs than its settings say; IoError where a file cannot be read.
struct StoredResults {
  Config config;
  ResultTable table;
};
StoredResults read_results(const std::string& path);

/// What a whole training of each architecture costs, by its number (genotype_index), in trainings
/// of the mean architecture: multiply-accumulates of one segment (count_macs). All 1 where the
/// system does not say.
std::vector<double> training_costs(const Config& config);

/// Trains what the table does not hold yet. A training is in the table as a whole or not at all.
/// Throws as check_plan() does.
/// The folds must be those of both directions, so that each training is measured on both speakers.
/// config.strategy must be that of a single architecture.
void tabulate(const Config& config, const LoadedCorpus& loaded, const TabulatePlan& plan,
              ResultFile& file,
              const std::function<void(std::int64_t done, std::int64_t total)>& progress);

}  // namespace serenade::ser
