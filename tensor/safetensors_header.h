#pragma once
// The header of a safetensors file, read as a stream: what is kept is what a valid header says, and
// nothing is kept of an invalid one.

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include "tensor/shape.h"

namespace serenade {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;  ///< "F32", "F64", "I32" or "I64"
  Shape shape;
  std::uint64_t begin = 0, end = 0;  ///< bytes of the body

  std::uint64_t count() const;  ///< elements
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  ///< in the order of their bytes
  std::map<std::string, std::string> metadata;
};

/// Limits of a header, the format's own and ours.
inline constexpr std::uint64_t kLongestSafetensorsHeader = 100'000'000;
inline constexpr std::size_t kMostSafetensorsNames = 100'000;
inline constexpr std::size_t kLongestSafetensorsName = 1 << 16;

/// Reads the `header_bytes` bytes of a header whose body has `body_bytes` more, and no byte behind
/// them. Throws std::runtime_error naming
/// the file and the byte or the tensor where it is not what the format says: an object of objects
/// of dtype, shape and data_offsets, nothing twice and nothing deeper; sizes and offsets whole
/// numbers; each range as long as its tensor; the ranges side by side from the first byte of the
/// body to its last.
SafetensorsHeader parse_safetensors_header(std::istream& in, std::uint64_t header_bytes,
                                           std::uint64_t body_bytes, const std::string& path);

/// Throws std::runtime_error("path: not a valid safetensors file: what").
[[noreturn]] void fail_safetensors(const std::string& path, const std::string& what);

}  // namespace serenade
