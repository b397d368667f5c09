// Parses the command line, runs the chosen command, and turns what it throws into one line on
// stderr and an exit code: 0 ok, 1 internal, 2 bad input or usage, 3 out of memory, 4 training or
// answers are not finite, 5 reading or writing failed; 128 + signal: stopped by a signal, all done
// is kept.

#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>

#include "apps/ser/cli/commands.h"
#include "apps/ser/cli/config_options.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "nn/training/interrupt.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

// A message quotes what is wrong, and a key of a file may be a book.
constexpr std::size_t kLongestMessage = 4000, kShownEnd = 1000;

int fail(int code, std::string message) {
  if (message.size() > kLongestMessage) {
    const std::size_t left_out = message.size() - kLongestMessage;
    message.replace(kLongestMessage - kShownEnd, left_out,
                    ".. (" + std::to_string(left_out) + " bytes left out) ..");
  }
  std::replace(message.begin(), message.end(), '\n', ' ');  // one line, whatever a library says
  std::cerr << "serenade: " << shown(message) << std::endl;
  return code;
}

int fail(const Failure& failure) { return fail(static_cast<int>(failure.code), failure.message); }

// The command that a line names, as far as its words are known.
struct NamedCommand {
  const CLI::App* app;
  std::string name;  // "serenade corpus make"
  int rest;          // index of the first word after the name
};

NamedCommand named_command(const CLI::App& app, int argc, const char* const* argv) {
  NamedCommand command{&app, "serenade", 1};
  bool deeper = true;
  while (deeper && command.rest < argc) {
    deeper = false;
    for (const CLI::App* sub : command.app->get_subcommands({})) {
      if (sub->get_name() != argv[command.rest]) continue;
      command = {sub, command.name + " " + sub->get_name(), command.rest + 1};
      deeper = true;
      break;
    }
  }
  return command;
}

// The option that an unknown one most likely means: options are keys of settings with dashes.
std::string meant_option(const std::string& unknown, const std::vector<std::string>& known) {
  std::vector<std::string> keys;
  for (const std::string& option : known) keys.push_back(key_of_option(option));
  return option_of_key(meant_key(key_of_option(unknown), keys));
}

// What to say about the first word that no command or option knows; empty if all are known.
std::string unknown_word(const NamedCommand& command, int argc, const char* const* argv) {
  std::vector<std::string> options, subcommands;
  for (const CLI::Option* option : command.app->get_options({})) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  for (const CLI::App* sub : command.app->get_subcommands({})) {
    subcommands.push_back(sub->get_name());
  }
  for (int i = command.rest; i < argc; ++i) {
    std::string word = argv[i];
    word = word.substr(0, word.find('='));
    const bool is_option = word.size() > 2 && word.rfind("--", 0) == 0;
    const bool is_command = i == command.rest && !subcommands.empty() && word.rfind('-', 0) != 0;
    if (!is_option && !is_command) continue;
    const std::vector<std::string>& known = is_option ? options : subcommands;
    if (std::find(known.begin(), known.end(), word) != known.end()) continue;
    const std::string meant = is_option ? meant_option(word, known) : nearest_word(word, known);
    return std::string("unknown ") + (is_option ? "option" : "command") + " '" + word +
           "'; did you mean '" + meant + "'?";
  }
  return "";
}

int parse_error(const CLI::App& app, const CLI::ParseError& error, int argc,
                const char* const* argv) {
  const NamedCommand command = named_command(app, argc, argv);
  const int code = error.get_exit_code();
  std::string message;
  if (code == static_cast<int>(CLI::ExitCodes::ExtrasError) ||
      code == static_cast<int>(CLI::ExitCodes::RequiredError)) {
    message = unknown_word(command, argc, argv);
  }
  if (message.empty()) message = error.what();
  return fail({ExitCode::bad_input, message + " (see `" + command.name + " --help`)"});
}

// What to do when memory is short, which depends on what takes it.
std::string memory_advice(const std::string& command) {
  for (const char* name : {"train", "search", "table2"}) {
    if (command == std::string("serenade ") + name) return "try a smaller --batch-size or --preset";
  }
  return "try shorter recordings, fewer files or a smaller preset";
}

// What a command has printed may still be on its way, or lost. `code`: of the command.
int finish_output(int code) {
  std::cout.flush();
  if (std::cout || code != 0) return code;
  // A reader that has seen enough, as `head` has, needs no line about it.
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  if (poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0) {
    return static_cast<int>(ExitCode::io);
  }
  return fail(
      {ExitCode::io, "the answer could not be written to standard output; is the disk full?"});
}

std::terminate_handler terminate_before = nullptr;

// Memory can also run out where no exception may leave, in a destructor (those of the JSON library
// take some). That is no fault of the program either.
[[noreturn]] void end_without_memory() {
  try {
    if (std::current_exception() != nullptr) throw;
  } catch (const std::bad_alloc&) {
    std::fputs("serenade: out of memory; give it less at once, or a smaller preset\n", stderr);
    std::_Exit(static_cast<int>(ExitCode::out_of_memory));
  } catch (...) {
  }
  terminate_before();
  std::abort();
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  if (terminate_before == nullptr) terminate_before = std::set_terminate(end_without_memory);
  CLI::App app{"Serenade: speech emotion recognisers found by neural architecture search",
               "serenade"};
  try {
    app.set_version_flag("--version", "serenade " SERENADE_VERSION);
    app.require_subcommand(1);
    app.get_formatter()->column_width(34);
    for (const Command& command : commands()) {
      command.set_up(*app.add_subcommand(command.name, command.help));
    }
    app.parse(argc, argv);
    return finish_output(0);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return finish_output(app.exit(error));  // --help, --version
    return parse_error(app, error, argc, argv);
  } catch (const Interrupted& stop) {
    return finish_output(fail(128 + stop.signal(), stop.what()));
  } catch (...) {
    const std::string command = named_command(app, argc, argv).name;
    return finish_output(fail(failure_of(std::current_exception(), memory_advice(command))));
  }
}

}  // namespace serenade::ser
