// `serenade replay`: strategies on a table of trainings.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "apps/ser/cli/commands.h"
#include "apps/ser/cli/config_options.h"
#include "apps/ser/common/enum_setting.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/names.h"
#include "apps/ser/common/parallel.h"
#include "apps/ser/report/search_answers.h"
#include "apps/ser/report/strategy_regret.h"
#include "apps/ser/report/table_summary.h"
#include "apps/ser/training/search.h"
#include "apps/ser/training/tabulate.h"
#include "nas/replay.h"
#include "nas/table_statistics.h"
#include "nn/training/interrupt.h"
#include "nn/training/progress.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

constexpr std::int64_t kAtOnce = 20;  // runs of a strategy between two signs of progress

struct ReplayCommand {
  std::string table, folder;
  std::vector<std::string> strategies, answers;
  std::vector<std::string> chosen_by, judged_by;
  std::vector<double> costs = {1, 2, 3, 5, 10, 20, 50};
  ReplayOptions replay{.repeats = 1000};
  int threads = 0;
};

// One way to choose and judge.
struct Side {
  std::set<std::string> chosen_by, judged_by;
};

std::string listed(const std::set<std::string>& words) {
  return words.empty() ? "none" : join({words.begin(), words.end()}, ", ");
}

// The speakers that an option asks for; throws InputError where the table has no such.
std::set<std::string> known_parts(const ResultTable& table, const char* option,
                                  const std::vector<std::string>& asked) {
  for (const std::string& part : asked) {
    if (table.parts().contains(part)) continue;
    throw InputError(std::string(option) + ": the table has no speaker '" + part + "'; it has " +
                     listed(table.parts()));
  }
  return {asked.begin(), asked.end()};
}

// As asked for; or both ways between two sides, which speakers in sorted order belong to
// alternately, as the two of a session do (data/protocol.h).
std::vector<Side> sides_of(const ResultTable& table, const ReplayCommand& options) {
  if (options.chosen_by.empty() != options.judged_by.empty()) {
    const bool judged = options.chosen_by.empty();
    throw InputError(std::string("--chosen-by and --judged-by belong together; got ") +
                     (judged ? "--judged-by " : "--chosen-by ") +
                     join(judged ? options.judged_by : options.chosen_by, ",") + " alone");
  }
  if (!options.chosen_by.empty()) {
    const Side asked{known_parts(table, "--chosen-by", options.chosen_by),
                     known_parts(table, "--judged-by", options.judged_by)};
    for (const std::string& part : asked.judged_by) {
      if (!asked.chosen_by.contains(part)) continue;
      std::cerr << "note: " << part
                << " chooses and judges, which flatters every strategy; see --judged-by\n";
      break;
    }
    return {asked};
  }
  if (table.parts().size() < 2) {
    throw InputError(options.table +
                     ": two speakers are needed, one to choose by and one to judge by; the table "
                     "has " +
                     listed(table.parts()));
  }
  std::set<std::string> sides[2];
  int side = 0;
  for (const std::string& part : table.parts()) {
    sides[side].insert(part);
    side = 1 - side;
  }
  return {{sides[0], sides[1]}, {sides[1], sides[0]}};
}

// What a strategy asks for and no table holds; empty where it can be replayed.
std::string not_held(const StrategyRow& row, Config config) {
  config.strategy = row.name;
  if (make_strategy(config, baseline_genotype(config.options))->needs_supernet()) {
    return "a table holds no supernet, which " + row.name + " trains";
  }
  return row.scores_untrained
             ? "a table holds no scores of untrained networks, which " + row.name + " asks for"
             : "";
}

// The rows of those that are asked for; of all that can be replayed where none is. Throws
// InputError.
std::vector<StrategyRow> replayed(const Config& config, const std::vector<std::string>& asked) {
  std::vector<StrategyRow> all;
  std::vector<std::string> names, known;
  for (const StrategyRow& row : serenade::strategies()) {
    known.push_back(row.name);
    if (!not_held(row, config).empty()) continue;
    all.push_back(row);
    names.push_back(row.name);
  }
  if (asked.empty()) return all;
  std::vector<StrategyRow> rows;
  for (const std::string& name : asked) {
    const StrategyRow& row = serenade::strategies()[find_setting_word("--strategies", name, known)];
    const std::string missing = not_held(row, config);
    if (!missing.empty()) {
      throw InputError("--strategies: " + missing + "; there are " + join(names, ", "));
    }
    rows.push_back(row);
  }
  return rows;
}

