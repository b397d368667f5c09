#include "apps/ser/common/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>

namespace serenade::ser {

namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

std::atomic<int> asked{0};  // lock-free, so that a handler may set it
std::array<struct sigaction, kSignals.size()> before;

extern "C" void ask_to_stop(int signal) {
  asked = signal;
  struct sigaction at_once = {};
  at_once.sa_handler = SIG_DFL;
  for (const int other : kSignals) sigaction(other, &at_once, nullptr);
  static constexpr char kLine[] =
      "\nserenade: stopping after this step; once more to stop at once\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kLine, sizeof kLine - 1);
}

}  // namespace

StopOnSignals::StopOnSignals() {
  asked = 0;
  struct sigaction action = {};
  action.sa_handler = ask_to_stop;
  action.sa_flags = SA_RESTART;
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

}  // namespace serenade::ser
