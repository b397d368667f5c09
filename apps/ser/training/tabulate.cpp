#include "apps/ser/training/tabulate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/json_input.h"
#include "apps/ser/common/parallel.h"
#include "apps/ser/training/experiment.h"
#include "nn/data/byte_source.h"
#include "nn/training/interrupt.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kLargestTabulated = 1000000;

constexpr const char* kCompressed = ".gz";
constexpr const char* kSettings = "settings";
constexpr const char* kMadeOf = "made of";

std::string settings_path(const std::string& path) {
  const std::string table = path.ends_with(kCompressed) ? path.substr(0, path.size() - 3) : path;
  return table + ".json";
}

std::string table_text(const std::string& path) {
  std::string stored = read_text_file(path);
  if (!stored.starts_with("\x1f\x8b")) return stored;
  try {
    const std::unique_ptr<ByteSource> bytes = open_bytes(path, "compressed table");
    std::array<char, 1 << 16> block;
    std::string text;
    while (const std::size_t count = bytes->read_some(block.data(), block.size())) {
      text.append(block.data(), count);
    }
    return text;
  } catch (const std::runtime_error& error) {
    throw InputError(error.what());
  }
}

// Where the corpus lies does not matter; what it holds is in the fingerprint.
Json description(Config config, const Fingerprint& fingerprint) {
  config.corpus = config.cache = "";
  Json text{{kSettings, Json::parse(to_json(config))}, {kMadeOf, Json::object()}};
  for (const auto& [words, value] : fingerprint) text[kMadeOf][words] = value;
  return text;
}

// What stands beside a table.
struct MadeOf {
  Config config;
  Json fingerprint;
};

// Throws InputError naming the file and the key. Keys that came later may be missing, but not those
// without which a table could be taken for another's.
MadeOf read_made_of(const std::string& path) {
  const std::string file = settings_path(path);
  if (!std::filesystem::exists(file)) {
    throw InputError(path + ": there is no " + file +
                     " beside it, which says how it was made; choose another table");
  }
  const Json found = json_input<Json>(read_text_file(file), file);
  for (const char* part : {kSettings, kMadeOf}) {
    if (!found.is_object() || !found.contains(part)) {
      throw InputError(file + ": the key '" + part + "' is missing");
    }
    if (!found[part].is_object()) {
      throw InputError(file + ": '" + part + "' must be an object; got " +
                       found[part].dump().substr(0, 80));
    }
  }
  for (const char* key : {"system", "preset", "conv2_set", "epochs"}) {
    if (found[kSettings].contains(key)) continue;
    throw InputError(file + ": the key '" + key + "' is missing in '" + kSettings + "'");
  }
  for (const auto& [key, value] : found[kMadeOf].items()) {
    if (value.is_string()) continue;
    throw InputError(file + ": the value of '" + key + "' in '" + kMadeOf +
                     "' must be a text; got " + value.dump().substr(0, 80));
  }
  MadeOf made{stored_config(found[kSettings].dump(), file), found[kMadeOf]};
  try {
    made.config.resolve();
  } catch (const InputError& error) {
    throw InputError(file + ": " + error.what());
  }
  return made;
}

// Throws InputError naming the key unless all of `wanted` is what the table was begun with.
void check_same(const std::string& path, const Json& begun, const Json& wanted) {
  for (const auto& [key, value] : wanted.items()) {
    const Json found = begun.value(key, Json());
    if (found == value) continue;
    throw InputError(path + ": the table was begun with " + key + " " + found.dump() +
                     ", and not " + value.dump() +
                     "; give what it was begun with, or another table");
  }
}

// Throws InputError unless there is a table, naming the one that may be meant.
void check_is_there(const std::string& path) {
  const auto without = [&](const std::string& end) {
    return path.ends_with(end) ? path.substr(0, path.size() - end.size()) : "";
  };
  const auto exists = [](const std::string& file) {
    std::error_code unknown;
    return !file.empty() && std::filesystem::exists(file, unknown);
  };
  const std::string table = without(".json");
  for (const std::string& meant : {table, table + kCompressed}) {
    if (table.empty() || !exists(meant)) continue;
    throw InputError(path + ": these are the settings of a table; give " + meant);
  }
  if (std::filesystem::is_directory(path)) throw InputError(path + ": is a folder, and no table");
  if (exists(path)) return;
  const std::string packed = without(kCompressed);
  const std::string other = packed.empty() ? path + kCompressed : packed;
  throw InputError(
      path + ": there is no such table; " +
      (exists(other) ? "did you mean " + other + "?" : "`serenade tabulate` makes one"));
}

// The table's own errors are about a file that a person has given.
template <class Function>
auto told_of_input(const Function& f) {
  try {
    return f();
  } catch (const std::invalid_argument& error) {
    throw InputError(error.what());
  } catch (const std::runtime_error& error) {
    throw IoError(error.what());
  }
}

// The first ones of a random order: a plan of more has those of a plan of fewer.
std::vector<Genotype> chosen(const SearchSpace& space, const TabulatePlan& plan,
                             std::uint64_t seed) {
  const std::int64_t count = plan.architectures == 0 ? space.size() : plan.architectures;
  std::vector<Genotype> genotypes;
  for (const std::int64_t index : permutation({seed, Purpose::architecture, 1}, space.size())) {
    if (std::ssize(genotypes) == count) break;
    genotypes.push_back(genotype_at(space, index));
  }
  return genotypes;
}

