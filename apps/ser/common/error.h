#pragma once
// What can go wrong outside the program, as types that `main` turns into exit codes.
//
// Each message is one line that names the file (and line or key) and says what to do about it.
// Anything else that is thrown is a fault of the program itself, but for what failure_of() knows.
// Exit codes, and InputError for code 2, are those of every program (nn/training/program.h).

#include <exception>
#include <stdexcept>
#include <string>

#include "nn/training/program.h"

namespace serenade::ser {

/// There is not enough memory for what was asked: exit code 3, as for std::bad_alloc.
class MemoryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A loss, a gradient or an answer is not finite: exit code 4.
class NonFiniteError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The system refused to read or write (disk full, no permission): exit code 5.
class IoError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What to answer to an exception.
struct Failure {
  ExitCode code = ExitCode::ok;
  std::string message;
};

/// The code and the line for anything that can be thrown. advice: what to do when memory is short.
Failure failure_of(const std::exception_ptr& exception, const std::string& advice);

}  // namespace serenade::ser
