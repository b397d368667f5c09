// `serenade strategies`: what --strategy may be.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>

#include "apps/ser/cli/commands.h"
#include "apps/ser/cli/config_options.h"
#include "apps/ser/common/enum_setting.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/training/search.h"

namespace serenade::ser {

namespace {

void list_strategies() {
  const Config config;
  const Genotype baseline = baseline_genotype(config.options);
  TextTable table({{"strategy", Align::left},
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

// One of them, with the settings that it does not share with all.
void tell_strategy(const std::string& name) {
  std::vector<std::string> names;
  for (const StrategyRow& row : strategies()) names.push_back(row.name);
  const StrategyRow& row = strategies()[find_setting_word("strategy", name, names)];
  std::cout << row.name << ": " << row.summary << "\n"
            << (row.source.empty() ? "" : "source: " + row.source + "\n");
  TextTable table({{"setting", Align::left}, {"default", Align::left}, {"meaning", Align::left}});
  bool has_own = false;
  for (const Setting& setting : config_settings()) {
    if (std::count(setting.strategies.begin(), setting.strategies.end(), name) == 0) continue;
    table.add_row({option_of_key(setting.key), setting.get({}), setting.help});
    has_own = true;
  }
  std::cout << "\n" << (has_own ? table.to_text() : "It has no settings of its own.\n");
}

}  // namespace

Command strategies_command() {
  return {"strategies", "the ways to search an architecture (--strategy), and where they come from",
          [](CLI::App& command) {
            auto name = std::make_shared<std::string>();
            command.add_option("name", *name, "tell about this one, with its settings");
            command.callback([name] { name->empty() ? list_strategies() : tell_strategy(*name); });
          }};
}

}  // namespace serenade::ser
