#pragma once
// What is fuzzed: readers of files and texts that come from outside, the command line, and
// functions of the library. A target is a file of targets/ that defines its row,
// `Target <file>_target()`; README.md says how to add one.

#include <functional>
#include <string>
#include <vector>

namespace serenade::fuzz {

struct Target {
  std::string name;  ///< that of its file
  /// Inputs that are what they should be, for a fuzzer to begin with.
  std::function<std::vector<std::string>()> seeds;
  /// Tries one input. Whatever it holds, this must return; what is wrong with the program shows as
  /// a sanitizer's report, as an exception that nobody expects, or as a call of fault().
  std::function<void(const std::string& input)> run;
  /// Words that inputs consist of, beside single bytes.
  std::vector<std::string> words = {};
};

/// All of them, in the order of the file names.
const std::vector<Target>& targets();

/// The program has broken a promise: says which and aborts.
[[noreturn]] void fault(const std::string& what);

/// Runs what may refuse its input and returns the message, empty if it did not refuse. A refusal is
/// a std::runtime_error or std::invalid_argument that says something; everything else that is
/// thrown is a fault.
std::string refusal(const std::function<void()>& read);

/// A folder of this process, removed at its end.
const std::string& scratch_folder();
/// Writes a file into it (over the last one of that name) and returns its path.
std::string scratch_file(const std::string& name, const std::string& content);

}  // namespace serenade::fuzz
