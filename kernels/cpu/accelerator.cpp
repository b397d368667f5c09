// Work on the CPU runs as it is asked for; there is nothing to record.

#include "kernels/accelerator.h"

namespace serenade::cpu {

void run_recorded(LaunchGraph&, const std::function<void()>& work) { work(); }
void release_graph(LaunchGraph&) {}

}  // namespace serenade::cpu
