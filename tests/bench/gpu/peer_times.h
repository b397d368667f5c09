#pragma once
// What peers need for the same items, asked of PyTorch on the same device (pytorch_gpu.py).

#include <map>
#include <string>
#include <vector>

namespace serenade::bench {

/// A peer's time in microseconds; 0: it did not take part.
struct PeerTime {
  std::string name;
  double microseconds = 0;
};

/// By item: the forms that a peer was timed in.
using PeerTimes = std::map<std::string, std::vector<PeerTime>>;

/// Of one item; none where no peer took part.
std::vector<PeerTime> times_of(const PeerTimes& times, const std::string& item);

/// Runs pytorch_gpu.py. `python`: an interpreter that has PyTorch with CUDA; empty, or one that has
/// not: no times.
PeerTimes pytorch_times(const std::string& python);

}  // namespace serenade::bench
