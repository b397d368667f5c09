#pragma once
// Stopping on request: Ctrl-C, `kill`, the end of a session.

#include <stdexcept>
#include <string>

namespace serenade {

/// A signal has asked the program to stop, and what was done is kept: exit code 128 + signal.
class Interrupted : public std::runtime_error {
 public:
  Interrupted(int signal, const std::string& message)
      : std::runtime_error(message), signal_(signal) {}
  int signal() const { return signal_; }

 private:
  int signal_;
};

/// While one lives, SIGINT, SIGTERM and SIGHUP do not end the program but set stop_signal().
/// Another one, two seconds later, ends it at once; sooner, it is taken for the same. A signal that
/// the program was started to ignore (nohup) stays ignored.
class StopOnSignals {
 public:
  StopOnSignals();
  ~StopOnSignals();
  StopOnSignals(const StopOnSignals&) = delete;
  StopOnSignals& operator=(const StopOnSignals&) = delete;
};

/// The signal that has asked for a stop, while a StopOnSignals lives; 0: none.
int stop_signal();

/// Throws Interrupted if one has.
void stop_if_asked();

}  // namespace serenade
