#include "nn/checkpoint.h"

#include <stdexcept>
#include <utility>

#include "tensor/check.h"
#include "tensor/safetensors.h"

namespace serenade {

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

}  // namespace serenade
