#pragma once
// What the main function of a program has around its work: exit codes, and one line about whatever
// goes wrong.
//
//   int main(int argc, char** argv) {
//     return run_program("digits", [&] { train(argc, argv); });
//   }

#include <functional>
#include <stdexcept>
#include <string>

namespace serenade {

enum class ExitCode { ok, internal, bad_input, out_of_memory, non_finite, io };

/// What the user gave is not what it must be; the message is one line that names it and says what
/// to do about it.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Nothing for a whole number of 0 to 10^18 - 1 in digits, what a seed on a command line must be;
/// else words that say so. (Libraries that read numbers take -1 for the largest one.)
std::string fault_of_seed(const std::string& word);

/// Does the work and returns the exit code. What is thrown becomes one line on stderr, "name: ..",
/// and its code: InputError 2; std::bad_alloc, std::length_error 3; NonFiniteLoss,
/// NonFiniteGradient 4; other std::runtime_errors, which are those of files, 5; Interrupted 128 +
/// signal; all else 1, a fault of the program. While it works, signals are those of StopOnSignals
/// (interrupt.h).
int run_program(const std::string& name, const std::function<void()>& work);

}  // namespace serenade
