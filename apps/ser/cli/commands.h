#pragma once
// The commands of the program. Results go to stdout; progress and remarks go to stderr.

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace serenade::ser {

/// One command. Its file defines a function that makes it; commands.cpp lists them.
struct Command {
  std::string name;
  std::string help;
  /// Adds the options; what the command does is set as the callback.
  std::function<void(CLI::App& command)> set_up;
};

/// All of them, in the order of the help text.
const std::vector<Command>& commands();

/// The whole program without process-wide effects: parses, runs, and returns the exit code. Errors
/// become one line on stderr.
int run_program(int argc, const char* const* argv);

}  // namespace serenade::ser
