#include "tests/bench/peers/contest.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>
#include <utility>

#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/threads.h"
#include "tests/bench/timing.h"

namespace serenade::bench {

namespace {

constexpr double kShortCall = 30;   // ms: shorter work gets a call that does not count
constexpr double kFilledRound = 5;  // ms of calls that make a round of short work
constexpr double kEnough = 1500;    // ms for all rounds of a contest, if the fewest allow
constexpr int kMin = 5, kMax = 15;  // rounds

bool processor_time = false;

double clocked(const std::function<void()>& work) {
  if (!processor_time) return milliseconds(work);
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return 1e3 * double(time.tv_sec) + 1e-6 * double(time.tv_nsec);
  };
  const double start = now();
  work();
  return now() - start;
}

// What the rounds say: their median, or the least disturbed.
double typical(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[processor_time ? 0 : values.size() / 2];
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 0.1 ? "%.4f" : value < 10 ? "%.3f" : "%.1f", value);
  return text;
}

std::string ratio_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

}  // namespace

void count_processor_time() { processor_time = true; }
bool counts_processor_time() { return processor_time; }

void let_threads_sleep() { std::this_thread::sleep_for(std::chrono::milliseconds(8)); }

Contender local(std::string name, std::string version, std::string note,
                std::function<void()> work) {
  const auto last = std::make_shared<double>(0);
  return {.name = std::move(name),
          .version = std::move(version),
          .note = std::move(note),
          .round = [work = std::move(work), last] {
            let_threads_sleep();
            if (*last < kShortCall) *last = clocked(work);
            const int calls = static_cast<int>(std::clamp(kFilledRound / *last, 1.0, 100.0));
            return *last = clocked([&] {
                             for (int i = 0; i < calls; ++i) work();
                           }) /
                           calls;
          }};
}

Contender asking(Contender contender, double ratio) {
  contender.asked = ratio;
  return contender;
}

void Report::heading(const std::string& title) {
  std::printf("\n### %s\n\n", title.c_str());
  std::printf("| item | ours | peer | peer's | peer / ours | asked | about the peer |\n");
  std::printf("|---|---:|---|---:|---:|---:|---|\n");
  std::fflush(stdout);
}

void Report::line(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void Report::contest(const std::string& item, const Contender& ours,
                     const std::vector<std::optional<Contender>>& peers) {
  std::vector<const Contender*> contenders = {&ours};
  for (const auto& peer : peers) {
    if (peer) contenders.push_back(&*peer);
  }
  double first_round = 1e-3;
  for (const Contender* contender : contenders) first_round += contender->round();
  const int rounds =
      static_cast<int>(std::clamp(kEnough / first_round, double(kMin), double(kMax)));
  std::vector<std::vector<double>> times(contenders.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < contenders.size(); ++i) times[i].push_back(contenders[i]->round());
  }
  const double our_time = typical(times[0]);
  for (std::size_t i = 1; i < contenders.size(); ++i) {
    row(item, our_time, *contenders[i], typical(times[i]), "ms", contenders[i]->note);
  }
}

void Report::row(const std::string& item, double ours, const Contender& peer, double theirs,
                 const std::string& unit, const std::string& note) {
  const double ratio = theirs / ours;
  std::string asked = "";
  if (peer.asked > 0) {
    ++asking_rows_;
    short_rows_ += ratio < peer.asked;
    asked = ratio_text(peer.asked) + (ratio < peer.asked ? " SHORT" : " met");
  }
  std::printf("| %s | %s %s | %s | %s %s | **%s** | %s | %s |\n", item.c_str(),
              number(ours).c_str(), unit.c_str(), peer.name.c_str(), number(theirs).c_str(),
              unit.c_str(), ratio_text(ratio).c_str(), asked.c_str(), note.c_str());
  std::fflush(stdout);
  rows_.push_back({item, peer.name, peer.version, unit, note, ours, theirs, peer.asked, 0});
}

void Report::others_used(double processors) {
  for (; watched_rows_ < rows_.size(); ++watched_rows_) rows_[watched_rows_].others = processors;
}

void Report::write_json(const std::string& path) const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  if (std::ifstream before(path); before) before >> list;
  for (const Row& row : rows_) {
    nlohmann::ordered_json entry = {{"item", row.item},
                                    {"peer", row.peer},
                                    {"peer_version", row.version},
                                    {"ours_" + row.unit, row.ours},
                                    {"peer_" + row.unit, row.theirs},
                                    {"ratio", row.theirs / row.ours},
                                    {"threads", cpu::thread_count()},
                                    {"isa", cpu::to_string(cpu::active_isa())},
                                    {"others_used", row.others},
                                    {"processor_time", processor_time},
                                    {"note", row.note}};
    if (row.asked > 0) entry["asked"] = row.asked;
    list.push_back(std::move(entry));
  }
  std::ofstream file(path);
  file << "[";
  for (std::size_t i = 0; i < list.size(); ++i) {
    file << (i == 0 ? "\n  " : ",\n  ") << list[i].dump();
  }
  file << "\n]\n";
  if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

}  // namespace serenade::bench
