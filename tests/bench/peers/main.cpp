// Serenade's kernels, training steps and program against oneDNN, im2col with OpenBLAS, and PyTorch,
// in one run.
//
//   bench_peers [--items conv,gru,..] [--threads 2] [--python PROGRAM] [--serenade PROGRAM]
//               [--json FILE] [--busy yes]
//
// Items: conv, first, image, gru, capsule, elementwise, normalisation, function, every,
// step, supernet, network, memory, predict; all by default. Some have parts: conv-5x5, step-gru, ..
// A peer that is not there is named in one line and left out. --busy: for a machine that does other
// work: one thread, and its processor time.

#include <omp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "apps/ser/models/recognizer.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/threads.h"
#include "tests/bench/peers/items.h"
#include "tests/bench/peers/onednn.h"
#include "tests/bench/timing.h"

namespace serenade::bench {

Contender ours(std::function<void()> work) {
  return local("ours", SERENADE_VERSION, "", std::move(work));
}

Contender own(const std::string& name, const std::string& note, std::function<void()> work) {
  return local(name, SERENADE_VERSION, note, std::move(work));
}

namespace {

struct Arguments {
  std::string items, python = "python3", serenade, json, memory;
  int threads = 2;
  bool busy = false;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 == argc) throw std::invalid_argument(name + " needs a value");
    const std::string value = argv[i + 1];
    if (name == "--items")
      arguments.items = value;
    else if (name == "--threads")
      arguments.threads = std::stoi(value);
    else if (name == "--python")
      arguments.python = value;
    else if (name == "--serenade")
      arguments.serenade = value;
    else if (name == "--json")
      arguments.json = value;
    else if (name == "--busy")
      arguments.busy = value == "yes";
    else if (name == "--memory")
      arguments.memory = value;
    else
      throw std::invalid_argument("no option " + name);
  }
  return arguments;
}

struct Family {
  const char* name;
  void (*run)(const Setting&);
};

constexpr Family kFamilies[] = {
    {"conv-5x5", [](const Setting& setting) { convolution_items(setting, 5); }},
    {"conv-6x6", [](const Setting& setting) { convolution_items(setting, 6); }},
    {"first", first_layer_items},
    {"image-conv", image_convolution_items},
    {"image-depthwise", depthwise_items},
    {"image-separable", separable_items},
    {"gru", gru_items},
    {"capsule", capsule_items},
    {"elementwise", elementwise_items},
    {"normalisation", normalisation_items},
    {"function", function_items},
    {"every-elementwise",
     [](const Setting& setting) { every_function_items(setting, "elementwise"); }},
    {"every-reduction", [](const Setting& setting) { every_function_items(setting, "reduction"); }},
    {"every-shape", [](const Setting& setting) { every_function_items(setting, "shape"); }},
    {"every-index", [](const Setting& setting) { every_function_items(setting, "index"); }},
    {"every-product", [](const Setting& setting) { every_function_items(setting, "product"); }},
    {"every-loss", [](const Setting& setting) { every_function_items(setting, "loss"); }},
    {"every-image", [](const Setting& setting) { every_function_items(setting, "image"); }},
    {"every-recurrent", [](const Setting& setting) { every_function_items(setting, "recurrent"); }},
    {"every-capsule", [](const Setting& setting) { every_function_items(setting, "capsule"); }},
    {"step-gru", [](const Setting& setting) { step_items(setting, ser::kGruAtt); }},
    {"step-capsule", [](const Setting& setting) { step_items(setting, ser::kSeqCap); }},
    {"supernet-gru", [](const Setting& setting) { supernet_items(setting, ser::kGruAtt); }},
    {"supernet-capsule", [](const Setting& setting) { supernet_items(setting, ser::kSeqCap); }},
    {"network-capsnet", [](const Setting& setting) { network_items(setting, "capsnet"); }},
    {"network-resnet", [](const Setting& setting) { network_items(setting, "resnet"); }},
    {"network-darts", [](const Setting& setting) { network_items(setting, "darts"); }},
    {"network-transformer", [](const Setting& setting) { network_items(setting, "transformer"); }},
    {"memory-supernet", memory_items},
    {"memory-network", network_memory_items},
    {"predict", predict_items},
};

// The families that a comma-separated list names, each by its whole name or by the part before the
// dash; all where the list is empty.
std::vector<Family> chosen(const std::string& items) {
  std::vector<Family> families;
  std::istringstream words(items);
  for (std::string word; std::getline(words, word, ',');) {
    const std::size_t before = families.size();
    for (const Family& family : kFamilies) {
      const std::string name = family.name;
      if (name == word || name.rfind(word + "-", 0) == 0) families.push_back(family);
    }
    if (families.size() == before) {
      std::string known;
      for (const Family& family : kFamilies) known += std::string(" ") + family.name;
      throw std::invalid_argument("no item '" + word + "'; there are" + known);
    }
  }
  if (families.empty()) families.assign(std::begin(kFamilies), std::end(kFamilies));
  return families;
}

