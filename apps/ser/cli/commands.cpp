// The table of commands: a declaration and a row for each.

#include "apps/ser/cli/commands.h"

namespace serenade::ser {

Command train_command();
Command search_command();
Command evaluate_command();
Command predict_command();
Command table2_command();
Command report_command();
Command corpus_command();
Command features_command();
Command info_command();
Command strategies_command();
Command tabulate_command();
Command statistics_command();
Command replay_command();

const std::vector<Command>& commands() {
  static const std::vector<Command> rows = {
      train_command(),      search_command(),   evaluate_command(),   predict_command(),
      table2_command(),     report_command(),   corpus_command(),     features_command(),
      strategies_command(), tabulate_command(), statistics_command(), replay_command(),
      info_command()};
  return rows;
}

}  // namespace serenade::ser
