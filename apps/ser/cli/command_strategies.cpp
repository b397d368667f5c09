// `serenade strategies`: what --mode may be.

#include <CLI/CLI.hpp>
#include <iostream>

#include "apps/ser/cli/commands.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/training/search.h"

namespace serenade::ser {

namespace {

void list_strategies() {
  const Config config;
  const Genotype baseline = baseline_genotype(config.options);
  TextTable table({{"mode", Align::left},
                   {"trains", Align::left},
                   {"what it does", Align::left},
                   {"source", Align::left}});
  for (const StrategyRow& row : strategies()) {
    const auto strategy =
        row.make(search_space(config.options), {.seed = config.seed, .baseline = baseline});
    const char* trains = strategy->needs_supernet()      ? "a supernet"
                         : strategy->planned_steps() > 0 ? "architectures"
                                                         : "one architecture";
    table.add_row({row.name, trains, row.summary, row.source.empty() ? "-" : row.source});
  }
  std::cout << table.to_text();
}

}  // namespace

Command strategies_command() {
  return {"strategies", "the ways to search an architecture (--mode), and where they come from",
          [](CLI::App& command) { command.callback(list_strategies); }};
}

}  // namespace serenade::ser
