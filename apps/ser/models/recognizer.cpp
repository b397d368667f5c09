#include "apps/ser/models/recognizer.h"

#include "apps/ser/common/error.h"
#include "apps/ser/models/shared_cnn.h"
#include "nn/init.h"
#include "tensor/check.h"

namespace serenade::ser {

namespace {

const SystemRow& checked_system(const RecognizerOptions& options) {
  const SystemRow& row = find_system(options.name);
  check(options.bins >= kBinPooling, "system", "at least ", kBinPooling,
        " frequency bins are needed (they are pooled by that); got ", options.bins);
  check(options.classes >= 2, "system", "at least two classes; got ", options.classes);
  return row;
}

}  // namespace

const SystemRow& find_system(const std::string& name) {
  std::string known;
  for (const SystemRow& row : systems()) {
    if (row.name == name) return row;
    known += (known.empty() ? "" : ", ") + row.name;
  }
  throw InputError("unknown system '" + name + "'; there are " + known);
}

SearchSpace search_space(const RecognizerOptions& options) {
  return checked_system(options).search_space(options);
}

Genotype baseline_genotype(const RecognizerOptions& options) {
  return checked_system(options).baseline(options);
}

std::unique_ptr<Recognizer> make_recognizer(const RecognizerOptions& options,
                                            const Genotype& genotype) {
  const SystemRow& row = checked_system(options);
  Builder builder(row.search_space(options), genotype);
  return row.make(options, builder);
}

std::unique_ptr<Recognizer> make_supernet(const RecognizerOptions& options) {
  const SystemRow& row = checked_system(options);
  Builder builder(row.search_space(options));
  return row.make(options, builder);
}

std::unique_ptr<Recognizer> make_supernet(const RecognizerOptions& options, const OneShot& method) {
  const SystemRow& row = checked_system(options);
  check(method.space().hash() == row.search_space(options).hash(), "system",
        "the method must search the space of ", row.name);
  Builder builder(method);
  return row.make(options, builder);
}

std::vector<PartCount> part_counts(const Module& recognizer) {
  std::vector<PartCount> parts;
  for (const auto& [name, module] : recognizer.children()) {
    if (module->parameter_count() == 0) continue;
    // Capsules are three parts of the paper's text; the others are one each.
    if (name == "capsules") {
      for (const PartCount& inner : part_counts(*module)) {
        parts.push_back({name + "." + inner.name, inner.parameters});
      }
    } else {
      parts.push_back({name, module->parameter_count()});
    }
  }
  return parts;
}

std::int64_t count_parameters(const RecognizerOptions& options, const Genotype& genotype) {
  const init::SkipInit no_values;
  return make_recognizer(options, genotype)->parameter_count();
}

std::int64_t count_macs(const RecognizerOptions& options, const Genotype& genotype,
                        std::int64_t frames) {
  const init::SkipInit no_values;
  return make_recognizer(options, genotype)->macs(frames);
}

std::int64_t weight_count(const Module& module) {
  std::int64_t count = 0;
  for (const auto& [name, parameter] : module.named_parameters()) {
    if (name.find("bias") == std::string::npos) count += parameter.numel();
  }
  return count;
}

}  // namespace serenade::ser
