#include "apps/ser/training/model_file.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/error.h"
#include "nn/init.h"
#include "tensor/json.h"
#include "tensor/safetensors.h"

namespace serenade::ser {

namespace {

constexpr const char* kFormat = "serenade-recogniser-1";
constexpr const char* kClasses = "classes";
constexpr const char* kOrigin = "origin";
constexpr const char* kMean = "normalisation.mean";
constexpr const char* kDeviation = "normalisation.deviation";

Tensor as_tensor(const std::vector<float>& values) {
  return Tensor::from({values.begin(), values.end()}, {static_cast<std::int64_t>(values.size())});
}

std::vector<float> as_floats(const Tensor& tensor) {
  const std::vector<real> values = tensor.to_vector();
  return {values.begin(), values.end()};
}

// Models of before have the four.
std::vector<std::string> classes_of(const SafetensorsFile& file) {
  if (!file.metadata.contains(kClasses)) return class_names();
  return parse_json<nlohmann::json>(file.metadata.at(kClasses), "the names of its classes")
      .get<std::vector<std::string>>();
}

}  // namespace

void write_model(const std::string& path, const Config& config, const Genotype& genotype,
                 const Normalisation& normalisation, const Recognizer& recognizer,
                 const std::optional<ModelOrigin>& origin) {
  SafetensorsFile file;
  for (const auto& [name, value] : recognizer.state_dict()) file.tensors[name] = value;
  if (normalisation.kind != NormalisationKind::per_utterance) {
    file.tensors[kMean] = as_tensor(normalisation.mean);
    file.tensors[kDeviation] = as_tensor(normalisation.stddev);
  }
  Config settings = config;
  settings.corpus = settings.genotype = settings.cache = "";  // of this machine alone
  file.metadata = {{"format", kFormat},
                   {"config", to_json(settings)},
                   {"genotype", serenade::to_json(genotype)},
                   {kClasses, nlohmann::json(config.classes).dump()}};
  if (origin) file.metadata[kOrigin] = to_json(*origin);
  try {
    write_safetensors(path, file);
  } catch (const std::runtime_error& error) {
    throw IoError(error.what());
  }
}

ModelFile read_model(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw InputError(path + ": a folder, not a model file; runs keep theirs in model.safetensors");
  }
  try {
    SafetensorsFile file = read_safetensors(path);
    if (!file.metadata.contains("format") || file.metadata.at("format") != kFormat) {
      throw InputError(path + ": not a model of this program (no '" + std::string(kFormat) +
                       "' in its metadata); train one with `serenade train`");
    }
    for (const char* key : {"config", "genotype"}) {
      if (file.metadata.contains(key)) continue;
      throw InputError(path + ": damaged: its metadata lack '" + key +
                       "'; train the model again with `serenade train`");
    }
    // Before anything is made of them: a number that is none would only make every answer wrong.
    for (const auto& [name, tensor] : file.tensors) {
      const std::int64_t element = first_non_finite(tensor);
      if (element < 0) continue;
      throw InputError(path + ": damaged: element " + std::to_string(element) + " of '" + name +
                       "' is not a finite number; take another copy, or train it again");
    }
    ModelFile model;
    model.config = stored_config(file.metadata.at("config"), path);
    model.config.resolve();
    model.config = model.config.with_classes(classes_of(file));
    if (file.metadata.contains(kOrigin)) {
      model.origin = origin_from_json(file.metadata.at(kOrigin));
    }
    model.genotype = genotype_from_json(file.metadata.at("genotype"), path);
    model.normalisation.kind = model.config.normalisation;
    if (model.normalisation.kind != NormalisationKind::per_utterance) {
      model.normalisation.mean = as_floats(file.tensor(kMean));
      model.normalisation.stddev = as_floats(file.tensor(kDeviation));
      const auto rows = static_cast<std::size_t>(model.config.features.rows());
      if (model.normalisation.mean.size() != rows || model.normalisation.stddev.size() != rows) {
        throw InputError(path + ": its normalisation does not have one value per frequency row");
      }
      if (std::any_of(model.normalisation.stddev.begin(), model.normalisation.stddev.end(),
                      [](float deviation) { return deviation <= 0; })) {
        throw InputError(path +
                         ": damaged: its normalisation has a deviation that is not positive");
      }
      file.tensors.erase(kMean);
      file.tensors.erase(kDeviation);
    }
    const init::SkipInit weights_come_from_the_file;
    model.recognizer = make_recognizer(model.config.options, model.genotype);
    model.recognizer->load_state_dict(file.tensors);
    model.recognizer->to(compute_device());
    model.recognizer->eval();
    return model;
  } catch (const InputError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    const std::string what = error.what();
    throw InputError(what.rfind(path, 0) == 0 ? what : path + ": " + what);
  }
}

}  // namespace serenade::ser
