// The program `serenade`. What concerns the whole process happens here, the rest in the commands.

#include <fcntl.h>

#include <csignal>

#include "apps/ser/cli/commands.h"

int main(int argc, char** argv) {
  // A reader of the output that goes away, and a limit on the size of files, make writing fail,
  // with a line and an exit code, and do not end a run of hours by a signal.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  // A stream that is closed must not become the number of the next file that is opened. Only
  // readable, so that whoever writes to it is told.
  for (int stream = 0; stream <= 2; ++stream) {
    if (fcntl(stream, F_GETFD) == -1) open("/dev/null", O_RDONLY);
  }
  return serenade::ser::run_program(argc, argv);
}
