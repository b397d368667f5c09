// The program `serenade`. Everything happens in the commands.

#include "apps/ser/cli/commands.h"

int main(int argc, char** argv) { return serenade::ser::run_program(argc, argv); }
