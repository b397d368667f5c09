// Whole training steps: gradients dropped, forward, cross-entropy, backward, Adam. Each system as a
// single architecture and as a supernet, in the presets `small` (200 bins, 16 utterances of two
// seconds) and `paper` (4,096 bins). Ours and PyTorch's start from the same weights and batch, and
// must agree on the number of parameters and on the loss.

#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <vector>

#include "apps/ser/models/recognizer.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/supernet_search.h"
#include "nn/optim.h"
#include "tensor/random.h"
#include "tensor/safetensors.h"
#include "tests/bench/peers/items.h"

namespace serenade::bench {

namespace {

constexpr std::int64_t kFrames = 200, kClasses = 4;

struct Size {
  const char* preset;
  std::int64_t bins, batch;
};

// The same network in the same state, once for ours and once for a peer.
struct Network {
  ser::RecognizerOptions options;
  std::unique_ptr<OneShot> method;  // of a supernet
  std::unique_ptr<ser::Recognizer> system;
  Tensor x;
  Indices labels;

  Network(const std::string& name, const Size& size, const std::string& mode) {
    options.name = name;
    options.bins = size.bins;
    manual_seed(7);
    if (mode == "none") {
      system = make_recognizer(options, baseline_genotype(options));
    } else {
      method = make_one_shot(mode, search_space(options), {});
      system = make_supernet(options, *method);
    }
    x = Tensor::empty({size.batch, 1, size.bins, kFrames});
    fill_normal_(x, 0, 1, {7, Purpose::test, 1});
    for (std::int64_t i = 0; i < size.batch; ++i) labels.push_back(i % kClasses);
  }

  Variable loss() { return cross_entropy(system->forward(x), labels); }

  double loss_value() {
    const NoGrad no_graph;
    return loss().item();
  }

