#pragma once
// The commands of the program. Each adds itself to the command line; the chosen one runs when the
// line has been parsed. Results go to stdout; progress and remarks go to stderr.

#include <string>

namespace CLI {
class App;
}

namespace serenade::ser {

void add_corpus_command(CLI::App& app);
void add_features_command(CLI::App& app);
void add_train_command(CLI::App& app);
void add_search_command(CLI::App& app);
void add_evaluate_command(CLI::App& app);
void add_predict_command(CLI::App& app);
void add_table2_command(CLI::App& app);
void add_report_command(CLI::App& app);
void add_info_command(CLI::App& app);

/// The whole program without process-wide effects: parses, runs, and returns the exit code. Errors
/// become one line on stderr.
int run_program(int argc, const char* const* argv);

}  // namespace serenade::ser