// The settings of each strategy. The trainings that a strategy plans are as many as the largest
// cost buys of the cheapest architecture; one of trainings of several lengths begins with as many
// as it buys of the mean one.
std::vector<Config> configurations(const Config& stored, const std::vector<StrategyRow>& strategies,
                                   double largest_cost, double cheapest) {
  const std::int64_t size = search_space(stored.options).size();
  std::vector<Config> found;
  for (const StrategyRow& row : strategies) {
    Config config = stored;
    config.strategy = row.name;
    const double bought = row.varies_epochs ? largest_cost : largest_cost / cheapest;
    config.search.trials =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(bought)), 1, size);
    found.push_back(std::move(config));
  }
  return found;
}

// [strategy][side], every run in its place.
std::vector<std::vector<ReplayAnswers>> all_answers(const ResultTable& table,
                                                    const TableReading& reading,
                                                    const std::vector<Config>& configs,
                                                    const std::vector<Side>& sides,
                                                    const std::vector<double>& costs,
                                                    const ReplayCommand& options) {
  const auto repeats = options.replay.repeats;
  std::vector<std::vector<ReplayAnswers>> answers(
      configs.size(),
      std::vector<ReplayAnswers>(sides.size(), ReplayAnswers(static_cast<std::size_t>(repeats))));
  struct Piece {
    std::size_t strategy, side;
    std::int64_t first;
  };
  std::vector<Piece> pieces;
  for (std::size_t strategy = 0; strategy < configs.size(); ++strategy) {
    for (std::size_t side = 0; side < sides.size(); ++side) {
      for (std::int64_t first = 0; first < repeats; first += kAtOnce) {
        pieces.push_back({strategy, side, first});
      }
    }
  }
  ProgressBar bar("replays", std::ssize(configs) * std::ssize(sides) * repeats);
  std::mutex mutex;
  std::int64_t done = 0;
  parallel_for(std::ssize(pieces), 0, [&](std::int64_t i) {
    const Piece piece = pieces[static_cast<std::size_t>(i)];
    const Config& config = configs[piece.strategy];
    const Genotype baseline = baseline_genotype(config.options);
    const auto make = [&](std::uint64_t seed) {
      stop_if_asked();  // between two runs
      Config one = config;
      one.seed = seed;
      return make_strategy(one, baseline);
    };
    const std::int64_t count = std::min(kAtOnce, repeats - piece.first);
    const std::uint64_t seed = options.replay.seed + static_cast<std::uint64_t>(piece.first);
    const ReplayAnswers found =
        replay_answers(table, sides[piece.side].chosen_by, make, costs, seed, count, reading);
    std::copy(found.begin(), found.end(),
              answers[piece.strategy][piece.side].begin() + piece.first);
    const std::lock_guard lock(mutex);
    done += count;
    bar.update(done, config.strategy);
  });
  bar.finish();
  return answers;
}

std::string speakers_note(const std::vector<Side>& sides) {
  return "Chosen by " + listed(sides[0].chosen_by) + ", judged by " + listed(sides[0].judged_by) +
         (sides.size() == 2 ? ", and the other way round; the mean of both." : ".");
}