  void write(const std::string& path) const {
    SafetensorsFile file;
    for (const auto& [name, value] : system->state_dict()) file.tensors[name] = value;
    std::vector<real> numbers(labels.begin(), labels.end());
    file.tensors["input"] = x;
    file.tensors["labels"] = Tensor::from(numbers, {static_cast<std::int64_t>(labels.size())});
    write_safetensors(path, file);
  }
};

std::function<void()> single_step(const std::shared_ptr<Network>& network) {
  const auto adam = std::make_shared<Adam>(network->system->named_parameters(), Adam::Options{});
  return [network, adam] {
    adam->zero_grad();
    backward(network->loss());
    adam->step();
  };
}

// A weight step of the search; in joint mode it updates the alphas too.
std::function<void()> supernet_step(const std::shared_ptr<Network>& network) {
  const auto search = std::make_shared<SupernetSearch>(*network->system, *network->method);
  return [network, search] { search->weight_step([&] { return network->loss(); }); };
}

std::string arguments(const std::string& name, const Size& size, const std::string& mode,
                      bool merged, const std::string& weights) {
  nlohmann::json json = {{"name", name},
                         {"bins", size.bins},
                         {"batch", size.batch},
                         {"mode", mode},
                         {"merged", merged}};
  if (!weights.empty()) json["weights"] = weights;
  return json.dump();
}

// PyTorch's step from the same weights; its note tells whether it is the same network.
std::optional<Contender> pytorch_step(const Setting& setting, const std::string& name,
                                      const Size& size, const std::string& mode, bool merged,
                                      Network& network, double loss, double asked) {
  if (setting.pytorch == nullptr) return std::nullopt;
  const std::string weights = setting.folder + "/step.safetensors";
  network.write(weights);
  const auto item = setting.pytorch->prepare("step", arguments(name, size, mode, merged, weights));
  std::remove(weights.c_str());
  if (!item) return std::nullopt;
  const auto parameters = static_cast<std::int64_t>(item->facts.at("parameters"));
  const double difference = std::abs(item->facts.at("loss") - loss);
  const bool same = parameters == network.system->parameter_count() && difference < 1e-4;
  char note[80];
  std::snprintf(note, sizeof note, "%ld parameters, loss %s by %.0e", long(parameters),
                same ? "agrees" : "DIFFERS", difference);
  Contender contender = setting.pytorch->contender(*item, "step", note);
  if (mode != "none") contender.name += merged ? ", merged" : ", naive";
  return asking(std::move(contender), asked);
}

std::string label(const std::string& name, const Size& size) {
  return name + ", " + size.preset + ", batch " + std::to_string(size.batch);
}

}  // namespace

void step_items(const Setting& setting, const std::string& name) {
  setting.report.heading("Training step of a single architecture, " + name);
  for (const Size& size : {Size{"small", 200, 16}, Size{"paper", 4096, 1}, {"paper", 4096, 4}}) {
    const auto network = std::make_shared<Network>(name, size, "none");
    const double loss = network->loss_value();
    setting.report.contest(label(name, size), ours(single_step(network)),
                           {pytorch_step(setting, name, size, "none", false, *network, loss, 2.5)});
    if (setting.pytorch != nullptr) setting.pytorch->drop();
  }
}

void supernet_items(const Setting& setting, const std::string& name) {
  setting.report.heading("Supernet step, " + name);
  for (const Size& size : {Size{"small", 200, 16}, Size{"paper", 4096, 1}}) {
    for (const char* mode : {"joint", "dropout"}) {
      const auto network = std::make_shared<Network>(name, size, mode);
      const double loss = network->loss_value();
      // Naive first: only the first of the two needs the weights that the loss was taken of.
      std::vector<std::optional<Contender>> peers = {
          pytorch_step(setting, name, size, mode, false, *network, loss, 8),
          pytorch_step(setting, name, size, mode, true, *network, loss, 2.2)};
      const auto single = std::make_shared<Network>(name, size, "none");
      peers.push_back(own("own single step", "of the hand-made architecture", single_step(single)));
      // Asked in joint mode: a supernet step costs at most 1.3 single ones.
      peers.back()->asked = network->method->trains_jointly() ? 1 / 1.3 : 0;
      setting.report.contest(std::string(mode) + ", " + label(name, size),
                             ours(supernet_step(network)), peers);
      if (setting.pytorch != nullptr) setting.pytorch->drop();
    }
  }
}

// Memory: every number is the peak of a process of its own, as the system counts it ---------------

double our_peak(const Setting& setting, const std::string& what) {
  return number_of_program(
             {setting.self, "--threads", std::to_string(setting.threads), "--memory", what}) /
         1024;
}

double pytorch_peak(const Setting& setting, const std::string& item, const std::string& arguments) {
  return number_of_program({setting.python, pytorch_script(), std::to_string(setting.threads),
                            "--memory", item, arguments}) /
         1024;
}

void memory_items(const Setting& setting) {
  setting.report.heading("Peak memory of a supernet step, preset paper, batch 1 (fresh processes)");
  const Size size = {"paper", 4096, 1};
  if (setting.pytorch == nullptr)
    return setting.report.line("PyTorch is not there to compare with.");
  const Contender naive{.name = "PyTorch, naive",
                        .version = setting.pytorch->version(),
                        .note = "",
                        .round = nullptr,
                        .asked = 4};
  const double idle = our_peak(setting, "nothing");
  const double idle_peer = pytorch_peak(setting, "nothing", "{}");
  for (const char* name : {ser::kGruAtt, ser::kSeqCap}) {
    const std::string what = std::string(name) + ", joint";
    const double used = our_peak(setting, std::string(name) + " joint");
    const double used_peer =
        pytorch_peak(setting, "step", arguments(name, size, "joint", false, ""));
    setting.report.row(what + ", whole process", used, naive, used_peer, "MiB",
                       "peak resident memory, default heap");
    setting.report.row(what + ", above an idle process", used - idle, asking(naive, 0),
                       used_peer - idle_peer, "MiB", "without what the program itself takes");
  }
}

void print_memory_of(const std::string& what) {
  std::istringstream words(what);
  std::string name, mode;
  words >> name >> mode;
  if (name == "network") {
    run_network_steps(mode);
  } else if (name != "nothing") {
    const auto network = std::make_shared<Network>(name, Size{"paper", 4096, 1}, mode);
    const auto step = supernet_step(network);
    for (int i = 0; i < 3; ++i) step();
  }
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) std::printf("%ld\n", std::stol(line.substr(6)));
  }
}

}  // namespace serenade::bench
