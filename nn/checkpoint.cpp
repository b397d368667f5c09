#include "nn/checkpoint.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "tensor/check.h"
#include "tensor/fnv.h"
#include "tensor/json.h"

namespace serenade {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "checkpoint.format";
constexpr const char* kVersion = "1";
constexpr const char* kHash = "checkpoint.hash";

void add_shape(Fnv& hash, const std::string& name, const Shape& shape) {
  hash.add_text(name);
  hash.add(shape.data(), shape.size() * sizeof shape[0]);
}

void add_tensors(Fnv& hash, const StateDict& tensors) {
  for (const auto& [name, tensor] : tensors) {
    add_shape(hash, name, tensor.shape());
    const Tensor dense = tensor.to(Device::cpu).contiguous();
    hash.add(dense.data(), static_cast<std::size_t>(dense.numel()) * sizeof(real));
  }
}

// The value of a key, which is then gone; "" where it is missing.
std::string take(Metadata& metadata, const char* key) {
  const auto node = metadata.extract(key);
  return node.empty() ? "" : node.mapped();
}

}  // namespace

void save_model(const std::string& path, const Module& module, const Metadata& metadata) {
  SafetensorsFile file;
  file.tensors = module.state_dict();
  file.metadata = metadata;
  write_safetensors(path, file);
}

Metadata load_model(const std::string& path, Module& module) {
  SafetensorsFile file = read_safetensors(path);
  check(file.integers.empty(), "load_model", path,
        ": a model file must hold only real numbers; got integers named '",
        file.integers.empty() ? "" : file.integers.begin()->first, "'");
  for (const auto& [name, tensor] : file.tensors) {
    const std::int64_t element = first_non_finite(tensor);
    check(element < 0, "load_model", path, ": every number must be finite; got '", name,
          "', element ", element, " of ", tensor.shape());
  }
  try {
    module.load_state_dict(file.tensors);
  } catch (const std::invalid_argument& error) {
    check(false, "load_model", path, " must hold the parameters of this model; ", error.what());
  }
  return std::move(file.metadata);
}

// Parts of a state --------------------------------------------------------------------------------

void add_part(SafetensorsFile& file, const std::string& prefix, const StateDict& tensors) {
  for (const auto& [name, tensor] : tensors) file.tensors[prefix + name] = tensor.to(Device::cpu);
}

StateDict part_of(const SafetensorsFile& file, const std::string& prefix) {
  StateDict found;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix)) found[name.substr(prefix.size())] = tensor;
  }
  return found;
}

void add_optimizer(SafetensorsFile& file, const std::string& prefix, const Optimizer& optimizer) {
  const OptimizerState state = optimizer.state_dict();
  add_part(file, prefix, state.tensors);
  const Json numbers = {{"learning_rate", state.learning_rate}, {"steps", state.steps}};
  file.metadata[prefix + "numbers"] = numbers.dump();
}

void load_optimizer(const SafetensorsFile& file, const std::string& prefix, Optimizer& optimizer) {
  const auto text = file.metadata.find(prefix + "numbers");
  check(text != file.metadata.end(), "load_optimizer", "'", prefix, "numbers' is missing");
  OptimizerState state;
  state.tensors = part_of(file, prefix);
  try {
    const Json numbers = parse_json<Json>(text->second, text->first);
    numbers.at("learning_rate").get_to(state.learning_rate);
    for (const auto& [name, count] : numbers.at("steps").items()) {
      state.steps[name] = json_integer(count, name);
    }
  } catch (const Json::exception& error) {
    check(false, "load_optimizer", "'", text->first, "' must be what was saved; ",
          json_reason(error));
  }
  optimizer.load_state_dict(state);
}

std::string content_hash(const StateDict& state) {
  Fnv hash;
  add_tensors(hash, state);
  return hash.hex();
}

std::string content_hash(const SafetensorsFile& file) {
  Fnv hash;
  add_tensors(hash, file.tensors);
  for (const auto& [name, integers] : file.integers) {
    add_shape(hash, name, integers.shape);
    hash.add(integers.values.data(), integers.values.size() * sizeof integers.values[0]);
  }
  for (const auto& [key, value] : file.metadata) {
    hash.add_text(key);
    hash.add_text(value);
  }
  return hash.hex();
}

// Checkpoints -------------------------------------------------------------------------------------

void Checkpoint::save(SafetensorsFile state) const {
  state.metadata[kFormat] = kVersion;
  const std::string hash = content_hash(state);
  state.metadata[kHash] = hash;
  std::error_code error;
  if (fs::exists(path_, error)) fs::rename(path_, path_ + ".previous", error);
  if (error) {
    throw std::runtime_error(path_ + ": cannot be renamed: " + error.message());
  }
  write_safetensors(path_, state);
}

std::optional<SafetensorsFile> Checkpoint::load() {
  std::optional<SafetensorsFile> state = load_whole(path_);
  return state ? std::move(state) : load_whole(path_ + ".previous");
}

std::optional<SafetensorsFile> Checkpoint::load_whole(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  if (!std::ifstream(path)) throw std::runtime_error(path + ": cannot be read");
  std::string reason = "its content does not fit its hash";
  SafetensorsFile state;
  try {
    state = read_safetensors(path);
  } catch (const std::runtime_error& error) {
    reason = error.what();
  }
  const std::string hash = take(state.metadata, kHash);
  if (hash == content_hash(state)) {
    if (take(state.metadata, kFormat) == kVersion) return state;
    throw std::runtime_error(path + ": written by a later version of this program");
  }
  fs::rename(path, path + ".damaged", ignored);
  damages_.push_back(path + ": damaged (" + reason + "); set aside as " + path + ".damaged");
  return std::nullopt;
}

void Checkpoint::remove() const {
  std::error_code ignored;
  fs::remove(path_, ignored);
  fs::remove(path_ + ".previous", ignored);
}

}  // namespace serenade
