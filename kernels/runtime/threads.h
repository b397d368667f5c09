#pragma once
// How many threads the CPU kernels use. Results do not depend on it: work is cut into pieces by its
// size alone, and pieces are added up in a fixed order.

namespace serenade::cpu {

/// Threads that a user can ask for. More help no machine, and a number too many by mistake would
/// end in a system that starts no more of them.
inline constexpr int kMostThreads = 4096;

/// Threads of the kernels that the calling thread runs from now on, at least 1; 0 means the number
/// that a thread begins with: OMP_NUM_THREADS, where the environment has it, but at most
/// kMostThreads; else available_processors().
void set_threads(int count);

/// The number in use by the calling thread.
int thread_count();

/// Processors that this process may use, at least 1: no more than its affinity mask (taskset,
/// cpusets) and the quota of its control group (containers) allow. Of a quota of 1.5 processors one
/// is used: two threads would use it up before its period ends, and then all of them stand still.
int available_processors();

}  // namespace serenade::cpu