std::vector<std::string> notes_of(const StoredResults& stored, const TableModel* model,
                                  const std::vector<double>& costs, const std::vector<Side>& sides,
                                  const ReplayOptions& replay) {
  const std::string of_space = grouped(search_space(stored.config.options).size());
  std::vector<std::string> notes;
  if (model == nullptr) {
    notes.push_back("All scores are measured: the table holds all " + of_space + " architectures.");
  } else {
    const TableScores last =
        table_scores(stored.table, stored.table.last_epoch(), stored.table.parts());
    notes.push_back("All scores are modelled: the table holds " +
                    grouped(static_cast<long long>(model->architectures())) + " of " + of_space +
                    " architectures, and an additive model stands for all of them.");
    notes.push_back(
        "On architectures that it has not seen, the model ranks single trainings with "
        "tau " +
        fixed(model->leave_out_tau(), 3) +
        "; another training of the same architectures does with tau " +
        fixed(tau_between_seeds(last, last), 3) + ".");
  }
  const std::string doubt = noise_warning(stored.table);
  if (!doubt.empty()) notes.push_back(doubt);
  notes.push_back(
      "Regret: by how much WA an answer stays below the best of the table, to the speakers that "
      "judge. Its intervals lean upwards: each drawing of speakers has a best of its own.");
  const auto [cheapest, dearest] = std::minmax_element(costs.begin(), costs.end());
  notes.push_back("A training costs by its multiply-accumulates: " + fixed(*cheapest, 2) + " .. " +
                  fixed(*dearest, 2) + " of that of the mean architecture.");
  notes.push_back(speakers_note(sides));
  notes.push_back("Mean over " + grouped(replay.repeats) +
                  " runs of each strategy; intervals draw runs and judging speakers anew.");
  return notes;
}

// What searches have found, judged as the answers of replays are.
std::vector<StrategyRegret> searched(const std::vector<SearchAnswers>& searches,
                                     const std::vector<Side>& sides,
                                     const std::vector<Judge>& judges,
                                     const ReplayOptions& replay) {
  std::vector<StrategyRegret> found;
  for (const SearchAnswers& search : searches) {
    std::vector<JudgedRuns> runs;
    for (std::size_t s = 0; s < sides.size(); ++s) {
      ReplayAnswers answers = search.of(sides[s].judged_by);
      if (!answers.empty()) runs.push_back({&judges[s], std::move(answers)});
    }
    if (runs.empty()) {
      throw InputError("--answers: no search of " + search.strategy +
                       " was tested on a speaker that judges");
    }
    std::int64_t count = 0;
    for (const JudgedRuns& one : runs) count = std::max(count, std::ssize(one.answers));
    found.push_back({search.strategy, regret_points(runs, {0}, replay), count, true});
  }
  return found;
}

std::vector<double> distinct_costs(std::vector<double> costs) {
  for (const double cost : costs) {
    if (!std::isfinite(cost)) throw InputError("--costs: must be numbers; got " + compact(cost));
  }
  std::sort(costs.begin(), costs.end());
  costs.erase(std::unique(costs.begin(), costs.end()), costs.end());
  return costs;
}

// Said before hours of replays, not after them. Whether it has made the folder.
bool make_free_folder(const std::string& folder) {
  if (folder.empty()) return false;
  for (const char* name : {"regret.svg", "regret.md"}) {
    const std::string path = folder + "/" + name;
    if (std::filesystem::exists(path)) {
      throw InputError(path + " is there already; choose another --out");
    }
  }
  const bool is_new = !std::filesystem::exists(folder);
  make_folder(folder);
  return is_new;
}

