#pragma once
// The items of `make bench`, by family. Each prints its table; the ratio that is asked of a row is
// written beside the item.

#include <cstdint>
#include <memory>
#include <string>

#include "tests/bench/peers/contest.h"
#include "tests/bench/peers/pytorch.h"

namespace serenade::bench {

/// What the items need to know about this run.
struct Setting {
  Report& report;
  PyTorch* pytorch;      ///< null where there is none
  std::string python;    ///< the program that pytorch was started with
  std::string serenade;  ///< the program, for items that run it whole
  std::string self;      ///< this program, for items that need a fresh process
  std::string folder;    ///< for files made on the way
  int threads;
};

/// A contender of this project.
Contender ours(std::function<void()> work);
/// A peer that is a plain loop or an earlier step of a ladder of this project.
Contender own(const std::string& name, const std::string& note, std::function<void()> work);

void convolution_items(const Setting& setting, std::int64_t kernel);  // 16 to 16 channels
void first_layer_items(const Setting& setting);                       // 1 to 8 channels
void image_convolution_items(const Setting& setting);                 // of networks for images
void depthwise_items(const Setting& setting);
void separable_items(const Setting& setting);  // the block of DARTS's cells
void gru_items(const Setting& setting);
void capsule_items(const Setting& setting);
void elementwise_items(const Setting& setting);
void normalisation_items(const Setting& setting);
void function_items(const Setting& setting);  // products, pools, losses
void every_function_items(const Setting& setting, const std::string& family);
void step_items(const Setting& setting, const std::string& system);
void supernet_items(const Setting& setting, const std::string& system);
void network_items(const Setting& setting, const std::string& name);
void memory_items(const Setting& setting);
void network_memory_items(const Setting& setting);
void predict_items(const Setting& setting);

/// The peak memory of a fresh process, in MiB: of this program with --memory, of PyTorch's script.
double our_peak(const Setting& setting, const std::string& what);
double pytorch_peak(const Setting& setting, const std::string& item, const std::string& arguments);

/// Three training steps in this process, then its peak memory in KiB on stdout; `what` is
/// "nothing", "<system> <mode>" for a supernet or "network <name>". The other half of our_peak.
void print_memory_of(const std::string& what);
/// Three steps of a network of network_items.
void run_network_steps(const std::string& name);

}  // namespace serenade::bench
