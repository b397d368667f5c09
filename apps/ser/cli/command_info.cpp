// `serenade info`: what the systems are made of, and what this build is.

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/ser/cli/commands.h"
#include "apps/ser/cli/config_options.h"
#include "apps/ser/common/text_table.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cuda_device.h"
#include "kernels/runtime/threads.h"

namespace serenade::ser {

namespace {

using Json = nlohmann::ordered_json;

struct InfoOptions {
  ConfigOptions settings{[] {
    Config defaults;
    set_value(defaults, "preset", "paper");
    return defaults;
  }()};
  MachineOptions machine;
  bool json = false;
};

Json system_json(const std::string& name, const Config& config) {
  RecognizerOptions options = config.options;
  options.name = name;
  const auto system = make_recognizer(options, baseline_genotype(options));
  const SearchSpace space = search_space(options);
  Json parts = Json::object();
  for (const PartCount& part : part_counts(*system)) parts[part.name] = part.parameters;
  return {{"parameters", system->parameter_count()},
          {"parts", parts},
          {"supernet_parameters", make_supernet(options)->parameter_count()},
          {"architectures", space.is_countable() ? Json(space.size()) : Json(nullptr)},
          {"space_hash", space.hash()},
          {"baseline", baseline_genotype(options).summary()}};
}

Json build_json() {
  return {{"version", SERENADE_VERSION},
          {"compiler", "GCC-compatible " __VERSION__},
          {"real", sizeof(real) == 4 ? "float" : "double"},
          {"instruction_set", cpu::to_string(cpu::active_isa())},
          {"threads", cpu::thread_count()},
          {"cuda", kHasCuda}};
}

// The devices that `--device` can name here, and why not the GPU if not.
Json devices_json() {
  Json devices = Json::array({"cpu"});
  if (cuda_device().usable) devices.push_back("cuda");
  return devices;
}

std::string gpu_text() {
  const CudaDevice gpu = cuda_device();
  if (!gpu.usable) return "none (" + gpu.reason + ")";
  return gpu.name + ", compute capability " + std::to_string(gpu.compute_capability / 10) + "." +
         std::to_string(gpu.compute_capability % 10) + ", " +
         std::to_string(gpu.memory_bytes >> 30) + " GiB";
}

void print_text(const Json& document, const Config& config) {
  std::cout << "preset " << config.preset << ": " << config.options.bins << " frequency rows\n";
  for (const auto& [name, system] : document["systems"].items()) {
    TextTable table({{name, Align::left}, {"parameters", Align::right}});
    for (const auto& [part, count] : system["parts"].items()) {
      table.add_row({part, grouped(count.get<std::int64_t>())});
    }
    table.add_rule();
    table.add_row({"total", grouped(system["parameters"].get<std::int64_t>())});
    std::cout << "\n"
              << table.to_text() << "hand-made: " << system["baseline"].get<std::string>()
              << "\nsupernet:  " << grouped(system["supernet_parameters"].get<std::int64_t>())
              << " parameters, "
              << (system["architectures"].is_null()
                      ? "more than 2^63"
                      : grouped(system["architectures"].get<std::int64_t>()))
              << " architectures\n";
  }
  const Json& build = document["build"];
  std::cout << "\nserenade " << build["version"].get<std::string>() << ", "
            << build["real"].get<std::string>() << ", "
            << build["instruction_set"].get<std::string>() << " kernels, " << build["threads"]
            << " threads\nGPU: " << gpu_text() << "\n";
}

void run_info(const InfoOptions& options) {
  options.machine.apply();
  const Config config = options.settings.config();
  Json document;
  document["preset"] = config.preset;
  for (const SystemRow& row : systems()) {
    document["systems"][row.name] = system_json(row.name, config);
  }
  document["build"] = build_json();
  document["devices"] = devices_json();
  document["gpu"] = gpu_text();
  if (options.json) {
    std::cout << document.dump(2) << std::endl;
  } else {
    print_text(document, config);
  }
}

void set_up_info(CLI::App& command) {
  auto options = std::make_shared<InfoOptions>();
  command.add_flag("--json", options->json, "one JSON document on stdout");
  options->settings.add_to(command);
  options->machine.add_to(command);
  command.callback([options] { run_info(*options); });
}

}  // namespace

Command info_command() {
  return {"info", "parameters of the systems and their parts; build, threads, devices",
          set_up_info};
}

}  // namespace serenade::ser
