// Parses the command line, runs the chosen command, and turns what it throws into one line on
// stderr and an exit code: 0 ok, 1 internal, 2 bad input or usage, 3 out of memory, 4 training is
// not finite, 5 reading or writing failed.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <new>

#include "apps/ser/commands.h"
#include "apps/ser/error.h"
#include "nas/search_space.h"

namespace serenade::ser {

namespace {

enum ExitCode { kOk = 0, kInternal = 1, kBadInput = 2, kOutOfMemory = 3, kNonFinite = 4, kIo = 5 };

int fail(ExitCode code, std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');  // one line, whatever a library says
  std::cerr << "serenade: " << message << std::endl;
  return code;
}

// The command the line names, for hints; the program itself if none.
const CLI::App* named_command(const CLI::App& app, int argc, const char* const* argv) {
  const CLI::App* command = &app;
  for (int i = 1; i < argc; ++i) {
    for (const CLI::App* sub : command->get_subcommands({})) {
      if (sub->get_name() == argv[i]) {
        command = sub;
        break;
      }
    }
  }
  return command;
}

// "did you mean ..." for the first word that no command or option knows.
std::string suggestion(const CLI::App& command, int argc, const char* const* argv) {
  std::vector<std::string> options, subcommands;
  for (const CLI::Option* option : command.get_options({})) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  for (const CLI::App* sub : command.get_subcommands({})) subcommands.push_back(sub->get_name());
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    word = word.substr(0, word.find('='));
    const bool is_option = word.rfind("--", 0) == 0;
    const std::vector<std::string>& known = is_option ? options : subcommands;
    if (known.empty() || (!is_option && i > 1)) continue;
    if (std::find(known.begin(), known.end(), word) == known.end() && word != command.get_name()) {
      return "; did you mean " + nearest_name(word, known) + "?";
    }
  }
  return "";
}

int parse_error(const CLI::App& app, const CLI::ParseError& error, int argc,
                const char* const* argv) {
  const CLI::App* command = named_command(app, argc, argv);
  std::string message = error.what();
  const bool unknown = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError) ||
                       error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError);
  if (unknown) message += suggestion(*command, argc, argv);
  const std::string help =
      command == &app ? "serenade --help" : "serenade " + command->get_name() + " --help";
  return fail(kBadInput, message + " (see `" + help + "`)");
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  CLI::App app{"Serenade: speech emotion recognisers found by neural architecture search",
               "serenade"};
  app.set_version_flag("--version", "serenade " SERENADE_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  add_train_command(app);
  add_search_command(app);
  add_evaluate_command(app);
  add_predict_command(app);
  add_table2_command(app);
  add_report_command(app);
  add_corpus_command(app);
  add_features_command(app);
  add_info_command(app);
  try {
    app.parse(argc, argv);
    return kOk;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return parse_error(app, error, argc, argv);
  } catch (const InputError& error) {
    return fail(kBadInput, error.what());
  } catch (const NonFiniteError& error) {
    return fail(kNonFinite, error.what());
  } catch (const IoError& error) {
    return fail(kIo, error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(kIo, error.what());
  } catch (const std::bad_alloc&) {
    return fail(kOutOfMemory, "out of memory; try a smaller batch_size or preset");
  } catch (const std::exception& error) {
    return fail(kInternal, std::string("internal error: ") + error.what());
  }
}

}  // namespace serenade::ser