std::vector<ResultRow> rows_of(const Training& training, const FoldData& data,
                               const std::vector<std::int64_t>& architecture, std::int64_t seed) {
  std::vector<ResultRow> rows;
  const auto total = static_cast<std::int64_t>(data.fold.validation.size());
  for (const EpochRecord& epoch : training.epochs) {
    rows.push_back({.architecture = architecture,
                    .seed = seed,
                    .epoch = epoch.epoch,
                    .part = part_name(data.fold.validation_speakers),
                    .loss = epoch.validation_loss,
                    .right = std::llround(epoch.validation_wa * static_cast<double>(total)),
                    .total = total});
  }
  return rows;
}

}  // namespace

void check_plan(const Config& config, const TabulatePlan& plan) {
  const SearchSpace space = search_space(config.options);
  if (!space.is_countable() || space.size() > kLargestTabulated) {
    throw InputError("a space of more than " + std::to_string(kLargestTabulated) +
                     " architectures is too large for a table");
  }
  if (plan.architectures > space.size()) {
    throw InputError("--architectures: there are " + std::to_string(space.size()) +
                     " in all; got " + std::to_string(plan.architectures));
  }
}

std::string part_name(std::vector<std::string> speakers) {
  std::sort(speakers.begin(), speakers.end());
  return join(speakers, "+");
}

ResultFile open_results(const std::string& path, const Config& config,
                        const Fingerprint& fingerprint) {
  if (path.ends_with(kCompressed)) {
    throw InputError(path + ": a compressed table is for reading; to go on with it, gunzip it");
  }
  const Json wanted = description(config, fingerprint);
  if (std::filesystem::exists(path) || std::filesystem::exists(settings_path(path))) {
    const MadeOf made = read_made_of(path);
    // Settings of before have today's names, and what came later has its default.
    check_same(path, Json::parse(to_json(made.config)), wanted[kSettings]);
    check_same(path, made.fingerprint, wanted[kMadeOf]);
  } else {
    write_text_file(settings_path(path), wanted.dump(2) + "\n");
  }
  return told_of_input([&] { return ResultFile(path, search_space(config.options)); });
}

StoredResults read_results(const std::string& path) {
  check_is_there(path);
  const Config config = read_made_of(path).config;
  const std::string text = table_text(path);
  ResultTable table = told_of_input(
      [&] { return ResultTable::from_csv(text, search_space(config.options), path); });
  if (table.size() == 0) {
    throw InputError(path +
                     ": there is no training in it yet; `serenade tabulate` goes on with it");
  }
  if (table.last_epoch() != config.epochs) {
    throw InputError(path + ": its last epoch is " + std::to_string(table.last_epoch()) +
                     ", and 'epochs' in " + settings_path(path) + " is " +
                     std::to_string(config.epochs));
  }
  return {config, std::move(table)};
}

std::vector<double> training_costs(const Config& config) {
  const SearchSpace space = search_space(config.options);
  std::vector<double> costs(static_cast<std::size_t>(space.size()));
  parallel_for(space.size(), 0, [&](std::int64_t i) {
    costs[static_cast<std::size_t>(i)] = static_cast<double>(
        count_macs(config.options, genotype_at(space, i), config.segments.length));
  });
  double mean = 0;
  for (const double cost : costs) mean += cost / static_cast<double>(costs.size());
  for (double& cost : costs) cost = mean > 0 ? cost / mean : 1;
  return costs;
}

void tabulate(const Config& config, const LoadedCorpus& loaded, const TabulatePlan& plan,
              ResultFile& file,
              const std::function<void(std::int64_t done, std::int64_t total)>& progress) {
  check_plan(config, plan);
  const SearchSpace space = search_space(config.options);
  const std::vector<Genotype> genotypes = chosen(space, plan, config.seed);
  std::vector<std::vector<FoldData>> groups;
  for (const std::vector<Fold>& group : group_by_training(config, loaded.folds)) {
    groups.emplace_back();
    for (const Fold& fold : group) groups.back().push_back(make_fold_data(config, loaded, fold));
  }
  const std::int64_t total = std::ssize(genotypes) * plan.seeds * std::ssize(groups);
  std::int64_t done = 0;
  for (const Genotype& genotype : genotypes) {
    const std::vector<std::int64_t> architecture = choice_indices(genotype, space);
    for (int i = 0; i < plan.seeds; ++i) {
      Config one = config;
      one.seed = config.seed + static_cast<std::uint64_t>(i);
      const auto seed = static_cast<std::int64_t>(one.seed);
      for (const std::vector<FoldData>& group : groups) {
        std::set<std::string> parts;
        std::vector<const FoldData*> folds;
        for (const FoldData& data : group) {
          parts.insert(part_name(data.fold.validation_speakers));
          folds.push_back(&data);
        }
        if (!file.table().score(genotype, seed, config.epochs, parts)) {
          const Observer observer{
              .on_step = [](const auto&, auto, auto, const auto&) { stop_if_asked(); }};
          const std::vector<Training> trainings =
              train_architecture(one, folds, genotype, observer);
          std::vector<ResultRow> rows;
          for (std::size_t f = 0; f < folds.size(); ++f) {
            for (ResultRow& row : rows_of(trainings[f], *folds[f], architecture, seed)) {
              rows.push_back(std::move(row));
            }
          }
          told_of_input([&] { file.append(rows); });
        }
        if (progress) progress(++done, total);
      }
    }
  }
}

}  // namespace serenade::ser
