#include "apps/ser/cli/config_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <iostream>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/error.h"
#include "apps/ser/corpus/label_choice.h"
#include "apps/ser/training/search.h"
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

std::string in_options(std::string message) {
  const auto is_word = [&](std::size_t at) {
    return at < message.size() &&
           (std::isalnum(static_cast<unsigned char>(message[at])) || message[at] == '_');
  };
  for (const Setting& setting : config_settings()) {
    const std::string &key = setting.key, option = option_of_key(key);
    if (key.find('_') == std::string::npos) continue;
    for (std::size_t at = 0; (at = message.find(key, at)) != std::string::npos;) {
      const bool whole = (at == 0 || !is_word(at - 1)) && !is_word(at + key.size());
      if (whole) message.replace(at, key.size(), option);
      at += whole ? option.size() : key.size();
    }
  }
  return message;
}

std::vector<std::string> search_keys() {
  std::vector<std::string> keys;
  for (const Setting& setting : config_settings()) {
    if (setting.is_of_search()) keys.push_back(setting.key);
  }
  return keys;
}

void print_remarks(const Config& config) {
  for (const std::string& remark :
       make_strategy(config, baseline_genotype(config.options))->remarks()) {
    std::cerr << "note: " << in_options(remark) << "\n";
  }
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
        ->type_name(setting.values + (is_flag ? "=" + default_value : ""))
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
  if (values_.contains("preset")) set_value(config, "preset", values_.at("preset"), "--preset");
  for (const auto& [key, value] : values_) {
    if (key != "preset") set_value(config, key, value, option_of_key(key));
  }
  told_in_options([&] { config.resolve(); });
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

void ConfigOptions::remark_unread(const Config& config,
                                  const std::vector<std::string>& strategies) const {
  std::vector<std::string> unread;
  for (const Setting& setting : config_settings()) {
    if (!values_.contains(setting.key)) continue;
    const bool read = std::any_of(strategies.begin(), strategies.end(), [&](const auto& strategy) {
      Config one = config;
      one.strategy = strategy;
      return is_read(setting, one);
    });
    if (read) continue;
    unread.push_back(option_of_key(setting.key) + " (of " +
                     (setting.of_supernets ? "a supernet" : join(setting.strategies, ", ")) + ")");
  }
  if (unread.empty()) return;
  std::cerr << "note: not read by " << join(strategies, ", ") << ": " << join(unread, ", ") << "\n";
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
