#include "apps/ser/cli/config_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/error.h"
#include "apps/ser/corpus/label_choice.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/threads.h"
#include "tensor/text.h"

namespace serenade::ser {

std::string option_of_key(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return "--" + key;
}

std::string key_of_option(std::string option) {
  option.erase(0, option.find_first_not_of('-'));
  std::replace(option.begin(), option.end(), '-', '_');
  return option;
}

void ConfigOptions::add_to(CLI::App& command, const std::vector<std::string>& without) {
  command.add_option("--config", file_, "JSON file of settings; options given here override it")
      ->group("Settings")
      ->type_name("FILE");
  for (const Setting& setting : config_settings()) {
    if (std::find(without.begin(), without.end(), setting.key) != without.end()) continue;
    const std::string default_value = setting.get(defaults_);
    const bool of_some = !setting.strategies.empty();
    const bool is_flag = setting.values == "true|false";  // `--final` alone is `--final true`
    command
        .add_option_function<std::string>(
            option_of_key(setting.key),
            [this, is_flag, key = setting.key](const std::string& text) {
              values_[key] = is_flag && text.empty() ? "true" : text;
            },
            of_some ? join(setting.strategies, ", ") + ": " + setting.help : setting.help)
        ->group(of_some ? "Settings of single strategies" : "Settings")
        ->type_name(setting.values + (is_flag ? " [" + default_value + "]" : ""))
        ->expected(is_flag ? 0 : 1, 1)
        // What stands for a value that is left out.
        ->default_str(is_flag                 ? ""
                      : default_value.empty() ? "none"
                                              : default_value);
  }
}

Config ConfigOptions::config(const std::optional<Config>& stored) const {
  Config config = stored.value_or(defaults_);
  if (!file_.empty()) config = read_config(file_, config);
  // The preset sets other settings, so it goes before them.
  if (values_.contains("preset")) set_value(config, "preset", values_.at("preset"));
  for (const auto& [key, value] : values_) {
    if (key != "preset") set_value(config, key, value);
  }
  config.resolve();
  return config;
}

void LabelOptions::add_to(CLI::App& command) {
  const auto add = [&](const char* name, std::string& text, const std::string& help,
                       const std::string& values) {
    command.add_option(name, text, help)->type_name(values);
  };
  add("--corpus-kind", kind, "how the corpus is read", join(corpus_names(), "|"));
  add("--label-set", set, "which recordings count", join(label_set_names(), "|"));
  add("--labels", labels, "the classes, separated by commas", "A,B,..");
  add("--map", map, "JSON file of what labels count as; null: left out", "FILE");
}

CorpusSpec LabelOptions::spec(const std::string& root) const {
  CorpusSpec spec{.root = root, .classes = label_names(labels), .map = label_map_text(map)};
  if (!kind.empty()) spec.kind = kind;
  if (!set.empty()) spec.labels = set;
  return spec;
}

void OutputOptions::add_to(CLI::App& command) {
  command.add_option("--out", folder, "folder of the results")->type_name("FOLDER");
  auto* resume_flag =
      command.add_flag("--resume", resume, "continue what --out has begun, with its settings");
  command.add_flag("--replace", replace, "start over; what --out holds gives way when all is done")
      ->excludes(resume_flag);
  command
      .add_option("--checkpoint-minutes", checkpoint_minutes,
                  "keep the state of long epochs so often; 0: after every step")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
}

std::optional<Config> OutputOptions::stored() const {
  if (!resume) return std::nullopt;
  if (folder.empty()) throw InputError("--resume: give --out FOLDER, the folder to be resumed");
  return stored_folder_config(folder);
}

OverwritePolicy OutputOptions::overwrite() const {
  return replace  ? OverwritePolicy::replace
         : resume ? OverwritePolicy::resume
                  : OverwritePolicy::refuse;
}

void add_threads_option(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "threads; 0: one per processor that may be used")
      ->check(CLI::Range(0, cpu::kMostThreads));
}

void use_threads(int threads) {
  if (threads > 0) cpu::set_threads(threads);
}

void MachineOptions::add_to(CLI::App& command) {
  add_threads_option(command, threads);
  command
      .add_option("--device", device,
                  "auto: the GPU if there is one; cudnn: cuda with cuDNN's convolutions")
      ->type_name(join(device_words(), "|"));
  command.add_flag("--tf32", tf32, "on the GPU: faster products of 10-bit factors");
}

void MachineOptions::apply() const {
  choose_compute_device(device, tf32);
  try {
    cpu::active_isa();  // so that a wrong SERENADE_ISA is told before any work
  } catch (const std::invalid_argument& error) {
    throw InputError(error.what());
  }
  use_threads(threads);
}

}  // namespace serenade::ser
