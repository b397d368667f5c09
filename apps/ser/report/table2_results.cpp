#include "apps/ser/report/table2_results.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <utility>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/report/run_results.h"

namespace serenade::ser {

namespace {

std::vector<Prediction> predictions_of(const std::vector<const FoldRun*>& runs) {
  std::vector<Prediction> all;
  for (const FoldRun* run : runs) {
    all.insert(all.end(), run->predictions.begin(), run->predictions.end());
  }
  return all;
}

Table2Cell make_cell(const TableRuns& table, const std::string& system, const std::string& mode,
                     const std::vector<const FoldRun*>& runs) {
  Table2Cell cell;
  cell.system = system;
  cell.mode = mode;
  cell.confusion = ConfusionMatrix(table.classes);
  std::vector<double> parameters;
  for (const FoldRun* run : runs) {
    const ConfusionMatrix matrix = confusion(run->predictions, table.classes);
    cell.run_wa.push_back(matrix.wa());
    cell.run_ua.push_back(matrix.ua());
    cell.confusion.add(matrix);
    cell.genotypes.push_back(run->genotype.summary());
    cell.seconds += run->search_seconds + run->train_seconds;
    parameters.push_back(static_cast<double>(run->parameters));
  }
  cell.mean_parameters = mean(parameters);
  cell.intervals = bootstrap_intervals(predictions_of(runs), cell.confusion.size(),
                                       {.seed = table.plan.config.seed});
  return cell;
}

// Those of `runs` whose fold and seed are also among `others`.
std::vector<const FoldRun*> shared_runs(const std::vector<const FoldRun*>& runs,
                                        const std::vector<const FoldRun*>& others) {
  std::set<std::pair<std::string, std::uint64_t>> present;
  for (const FoldRun* run : others) present.insert({run->fold, run->seed});
  std::vector<const FoldRun*> shared;
  for (const FoldRun* run : runs) {
    if (present.contains({run->fold, run->seed})) shared.push_back(run);
  }
  return shared;
}

bool has_mode(const TablePlan& plan, const std::string& mode) {
  return std::count(plan.modes.begin(), plan.modes.end(), mode) > 0;
}

void add_comparison(Table2& table, const TableRuns& runs, const std::string& system,
                    const std::string& first, const std::string& second) {
  if (!has_mode(runs.plan, first) || !has_mode(runs.plan, second)) return;
  const std::vector<const FoldRun*> a = runs.of(system, first), b = runs.of(system, second);
  const std::vector<Prediction> first_says = predictions_of(shared_runs(a, b));
  if (first_says.empty()) return;
  table.comparisons.push_back(compare_paired(
      system + " " + first, first_says, system + " " + second, predictions_of(shared_runs(b, a)),
      static_cast<int>(runs.classes.size()), {.seed = runs.plan.config.seed}));
}

void add_comparisons(Table2& table, const TableRuns& runs) {
  const std::vector<std::string> of_paper = paper_modes();
  for (const std::string& system : runs.plan.systems) {
    for (const std::string& mode : runs.plan.modes) {
      if (mode != kNoSearch) add_comparison(table, runs, system, kNoSearch, mode);
    }
    for (const std::string& mode : runs.plan.modes) {
      if (std::count(of_paper.begin(), of_paper.end(), mode) == 0) {
        add_comparison(table, runs, system, "random", mode);
      }
    }
    add_comparison(table, runs, system, "joint", "dropout");
    add_comparison(table, runs, system, "sampling", "dropout");
  }
}

std::string count_of(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::vector<std::string> missing_runs(const TableRuns& table) {
  std::vector<std::string> missing = table.failures;
  std::size_t unfinished = 0;
  for (const TableRun& run : table.runs) unfinished += run.result ? 0 : 1;
  if (unfinished > table.failures.size()) {
    missing.push_back("Not finished: " + std::to_string(unfinished - table.failures.size()) +
                      " of " + count_of(table.runs.size(), "run") +
                      "; `serenade table2 .. --resume` computes them.");
  }
  return missing;
}

std::string protocol_note(const TableRuns& table) {
  const Config& config = table.plan.config;
  const FeatureSettings& front_end = config.features;
  std::ostringstream note;
  note << count_of(table.folds.size(), "fold") << " and "
       << count_of(static_cast<std::size_t>(table.plan.seeds), "seed") << ", "
       << count_of(static_cast<std::size_t>(config.search_epochs), "epoch") << " of search and "
       << config.epochs << " of training (the paper: 60 and 20), batches of " << config.batch_size
       << " segments; front end " << config.preset << ": " << front_end.rows() << " x "
       << config.segments.length << " values per segment.";
  return note.str();
}

Figure3::Curve lowest(const std::vector<Figure3::Curve>& curves) {
  return *std::min_element(curves.begin(), curves.end(), [](const auto& a, const auto& b) {
    return a.loss.back() < b.loss.back();
  });
}

// "dropout 0.412, joint 0.398"
std::string final_losses(const std::vector<Figure3::Curve>& curves) {
  std::string text;
  for (const Figure3::Curve& curve : curves) {
    text += (text.empty() ? "" : ", ") + curve.mode + " " + fixed(curve.loss.back(), 4);
  }
  return text;
}

TableReport table_report(const TableRuns& runs, const Table2& table) {
  TableReport report;
  report.title = "Table 2 on " + runs.corpus;
  report.date = local_time();
  report.table = table;
  for (const Setting& setting : config_settings()) {
    if (setting.key == "system" || setting.key == "strategy") continue;  // the table has them all
    report.settings.push_back({setting.key, setting.get(runs.plan.config)});
  }
  report.settings.push_back({"seeds", std::to_string(runs.plan.seeds)});
  for (const std::string& system : runs.plan.systems) {
    Figure3 figure = table_figure3(runs, system);
    if (!figure.empty()) report.figures.push_back(std::move(figure));
  }
  report.warnings = runs.corpus_warnings;
  for (const std::string& line : missing_runs(runs)) report.warnings.push_back(line);
  for (const TableRun& run : runs.runs) {  // one line each: a table has many runs
    if (!run.result || run.result->warnings.empty()) continue;
    const std::vector<std::string>& warnings = run.result->warnings;
    const std::string more =
        warnings.size() > 1 ? " (and " + std::to_string(warnings.size() - 1) + " more)" : "";
    report.warnings.push_back(run.name() + ": " + warnings.front() + more);
  }
  return report;
}

}  // namespace

Table2 make_table2(const TableRuns& runs, const std::string& command) {
  Table2 table;
  table.corpus = runs.corpus;
  table.synthetic = runs.synthetic;
  table.preset = runs.plan.config.preset;
  table.command = command;
  for (const std::string& system : runs.plan.systems) {
    for (const std::string& mode : runs.plan.modes) {
      const std::vector<const FoldRun*> finished = runs.of(system, mode);
      if (!finished.empty()) table.cells.push_back(make_cell(runs, system, mode, finished));
    }
  }
  if (table.cells.empty()) throw InputError("table2: no run of this table is finished");
  add_comparisons(table, runs);
  table.notes.push_back(protocol_note(runs));
  table.notes.push_back(interval_note(table.cells.front().intervals));
  for (const std::string& system : runs.plan.systems) {
    const std::string finding = figure3_finding(table_figure3(runs, system));
    if (!finding.empty()) table.notes.push_back(finding);
  }
  for (const std::string& line : missing_runs(runs)) table.notes.push_back(line);
  return table;
}

Figure3 table_figure3(const TableRuns& runs, const std::string& system) {
  Figure3 figure;
  figure.system = system;
  for (const std::string& mode : runs.plan.modes) {
    std::vector<const FoldRun*> compared = runs.of(system, mode);
    for (const std::string& other : runs.plan.modes) {
      const std::vector<const FoldRun*> others = runs.of(system, other);
      const bool searched = !others.empty() && !others.front()->history.empty();
      if (searched) compared = shared_runs(compared, others);
    }
    std::vector<FoldRun> copies;
    for (const FoldRun* run : compared) copies.push_back(*run);
    const Figure3 one = figure3_of(copies, system, mode);
    for (auto curves :
         {&Figure3::supernet, &Figure3::child, &Figure3::mixture, &Figure3::matched_child}) {
      (figure.*curves).insert((figure.*curves).end(), (one.*curves).begin(), (one.*curves).end());
    }
  }
  if (figure.empty()) return figure;
  const std::uint64_t first_seed = runs.plan.config.seed;
  figure.child_summary =
      followed_child(runs.plan.run_config(system, kNoSearch, first_seed)).summary();
  if (runs.plan.seeds > 1) {  // each seed draws its own
    figure.child_summary += " (of seed " + std::to_string(first_seed) + ")";
  }
  return figure;
}

std::string figure3_finding(const Figure3& figure) {
  const auto is_dropout = [](const Figure3::Curve& curve) { return curve.mode == "dropout"; };
  if (figure.child.size() < 2 ||
      std::none_of(figure.child.begin(), figure.child.end(), is_dropout)) {
    return "";
  }
  const std::string best_child = lowest(figure.child).mode;
  std::string matched;
  if (!figure.matched_child.empty()) {
    matched = " With each layer of the child at the mixture's scale it is lowest under " +
              lowest(figure.matched_child).mode + " (" + final_losses(figure.matched_child) + ").";
  }
  return "Figure 3, " + figure.system +
         ", losses of the last epoch (mean over the runs): the supernet's is lowest under " +
         lowest(figure.supernet).mode + " (" + final_losses(figure.supernet) +
         "); the followed child's is lowest under " + best_child + " (" +
         final_losses(figure.child) +
         "). The paper argues that a child converges better under path dropout than under joint "
         "search and path sampling: in these runs this is " +
         (best_child == "dropout" ? "so." : "not so.") + matched;
}

std::string table_command(const TablePlan& plan, const std::string& folder) {
  std::string systems, modes;
  for (const std::string& system : plan.systems) systems += (systems.empty() ? "" : ",") + system;
  for (const std::string& mode : plan.modes)
    modes += (modes.empty() ? "" : ",") + std::string(mode);
  return "serenade table2 --config " + folder + "/config.json --systems " + systems +
         " --strategies " + modes + " --seeds " + std::to_string(plan.seeds) +
         " --out ANOTHER_FOLDER";
}

Table2 write_table2(const TableRuns& runs, const std::string& folder) {
  Table2 table = make_table2(runs, table_command(runs.plan, folder));
  const TableReport report = table_report(runs, table);
  write_text_file(folder + "/table2.json", to_json(table));
  write_text_file(folder + "/table2.md", to_markdown(table));
  for (const Figure3& figure : report.figures) {
    write_figure3(folder + "/figure3_" + figure.system, figure);
  }
  write_text_file(folder + "/report.html", render_table_report(report));
  return table;
}

}  // namespace serenade::ser
