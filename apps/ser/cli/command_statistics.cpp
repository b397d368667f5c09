// `serenade statistics`: whether there is anything to be found in a table of trainings.

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "apps/ser/cli/commands.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "apps/ser/report/table_summary.h"
#include "apps/ser/training/tabulate.h"

namespace serenade::ser {

namespace {

void run_statistics(const std::string& path) {
  const StoredResults stored = read_results(path);
  try {
    const std::string summary = table_summary(stored.table);  // whole, or nothing is printed
    std::cout << stored.config.system << ", " << summary;
  } catch (const std::invalid_argument& error) {
    throw InputError(path + ": " + without_function(error.what()));
  }
}

}  // namespace

Command statistics_command() {
  return {"statistics", "what can be seen in such a table: noise, choices, what the best is worth",
          [](CLI::App& command) {
            auto path = std::make_shared<std::string>();
            command.add_option("table", *path, "what `serenade tabulate` has written")->required();
            command.callback([path] { run_statistics(*path); });
          }};
}

}  // namespace serenade::ser
