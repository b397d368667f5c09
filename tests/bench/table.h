#pragma once
// What the benchmarks share: timing the versions of a kernel against each other, a GitHub Markdown
// table of the times on stdout, and the same as JSON for programs.
//
//   bench_<family> [bench.json]    appends its results to the list in that file

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/real.h"
#include "kernels/runtime/threads.h"
#include "tests/bench/timing.h"

namespace serenade::bench {

/// One step of a ladder on one item; an empty `run` stands for a step that is not measured there.
using Runs = std::vector<std::function<void()>>;

/// Median milliseconds of each run; 0 for an empty one. They alternate, so that a change of the
/// clock hits them alike; a first round, which faults their memory in, only sets how many follow.
inline std::vector<double> medians(const Runs& runs) {
  constexpr int kMin = 5, kMax = 25;
  constexpr double kEnough = 1000;  // milliseconds for all rounds, if the fewest allow
  double first_round = 1e-3;
  for (const auto& run : runs) first_round += run ? milliseconds(run) : 0;
  const int rounds = static_cast<int>(std::clamp<double>(kEnough / first_round, kMin, kMax));
  std::vector<std::vector<double>> times(runs.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
      if (runs[i]) times[i].push_back(milliseconds(runs[i]));
    }
  }
  std::vector<double> middle;
  for (auto& of_one : times) {
    std::sort(of_one.begin(), of_one.end());
    middle.push_back(of_one.empty() ? 0 : of_one[of_one.size() / 2]);
  }
  return middle;
}

/// A family's ladder, measured and printed row by row.
class LadderTable {
 public:
  /// versions: the names of the steps, the definition first. path: of the JSON list to append to;
  /// empty: none.
  LadderTable(std::string family, std::vector<std::string> versions, std::string path)
      : family_(std::move(family)), versions_(std::move(versions)), path_(std::move(path)) {
    char date[16];
    const std::time_t now = std::time(nullptr);
    std::strftime(date, sizeof date, "%Y-%m-%d", std::localtime(&now));
    std::printf("\n### %s: %d threads, %s, %s, %s, %s\n\n", family_.c_str(), cpu::thread_count(),
                cpu::to_string(cpu::active_isa()), sizeof(real) == 4 ? "float" : "double",
                processor().c_str(), date);
    std::printf("| shape | pass | GFLOP |");
    for (const std::string& version : versions_) std::printf(" %s, ms |", version.c_str());
    std::printf(" in use, GFLOP/s | speed-up |\n|---|---|---:|");
    for (std::size_t i = 0; i < versions_.size() + 2; ++i) std::printf("---:|");
    std::printf("\n");
  }

  /// Measures the steps on one item. flops: counted operations; in_use: the step that the library
  /// takes there. The speed-up is over the measured step before it.
  void row(const std::string& shape, const std::string& pass, double flops, const Runs& runs,
           std::size_t in_use) {
    const std::vector<double> ms = medians(runs);
    std::printf("| %s | %s | %.3f |", shape.c_str(), pass.c_str(), flops * 1e-9);
    for (std::size_t i = 0; i < ms.size(); ++i) {
      const char* mark = i == in_use ? "**" : "";
      runs[i] ? std::printf(" %s%.3f%s |", mark, ms[i], mark) : std::printf(" - |");
    }
    std::printf(" %.1f |", flops / ms[in_use] * 1e-6);
    std::size_t peer = in_use;
    while (peer > 0 && (peer == in_use || !runs[peer])) --peer;
    if (peer != in_use && runs[peer]) {
      std::printf(" %.2f |\n", ms[peer] / ms[in_use]);
      record(shape + ", " + pass, peer, ms[in_use], ms[peer]);
    } else {
      std::printf(" - |\n");
    }
    std::fflush(stdout);
  }

  /// Appends what was measured to the JSON list. Throws std::runtime_error if it cannot be written.
  void write_json() const {
    if (path_.empty()) return;
    std::ifstream before(path_);
    std::string text((std::istreambuf_iterator<char>(before)), std::istreambuf_iterator<char>());
    const std::size_t end = text.rfind("\n]");
    text = end == std::string::npos ? "[" : text.substr(0, end) + (records_.empty() ? "" : ",");
    for (std::size_t i = 0; i < records_.size(); ++i) {
      text += "\n  " + records_[i] + (i + 1 < records_.size() ? "," : "");
    }
    std::ofstream file(path_);
    file << text << "\n]\n";
    if (!file.flush()) throw std::runtime_error(path_ + ": cannot be written");
  }

 private:
  void record(const std::string& item, std::size_t peer, double ours_ms, double peer_ms) {
    std::ostringstream json;  // all strings are ours: none needs escaping
    json << "{\"item\": \"" << family_ << " " << item << "\", \"peer\": \"own " << versions_[peer]
         << "\", \"peer_version\": \"" << SERENADE_VERSION << "\", \"ours_ms\": " << ours_ms
         << ", \"peer_ms\": " << peer_ms << ", \"ratio\": " << peer_ms / ours_ms
         << ", \"threads\": " << cpu::thread_count() << ", \"isa\": \""
         << cpu::to_string(cpu::active_isa()) << "\", \"note\": \"the step before on the ladder\"}";
    records_.push_back(json.str());
  }

  std::string family_;
  std::vector<std::string> versions_;
  std::string path_;
  std::vector<std::string> records_;
};

}  // namespace serenade::bench
