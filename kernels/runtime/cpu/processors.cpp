// How many processors there are for this process (kernels/runtime/threads.h).

#include "kernels/runtime/cpu/processors.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "kernels/runtime/threads.h"

namespace serenade::cpu {

namespace {

// Version 2: one file with "max 100000" or "150000 100000", time and period in microseconds.
double quota_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double time = 0, period = 0;
  return file >> time >> period && period > 0 ? time / period : 0;
}

// Version 1: two files; a time of -1 means no quota.
double quota_v1(const std::string& folder) {
  std::ifstream time_file(folder + "/cpu.cfs_quota_us"), period_file(folder + "/cpu.cfs_period_us");
  double time = 0, period = 0;
  return time_file >> time && period_file >> period && period > 0 ? time / period : 0;
}

// The smallest quota of mount/group and of the folders above it, up to mount. In a container the
// path may be that of the host, and only the mount itself exists.
template <class Quota>
double smallest_quota(const std::string& mount, std::string group, const Quota& quota) {
  double smallest = 0;
  for (;;) {
    while (!group.empty() && group.back() == '/') group.pop_back();
    const double found = quota(mount + group);
    if (found > 0 && (smallest == 0 || found < smallest)) smallest = found;
    if (group.empty()) return smallest;
    group.resize(std::min(group.rfind('/'), group.size() - 1));
  }
}

// Whether `word` is one of the words of a list with commas.
bool lists(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Processors of the affinity mask; without one, those of the machine.
int allowed_processors() {
  // A mask must be as long as the kernel's, which nothing tells: the call fails until it is.
  for (std::size_t sets = 1; sets <= 64; sets *= 2) {
    std::vector<cpu_set_t> mask(sets);
    const std::size_t bytes = sets * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, mask.data()) == 0) return CPU_COUNT_S(bytes, mask.data());
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

double processor_quota(const std::string& membership, const std::string& root) {
  std::istringstream lines(membership);
  double smallest = 0;
  for (std::string line; std::getline(lines, line);) {  // hierarchy:controllers:path
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    double found = 0;
    if (controllers.empty()) {
      found = smallest_quota(root, group, quota_v2);
    } else if (lists(controllers, "cpu")) {
      found = smallest_quota(root + "/" + controllers, group, quota_v1);
      if (found == 0) found = smallest_quota(root + "/cpu", group, quota_v1);
    }
    if (found > 0 && (smallest == 0 || found < smallest)) smallest = found;
  }
  return smallest;
}

int threads_of_environment(const char* value) {
  if (value == nullptr) return available_processors();
  const std::string_view text(value);
  int count = 0;  // of "4,2", a list by levels of nesting, the first counts
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && count > 0 ? std::min(count, kMostThreads) : available_processors();
}

int available_processors() {
  static const int processors = [] {
    const int allowed = std::max(1, allowed_processors());
    const double quota = processor_quota(text_of("/proc/self/cgroup"), "/sys/fs/cgroup");
    return quota > 0 ? static_cast<int>(std::clamp<double>(quota, 1, allowed)) : allowed;
  }();
  return processors;
}

}  // namespace serenade::cpu
