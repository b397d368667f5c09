#pragma once
// The processors that a control group (cgroup, version 1 or 2) leaves to a process, and the threads
// that its environment asks for.

#include <string>

namespace serenade::cpu {

/// The smallest quota of processor time, in processors, of the group that a process is in and of
/// the groups around it; 0 where there is none. `membership` is the text of /proc/self/cgroup,
/// `root` the folder where control groups are mounted: /sys/fs/cgroup.
double processor_quota(const std::string& membership, const std::string& root);

/// The threads that a value of OMP_NUM_THREADS asks for, at most kMostThreads; without one, or with
/// one that is no number, available_processors().
int threads_of_environment(const char* value);

}  // namespace serenade::cpu