// What the strategies give, in the order of their rows, and what real searches have found.
RegretComparison compare(const StoredResults& stored, const std::vector<Side>& sides,
                         const std::vector<double>& costs, const ReplayCommand& options) {
  const ResultTable& table = stored.table;
  const std::vector<double> training = training_costs(stored.config);
  const std::vector<Config> configs =
      configurations(stored.config, replayed(stored.config, options.strategies), costs.back(),
                     *std::min_element(training.begin(), training.end()));
  const std::vector<SearchAnswers> searches = read_search_answers(options.answers, stored.config);
  const bool whole =
      std::ssize(table_scores(table, table.last_epoch(), table.parts()).architectures) ==
      table.space().size();
  std::optional<TableModel> model;
  if (!whole) model.emplace(table);
  const TableReading reading{
      .model = whole ? nullptr : &*model, .cost = [&](const Genotype& genotype) {
        return training[static_cast<std::size_t>(genotype_index(genotype, table.space()))];
      }};
  const auto answers = all_answers(table, reading, configs, sides, costs, options);
  std::vector<Judge> judges;
  for (const Side& side : sides) judges.emplace_back(table, side.judged_by, reading);
  RegretComparison comparison;
  for (std::size_t i = 0; i < configs.size(); ++i) {
    stop_if_asked();
    std::vector<JudgedRuns> runs;
    for (std::size_t s = 0; s < sides.size(); ++s) runs.push_back({&judges[s], answers[i][s]});
    comparison.strategies.push_back(
        {configs[i].strategy, regret_points(runs, costs, options.replay), options.replay.repeats});
  }
  for (StrategyRegret& one : searched(searches, sides, judges, options.replay)) {
    comparison.strategies.push_back(std::move(one));
  }
  comparison.title = stored.config.system + ": regret over what was spent";
  comparison.notes = notes_of(stored, reading.model, training, sides, options.replay);
  for (const Config& config : configs) {
    for (const std::string& remark :
         make_strategy(config, baseline_genotype(config.options))->remarks()) {
      comparison.notes.push_back(remark + ". (Trials are what the largest of --costs buys.)");
    }
  }
  if (!searches.empty()) {
    comparison.notes.push_back(
        "Without a cost: what real searches found, one run per fold, judged by the side of its "
        "test speaker; the search was trained on the others of that side.");
  }
  comparison.speakers_drawn = std::all_of(judges.begin(), judges.end(),
                                          [](const Judge& judge) { return judge.parts() > 1; });
  return comparison;
}

void run_replay(const ReplayCommand& options) {
  use_threads(options.threads);
  const StoredResults stored = read_results(options.table);
  const std::vector<Side> sides = sides_of(stored.table, options);
  const std::vector<double> costs = distinct_costs(options.costs);
  const bool made_folder = make_free_folder(options.folder);
  const StopOnSignals stop_on_signals;
  RegretComparison comparison;
  try {
    comparison = compare(stored, sides, costs, options);
  } catch (...) {
    std::error_code ignored;  // of a folder in which there is something by now
    if (made_folder) std::filesystem::remove(options.folder, ignored);
    try {
      throw;
    } catch (const std::invalid_argument& error) {
      throw InputError(options.table + ": " + without_function(error.what()));
    } catch (const Interrupted& stop) {
      throw Interrupted(stop.signal(), "stopped; nothing is written");
    }
  }
  for (const std::string& note : comparison.notes) std::cout << note << "\n";
  std::cout << widest_chance(comparison) << "\n\n" << regret_rows(comparison).to_text();
  if (options.folder.empty()) return;
  write_regret(options.folder, comparison);
  std::cout << "written: " << options.folder << "/regret.svg, regret.md\n";
}

void set_up_replay(CLI::App& command) {
  auto options = std::make_shared<ReplayCommand>();
  command.add_option("table", options->table, "what `serenade tabulate` has written")->required();
  command
      .add_option("--strategies", options->strategies,
                  "those that train architectures one by one; default: all that ask for nothing "
                  "but trainings")
      ->delimiter(',');
  command
      .add_option("--chosen-by", options->chosen_by,
                  "speakers whose scores a strategy is told; default: both ways between two halves")
      ->delimiter(',');
  command.add_option("--judged-by", options->judged_by, "speakers by whom its answer is judged")
      ->delimiter(',');
  command
      .add_option("--costs", options->costs,
                  "after so much was spent, in trainings of the mean architecture")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command
      .add_option("--answers", options->answers,
                  "folders of `serenade search`: what they found, judged in the same way")
      ->delimiter(',');
  command.add_option("--repeats", options->replay.repeats, "runs of each strategy")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100000}))
      ->capture_default_str();
  command.add_option("--seed", options->replay.seed, "of the first run")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40))
      ->capture_default_str();
  command.add_option("--out", options->folder, "folder for regret.svg and regret.md");
  add_threads_option(command, options->threads);
  command.callback([options] { run_replay(*options); });
}

}  // namespace

Command replay_command() {
  return {"replay", "strategies on such a table: how far from its best, over what they have spent",
          set_up_replay};
}

}  // namespace serenade::ser
