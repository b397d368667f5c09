#pragma once
// The safetensors container: an 8-byte little-endian header length, a JSON header that gives each
// tensor's dtype, shape and byte range, then raw little-endian data.
// Format: https://huggingface.co/docs/safetensors (section "Format").

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace serenade {

/// What one file holds. F64 and F32 become `tensors` (as `real`), I64 and I32 become `integers`.
struct SafetensorsFile {
  struct Integers {
    Shape shape;
    std::vector<std::int64_t> values;
  };
  std::map<std::string, Tensor> tensors;
  std::map<std::string, Integers> integers;
  std::map<std::string, std::string> metadata;

  /// The tensor of that name; throws naming the file and the names there are.
  const Tensor& tensor(const std::string& name) const;
  const Integers& integer(const std::string& name) const;
  bool has(const std::string& name) const {
    return tensors.contains(name) || integers.contains(name);
  }

  std::string path;  ///< where it was read from, for messages
};

/// Reads a regular file; throws std::runtime_error naming the path and what is wrong with it
/// (missing, cut short, bad header, ranges that overlap, leave a hole or leave the file; the rules
/// stand at parse_safetensors_header). The header is checked against the file before anything is
/// allocated for the tensors.
SafetensorsFile read_safetensors(const std::string& path);

/// Writes tensors (as F32 or F64, whatever `real` is), integers (as I64) and metadata. The file
/// appears whole or not at all: it is written beside its name and then renamed. Throws
/// std::invalid_argument for names or metadata that are not UTF-8.
void write_safetensors(const std::string& path, const SafetensorsFile& file);

}  // namespace serenade
