#pragma once
// The options that the commands share: `--config FILE`, one option per setting, where results go,
// and what the machine may use.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/ser/common/error.h"
#include "apps/ser/report/run_folder.h"
#include "apps/ser/training/config.h"

namespace CLI {
class App;
}

namespace serenade::ser {

/// "search_epochs" as an option: "--search-epochs"; and back.
std::string option_of_key(std::string key);
std::string key_of_option(std::string option);

/// A message with the options of the keys that it names: "--num-masked" for "num_masked". A key of
/// one word cannot be told from other words, and stays.
std::string in_options(std::string message);
/// What f returns; what it throws as InputError is said in_options().
template <class Function>
auto told_in_options(const Function& f) {
  try {
    return f();
  } catch (const InputError& error) {
    throw InputError(in_options(error.what()));
  }
}

/// The keys of all settings of a search, for commands that do none.
std::vector<std::string> search_keys();

/// Says on stderr what the strategy of a configuration remarks on its options (Strategy::remarks).
void print_remarks(const Config& config);

/// A configuration on the command line. Must outlive the parsing of the command it is added to.
class ConfigOptions {
 public:
  explicit ConfigOptions(Config defaults = {}) : defaults_(std::move(defaults)) {}

  /// Adds --config and one option per setting, but for those in `without`.
  void add_to(CLI::App& command, const std::vector<std::string>& without = {});

  /// Says on stderr which of the options that were given none of these strategies reads; nothing
  /// where all are read.
  void remark_unread(const Config& config, const std::vector<std::string>& strategies) const;

  /// Defaults, or what a folder to be resumed holds; then the file, then the options; resolved.
  /// Throws InputError.
  Config config(const std::optional<Config>& stored = {}) const;

 private:
  Config defaults_;
  std::string file_;
  std::map<std::string, std::string> values_;  // of the options that were given
};

/// `--corpus-kind`, `--label-set`, `--labels` and `--map` of a command without a configuration.
struct LabelOptions {
  std::string kind, set, labels, map;  ///< as they were given; empty: not at all

  void add_to(CLI::App& command);
  /// How to load a corpus by them. Throws InputError.
  CorpusSpec spec(const std::string& root) const;
};

/// `--out`, `--resume`, `--replace`, `--checkpoint-minutes`.
struct OutputOptions {
  std::string folder;
  bool resume = false;
  bool replace = false;
  double checkpoint_minutes = 5;

  void add_to(CLI::App& command);
  OverwritePolicy overwrite() const;
  /// The configuration in the folder that is to be resumed, if there is one.
  std::optional<Config> stored() const;
};

/// `--threads`, and what it sets: how many threads kernels and features use. 0 leaves the default.
void add_threads_option(CLI::App& command, int& threads);
void use_threads(int threads);

/// `--threads`, `--device` and `--tf32`, which take effect when apply() is called. Throws
/// InputError for a device that this build or machine does not have.
struct MachineOptions {
  int threads = 0;
  std::string device = "auto";
  bool tf32 = false;

  void add_to(CLI::App& command);
  void apply() const;
};

}  // namespace serenade::ser
