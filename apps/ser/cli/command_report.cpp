// `serenade report`: writes the report of a run or of a table again, from what its folder holds.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/ser/cli/commands.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/json_input.h"
#include "apps/ser/common/names.h"
#include "apps/ser/report/figure3.h"
#include "apps/ser/report/result_folder.h"
#include "apps/ser/report/run_results.h"
#include "apps/ser/report/table2.h"
#include "apps/ser/report/table2_results.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The folds that results.json lists, from their checkpoints; of the corpus, what results.json says.
RunResults read_run(const std::string& folder) {
  Config config = stored_config(read_text_file(folder + "/config.json"), folder + "/config.json");
  config.resolve();
  const std::string path = folder + "/results.json";
  if (!fs::exists(path)) {
    throw InputError(folder + ": this run is not finished; continue it with --resume");
  }
  try {
    const json results = json_input<json>(read_text_file(path), path);
    Corpus corpus;
    corpus.name = results.at("corpus");
    corpus.synthetic = results.at("synthetic");
    corpus.classes = results.value("classes", class_names());
    corpus.notes = results.value("corpus_warnings", std::vector<std::string>());
    std::vector<FoldRun> folds;
    for (const json& fold : results.at("folds")) {
      const std::string name = fold.at("name");
      const std::string saved = folder + "/checkpoint/" + file_name_of(name) + ".json";
      folds.push_back(fold_run_from_json(read_text_file(saved), saved));
      if (folds.back().classes != corpus.classes) {
        throw InputError(saved + ": has other classes than " + path);
      }
    }
    if (folds.empty()) throw InputError(path + ": lists no fold");
    RunResults run = summarize(config.with_classes(corpus.classes), corpus, std::move(folds));
    if (config.final_model) {
      const std::string saved = folder + "/checkpoint/" + kFinalFold + ".json";
      run.final_run = fold_run_from_json(read_text_file(saved), saved);
    }
    return run;
  } catch (const json::exception& error) {
    throw InputError(path + ": not the results of a run: " + json_reason(error));
  } catch (const std::invalid_argument& error) {
    throw InputError(path + ": " + error.what());
  }
}

void report_run(const std::string& folder) {
  const RunResults results = read_run(folder);
  const RunReport report = run_report(results, repeat_command(results.config, folder));
  write_text_file(folder + "/report.html", render_run_report(report));
  if (!report.figure3.empty()) write_figure3(folder + "/figure3", report.figure3);
}

void write_report(const std::string& folder) {
  if (is_table_folder(folder)) {
    write_table2(read_table(folder), folder);
  } else if (fs::exists(folder + "/config.json")) {
    report_run(folder);
  } else {
    throw InputError(folder +
                     ": neither a run nor a table (no config.json); give the --out folder of "
                     "`serenade train`, `search` or `table2`");
  }
  std::cout << folder << "/report.html" << std::endl;
}

void set_up_report(CLI::App& command) {
  auto folder = std::make_shared<std::string>();
  command.add_option("folder", *folder, "folder of the run or table")->required();
  command.callback([folder] { write_report(*folder); });
}

}  // namespace

Command report_command() {
  return {"report", "write report.html and Figure 3 of a run or table again", set_up_report};
}

}  // namespace serenade::ser
