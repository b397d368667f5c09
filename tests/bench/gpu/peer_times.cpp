#include "tests/bench/gpu/peer_times.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace serenade::bench {

std::vector<PeerTime> times_of(const PeerTimes& times, const std::string& item) {
  const auto found = times.find(item);
  return found == times.end() ? std::vector<PeerTime>{} : found->second;
}

PeerTimes pytorch_times(const std::string& python) {
  PeerTimes times;
  if (python.empty()) return times;
  const std::string command =
      python + " '" SERENADE_SOURCE_DIR "/tests/bench/gpu/pytorch_gpu.py' 2>/dev/null";
  FILE* answers = popen(command.c_str(), "r");
  if (answers == nullptr) return times;
  std::array<char, 1024> line{};
  while (std::fgets(line.data(), line.size(), answers) != nullptr) {
    const auto answer = nlohmann::json::parse(line.data(), nullptr, false);
    if (!answer.is_object()) continue;
    times[answer.at("item")].push_back({"PyTorch " + answer.at("version").get<std::string>() + " " +
                                            answer.at("form").get<std::string>(),
                                        1e3 * answer.at("ms").get<double>()});
  }
  if (pclose(answers) != 0 || times.empty()) {
    std::printf("\nPyTorch with CUDA was not found through %s; its columns are left out.\n",
                python.c_str());
  }
  return times;
}

}  // namespace serenade::bench
