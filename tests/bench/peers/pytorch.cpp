#include "tests/bench/peers/pytorch.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "tests/bench/timing.h"

extern char** environ;

namespace serenade::bench {

namespace {

using Json = nlohmann::json;

// A child process with pipes at its input and output.
struct Child {
  pid_t id = -1;
  int to = -1, from = -1;
};

// settings: NAME=value pairs put before the environment. quiet: errors of the child go nowhere.
Child spawn(const std::vector<std::string>& command, const std::vector<std::string>& settings,
            bool quiet) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipe for " + command[0]);
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  if (quiet) posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::vector<char*> arguments, environment;
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  for (const std::string& part : settings) environment.push_back(const_cast<char*>(part.c_str()));
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.push_back(*variable);
  }
  arguments.push_back(nullptr);
  environment.push_back(nullptr);
  Child child{.to = in[1], .from = out[0]};
  const int failed = posix_spawnp(&child.id, arguments[0], &actions, nullptr, arguments.data(),
                                  environment.data());
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  if (failed != 0) {
    close(child.to);
    close(child.from);
    child.id = -1;
  }
  return child;
}

// Waits for the end; true if the child exited with 0.
bool finished_well(const Child& child) {
  int status = 0;
  return waitpid(child.id, &status, 0) == child.id && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string read_all(int from) {
  std::string text;
  char block[4096];
  for (ssize_t got; (got = read(from, block, sizeof block)) > 0;) {
    text.append(block, static_cast<std::size_t>(got));
  }
  return text;
}

// Runs a program to its end; its output.
std::string output_of(const std::vector<std::string>& command) {
  const Child child = spawn(command, {}, false);
  if (child.id < 0) throw std::runtime_error(command[0] + ": cannot be started");
  close(child.to);
  const std::string text = read_all(child.from);
  close(child.from);
  if (!finished_well(child)) throw std::runtime_error(command[0] + ": failed");
  return text;
}

bool processor_has(const std::string& feature) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("flags", 0) == 0) return line.find(" " + feature) != std::string::npos;
  }
  return false;
}

}  // namespace

std::string pytorch_script() {
  return std::string(SERENADE_SOURCE_DIR) + "/tests/bench/peers/pytorch_peer.py";
}

std::unique_ptr<PyTorch> PyTorch::start(const std::string& python, int threads,
                                        const std::string& cache) {
  const std::string count = std::to_string(threads);
  // A heap that keeps what is freed spares PyTorch the page faults of its large tensors.
  std::vector<std::string> settings = {"OMP_NUM_THREADS=" + count,
                                       "MKL_NUM_THREADS=" + count,
                                       "MALLOC_MMAP_MAX_=0",
                                       "MALLOC_TRIM_THRESHOLD_=1099511627776",
                                       "MALLOC_TOP_PAD_=67108864",
                                       "PYTHONDONTWRITEBYTECODE=1",
                                       "TORCHINDUCTOR_CACHE_DIR=" + cache};
  if (processor_has("avx512f")) settings.push_back("ATEN_CPU_CAPABILITY=avx512");
  signal(SIGPIPE, SIG_IGN);  // a child that dies shows in what it answers
  const bool talkative = std::getenv("SHOW_PYTORCH") != nullptr;
  const Child child = spawn({python, pytorch_script(), count}, settings, !talkative);
  if (child.id < 0) return nullptr;
  std::unique_ptr<PyTorch> peer(new PyTorch(child.id, child.to, child.from));
  const Json request = {{"do", "hello"}, {"processor_time", counts_processor_time()}};
  const Json hello = Json::parse(peer->ask(request.dump()), nullptr, false);
  if (!hello.is_object() || !hello.contains("version")) return nullptr;
  peer->version_ = hello["version"].get<std::string>();
  peer->settings_ = hello["capability"].get<std::string>() + ", " +
                    std::to_string(hello["threads"].get<int>()) +
                    " threads, channels_last, fused Adam, heap kept";
  return peer;
}

PyTorch::~PyTorch() {
  close(to_);
  close(from_);
  waitpid(child_, nullptr, 0);
}

std::string PyTorch::ask(const std::string& request) {
  const std::string line = request + "\n";
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t now = write(to_, line.data() + sent, line.size() - sent);
    if (now <= 0) return "";
    sent += static_cast<std::size_t>(now);
  }
  for (;;) {
    if (const std::size_t end = unread_.find('\n'); end != std::string::npos) {
      std::string answer = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return answer;
    }
    char block[4096];
    const ssize_t got = read(from_, block, sizeof block);
    if (got <= 0) return "";
    unread_.append(block, static_cast<std::size_t>(got));
  }
}

std::optional<PyTorch::Prepared> PyTorch::prepare(const std::string& item,
                                                  const std::string& arguments) {
  const Json request = {{"do", "prepare"}, {"item", item}, {"arguments", Json::parse(arguments)}};
  const Json answer = Json::parse(ask(request.dump()), nullptr, false);
  if (!answer.is_object() || !answer.contains("number")) {
    std::fprintf(stderr, "PyTorch: %s left out: %s\n", item.c_str(),
                 answer.is_object() ? answer.value("error", "no answer").c_str() : "no answer");
    return std::nullopt;
  }
  Prepared prepared{.number = answer["number"], .forms = answer["forms"], .facts = {}};
  for (const auto& [name, value] : answer["facts"].items()) prepared.facts[name] = value;
  return prepared;
}

Contender PyTorch::contender(const Prepared& item, const std::string& pass,
                             const std::string& note) {
  const auto last = std::make_shared<double>(0);
  const auto round = [this, number = item.number, pass, last] {
    const auto calls = [&](int count) {
      const Json request = {{"do", "round"}, {"number", number}, {"pass", pass}, {"calls", count}};
      const Json answer = Json::parse(ask(request.dump()), nullptr, false);
      if (!answer.is_object() || !answer.contains("ms")) {
        const std::string reason = answer.is_object() ? answer.value("error", "") : "no answer";
        throw std::runtime_error("PyTorch: " + pass + " broke off: " + reason);
      }
      return answer["ms"].get<double>();
    };
    let_threads_sleep();
    if (*last < 30) *last = calls(1);
    return *last = calls(std::max(1, static_cast<int>(5 / (*last + 0.05))));
  };
  return {.name = "PyTorch",
          .version = version_,
          .note = note + (note.empty() ? "" : ", ") + item.forms.at(pass),
          .round = round};
}

double PyTorch::processor_seconds() const {
  std::ifstream file("/proc/" + std::to_string(child_) + "/stat");
  std::string field;
  double ticks = 0;
  // Fields 14 to 17 of proc(5): its own user and system time, and those of its finished children
  // (compilers). No field before them holds a space, the program's name being one word.
  for (int i = 1; i <= 17 && file >> field; ++i) ticks += i >= 14 ? std::stod(field) : 0;
  return ticks / double(sysconf(_SC_CLK_TCK));
}

void PyTorch::drop() { ask(R"({"do": "drop"})"); }

double run_program(const std::vector<std::string>& command) {
  return milliseconds([&] { output_of(command); });
}

double number_of_program(const std::vector<std::string>& command) {
  return std::stod(output_of(command));
}

}  // namespace serenade::bench
