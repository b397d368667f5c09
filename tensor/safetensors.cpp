#include "tensor/safetensors.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>

#include "tensor/check.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/safetensors_header.h"

namespace serenade {

namespace {

using nlohmann::json;
static_assert(std::endian::native == std::endian::little, "the container is little-endian");

std::string names_of(const SafetensorsFile& file) {
  std::string names;
  for (const auto& [name, tensor] : file.tensors) names += (names.empty() ? "" : ", ") + name;
  for (const auto& [name, integers] : file.integers) names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "none" : names;
}

void read_bytes(std::istream& in, const std::string& path, void* to, std::uint64_t bytes) {
  if (bytes > 0 && !in.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes))) {
    fail_safetensors(path, "cut short");
  }
}

// Reads `count` little-endian values stored as Stored into elements of type Wanted: straight to
// their place where the two are the same, else piece by piece.
template <class Stored, class Wanted>
void read_values(std::istream& in, const std::string& path, std::uint64_t count, Wanted* to) {
  if constexpr (std::is_same_v<Stored, Wanted>) {
    read_bytes(in, path, to, count * sizeof(Stored));
  } else {
    constexpr std::uint64_t kPiece = 1 << 14;
    std::vector<Stored> piece(std::min(count, kPiece));
    for (std::uint64_t done = 0; done < count; done += piece.size()) {
      piece.resize(std::min(count - done, kPiece));
      read_bytes(in, path, piece.data(), piece.size() * sizeof(Stored));
      for (std::size_t i = 0; i < piece.size(); ++i) to[done + i] = static_cast<Wanted>(piece[i]);
    }
  }
}

// The next tensor of the body.
void read_entry(std::istream& in, SafetensorsFile& file, const SafetensorsEntry& entry) {
  const std::uint64_t count = entry.count();
  if (entry.dtype[0] == 'F') {
    Tensor tensor = Tensor::empty(entry.shape);
    entry.dtype == "F64" ? read_values<double>(in, file.path, count, tensor.data())
                         : read_values<float>(in, file.path, count, tensor.data());
    file.tensors[entry.name] = std::move(tensor);
  } else {
    SafetensorsFile::Integers integers{entry.shape, std::vector<std::int64_t>(count)};
    entry.dtype == "I64" ? read_values<std::int64_t>(in, file.path, count, integers.values.data())
                         : read_values<std::int32_t>(in, file.path, count, integers.values.data());
    file.integers[entry.name] = std::move(integers);
  }
}

}  // namespace

const Tensor& SafetensorsFile::tensor(const std::string& name) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    throw std::runtime_error(path + ": no tensor named " + name + "; it holds " + names_of(*this));
  }
  return found->second;
}

const SafetensorsFile::Integers& SafetensorsFile::integer(const std::string& name) const {
  const auto found = integers.find(name);
  if (found == integers.end()) {
    throw std::runtime_error(path + ": no integers named " + name + "; it holds " +
                             names_of(*this));
  }
  return found->second;
}

SafetensorsFile read_safetensors(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw std::runtime_error(path + ": is not a regular file; a safetensors file must be one");
  }
  std::ifstream in(path, std::ios::binary);
  const std::uint64_t file_size = std::filesystem::file_size(path, error);
  if (!in || error) throw std::runtime_error(path + ": cannot be opened");

  // The header first: nothing is allocated by its word before it has been checked against the file.
  std::uint64_t header_size = 0;
  if (file_size < sizeof header_size) fail_safetensors(path, "cut short");
  read_bytes(in, path, &header_size, sizeof header_size);
  if (header_size > file_size - sizeof header_size) {
    fail_safetensors(path, "its header would be longer than the file");
  }
  if (header_size > kLongestSafetensorsHeader) {
    fail_safetensors(path, "its header is longer than the 100 MB that the format allows");
  }
  const std::uint64_t body_size = file_size - sizeof header_size - header_size;
  SafetensorsHeader header = parse_safetensors_header(in, header_size, body_size, path);
  SafetensorsFile file;
  file.path = path;
  file.metadata = std::move(header.metadata);
  for (const SafetensorsEntry& entry : header.entries) read_entry(in, file, entry);
  return file;
}

namespace {

// Text as JSON has it, in quotes. The header is written by hand, since a tree of JSON takes memory
// even to be given back, and running out of it there would end the program.
std::string json_text(const std::string& path, const std::string& text) {
  try {
    return json(text).dump();
  } catch (const json::exception&) {
    throw std::invalid_argument("write_safetensors: " + path +
                                ": names and metadata must be UTF-8");
  }
}

// Appends one member of an object that text is the beginning of, but for its value.
void append_key(std::string& text, const std::string& path, const std::string& key) {
  if (text.back() != '{') text += ',';
  text += json_text(path, key);
  text += ':';
}

}  // namespace

void write_safetensors(const std::string& path, const SafetensorsFile& file) {
  for (const auto& [name, integers] : file.integers) {
    check(!file.tensors.contains(name), "write_safetensors", "a name must be given once; got ",
          json_quoted(name), " twice");
    check(element_count(integers.shape) == std::ssize(integers.values), "write_safetensors",
          "the values must fill the shape; got ", integers.values.size(), " for ",
          json_quoted(name), " ", integers.shape);
  }
  std::map<std::string, std::string> entries;  // JSON by name
  std::uint64_t offset = 0;
  const auto describe = [&](const std::string& name, const char* dtype, const Shape& shape,
                            std::uint64_t bytes) {
    std::string sizes;
    for (const std::int64_t size : shape)
      sizes += (sizes.empty() ? "" : ",") + std::to_string(size);
    entries[name] = "{\"data_offsets\":[" + std::to_string(offset) + "," +
                    std::to_string(offset + bytes) + "],\"dtype\":\"" + dtype + "\",\"shape\":[" +
                    sizes + "]}";
    offset += bytes;
  };
  const char* dtype = sizeof(real) == 8 ? "F64" : "F32";
  for (const auto& [name, tensor] : file.tensors) {
    describe(name, dtype, tensor.shape(),
             static_cast<std::uint64_t>(tensor.numel()) * sizeof(real));
  }
  for (const auto& [name, integers] : file.integers) {
    describe(name, "I64", integers.shape, integers.values.size() * sizeof(std::int64_t));
  }
  constexpr const char* kMetadata = "__metadata__";
  if (!file.metadata.empty()) entries[kMetadata] = "";
  // Texts may be long, a search's history for instance, so there is one copy of each.
  std::string text = "{";
  for (const auto& [name, entry] : entries) {
    append_key(text, path, name);
    text += entry;
    if (name != kMetadata) continue;
    text += '{';
    for (const auto& [key, value] : file.metadata) {
      append_key(text, path, key);
      text += json_text(path, value);
    }
    text += '}';
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');

  write_file(path, [&](std::ostream& out) {
    const std::uint64_t header_size = text.size();
    const auto put = [&out](const void* data, std::size_t bytes) {
      out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
    };
    put(&header_size, sizeof header_size);
    put(text.data(), text.size());
    for (const auto& [name, tensor] : file.tensors) {
      const Tensor dense = tensor.to(Device::cpu).contiguous();
      put(dense.data(), static_cast<std::size_t>(dense.numel()) * sizeof(real));
    }
    for (const auto& [name, integers] : file.integers) {
      put(integers.values.data(), integers.values.size() * sizeof(std::int64_t));
    }
  });
}

}  // namespace serenade
