#include "nn/training/interrupt.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>

namespace serenade {

namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

std::atomic<int> asked{0};  // lock-free, so that a handler may set it
std::array<struct sigaction, kSignals.size()> before;

std::atomic<time_t> asked_at{0};

time_t seconds_now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

extern "C" void ask_to_stop(int signal) {
  const int error = errno;
  if (asked != 0) {
    // `timeout`, and others who stop a group of processes, send the same signal twice at once.
    if (seconds_now() <= asked_at + 1) return;
    struct sigaction at_once = {};
    at_once.sa_handler = SIG_DFL;
    sigaction(signal, &at_once, nullptr);
    raise(signal);
    return;
  }
  asked_at = seconds_now();
  asked = signal;
  static constexpr char kLine[] = "\nstopping after this step; once more to stop at once\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kLine, sizeof kLine - 1);
  errno = error;
}

}  // namespace

StopOnSignals::StopOnSignals() {
  asked = 0;
  struct sigaction action = {};
  action.sa_handler = ask_to_stop;
  action.sa_flags = SA_RESTART;
  for (const int signal : kSignals) sigaddset(&action.sa_mask, signal);  // one after the other
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &before[i]);
    if (before[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

StopOnSignals::~StopOnSignals() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before[i], nullptr);
  asked = 0;
}

int stop_signal() { return asked; }

void stop_if_asked() {
  if (asked != 0) throw Interrupted(asked, "stopped by a signal");
}

}  // namespace serenade
