#pragma once
// A model's parameters in a safetensors file, which Python and other programs read as well.

#include <map>
#include <string>

#include "nn/module.h"

namespace serenade {

using Metadata = std::map<std::string, std::string>;

/// Writes all parameters and buffers under their dotted names, and the metadata. The file appears
/// whole or not at all. Throws std::runtime_error naming the path if it cannot be written.
void save_model(const std::string& path, const Module& module, const Metadata& metadata = {});

/// Reads the parameters and buffers of `module` from a file and returns its metadata. Throws
/// std::runtime_error naming the path if it cannot be read, and std::invalid_argument naming the
/// path and the first parameter at fault if it holds another model, or a number that is not finite;
/// then the module is unchanged.
Metadata load_model(const std::string& path, Module& module);

}  // namespace serenade
