#pragma once
// What can go wrong outside the program, as three types that `main` turns into exit codes.
//
// Each message is one line that names the file (and line or key) and says what to do about it.
// Anything else that is thrown is a fault of the program itself (exit code 1), but for
// std::bad_alloc (3).

#include <stdexcept>
#include <string>

namespace serenade::ser {

/// The user's files, folders or options are not what they must be: exit code 2.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A loss or gradient is no longer finite: exit code 4.
class NonFiniteError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The system refused to read or write (disk full, no permission): exit code 5.
class IoError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace serenade::ser