void print_head(const PyTorch* pytorch, const Arguments& arguments) {
  char date[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::localtime(&now));
  std::printf("## Ours and its peers: %d threads, %s, float, %s, %s\n\n", cpu::thread_count(),
              cpu::to_string(cpu::active_isa()), processor().c_str(), date);
  std::printf("Contenders alternate; %s of 5 to 15 rounds. Ratio: peer's time / ours.\n\n",
              arguments.busy ? "the smallest processor time" : "medians");
  if (onednn::found())
    std::printf("- oneDNN %s: found\n", onednn::version().c_str());
  else
    std::printf("- oneDNN: not found at configure time (libdnnl-dev); its rows are left out\n");
  if (pytorch != nullptr) {
    std::printf("- PyTorch %s: found (%s)\n", pytorch->version().c_str(),
                pytorch->settings().c_str());
  } else {
    std::printf("- PyTorch: not found in %s (set PYTHON); its rows are left out\n",
                arguments.python.c_str());
  }
  std::printf("- im2col + OpenBLAS: this project's v1\n");
  std::fflush(stdout);
}

// Seconds that all processors together have worked since the start of the system.
double busy_seconds() {
  std::ifstream file("/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, stolen = 0;
  file >> name >> user >> nice >> system >> idle >> wait >> irq >> soft >> stolen;
  return (user + nice + system + irq + soft + stolen) / double(sysconf(_SC_CLK_TCK));
}

// Seconds that this process, its finished children and PyTorch have worked.
double own_seconds(const PyTorch* pytorch) {
  double seconds = pytorch != nullptr ? pytorch->processor_seconds() : 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    getrusage(who, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
      seconds += double(time.tv_sec) + 1e-6 * double(time.tv_usec);
    }
  }
  return seconds;
}

// Runs a family and says whether others used the processors meanwhile: beyond a tenth of one, the
// times are not to be trusted.
void run_watched(const Family& family, const Setting& setting) {
  const double busy = busy_seconds(), own = own_seconds(setting.pytorch);
  const double taken = 1e-3 * milliseconds([&] { family.run(setting); });
  const double others =
      std::max(0.0, (busy_seconds() - busy - (own_seconds(setting.pytorch) - own)) / taken);
  char text[120];
  std::snprintf(text, sizeof text, "\nOther processes used %.2f processors meanwhile%s.", others,
                others > 0.1 && !counts_processor_time() ? ": TIMES ARE DISTURBED" : "");
  setting.report.line(text);
  setting.report.others_used(others);
}

void run(const Arguments& arguments) {
  const std::vector<Family> families = chosen(arguments.items);
  const auto work = std::filesystem::temp_directory_path() /
                    ("serenade_bench_" + std::to_string(std::time(nullptr)));
  const auto cache = std::filesystem::temp_directory_path() / "serenade_bench_compiled";
  std::filesystem::create_directories(work);
  Report report;
  const auto pytorch = PyTorch::start(arguments.python, arguments.threads, cache.string());
  print_head(pytorch.get(), arguments);
  const Setting setting{.report = report,
                        .pytorch = pytorch.get(),
                        .python = arguments.python,
                        .serenade = arguments.serenade,
                        .self = std::filesystem::read_symlink("/proc/self/exe").string(),
                        .folder = work.string(),
                        .threads = arguments.threads};
  for (const Family& family : families) run_watched(family, setting);
  std::filesystem::remove_all(work);
  std::printf("\n%d of %d rows reach what is asked of them.\n",
              report.asking_rows() - report.short_rows(), report.asking_rows());
  if (!arguments.json.empty()) report.write_json(arguments.json);
}

}  // namespace
}  // namespace serenade::bench

int main(int argc, char** argv) try {
  auto arguments = serenade::bench::parse(argc, argv);
  if (arguments.busy) {
    arguments.threads = 1;
    serenade::bench::count_processor_time();
  }
  serenade::cpu::set_threads(arguments.threads);
  omp_set_num_threads(arguments.threads);  // of oneDNN and of plain loops
  if (!arguments.memory.empty()) {
    serenade::bench::print_memory_of(arguments.memory);
  } else {
    serenade::bench::run(arguments);
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_peers: %s\n", error.what());
  return 1;
}
