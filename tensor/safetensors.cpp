#include "tensor/safetensors.h"

#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tensor/files.h"

namespace serenade {

namespace {

using nlohmann::json;
static_assert(std::endian::native == std::endian::little, "the container is little-endian");

constexpr std::uint64_t kLongestHeader = 100'000'000;  // the format's own limit

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": not a valid safetensors file: " + what);
}

std::string names_of(const SafetensorsFile& file) {
  std::string names;
  for (const auto& [name, tensor] : file.tensors) names += (names.empty() ? "" : ", ") + name;
  for (const auto& [name, integers] : file.integers) names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "none" : names;
}

// Reads `count` little-endian values stored as Stored into elements of type Wanted.
template <class Stored, class Wanted>
void convert(const char* bytes, std::int64_t count, Wanted* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    Stored value;
    std::memcpy(&value, bytes + static_cast<std::size_t>(i) * sizeof value, sizeof value);
    to[i] = static_cast<Wanted>(value);
  }
}

std::size_t size_of_dtype(const std::string& path, const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64") return 8;
  if (dtype == "F32" || dtype == "I32") return 4;
  fail(path, "dtype " + dtype + " is not supported (F32, F64, I32, I64 are)");
}

// One entry of the header, with its range checked against the body.
void read_entry(SafetensorsFile& file, const std::string& name, const json& entry,
                const std::vector<char>& body) {
  const std::string dtype = entry.at("dtype").get<std::string>();
  const Shape shape = entry.at("shape").get<Shape>();
  const auto range = entry.at("data_offsets").get<std::vector<std::uint64_t>>();
  std::uint64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0) fail(file.path, "tensor " + name + " has a negative size");
    if (size > 0 && count > body.size() / static_cast<std::uint64_t>(size) + 1) {
      fail(file.path, "tensor " + name + " is larger than the file");
    }
    count *= static_cast<std::uint64_t>(size);
  }
  if (range.size() != 2 || range[0] > range[1] || range[1] > body.size() ||
      range[1] - range[0] != count * size_of_dtype(file.path, dtype)) {
    fail(file.path, "tensor " + name + " has a byte range that does not fit its shape or the file");
  }
  const char* bytes = body.data() + range[0];
  const auto n = static_cast<std::int64_t>(count);
  if (dtype[0] == 'F') {
    Tensor tensor = Tensor::empty(shape);
    dtype == "F64" ? convert<double>(bytes, n, tensor.data())
                   : convert<float>(bytes, n, tensor.data());
    file.tensors[name] = tensor;
  } else {
    SafetensorsFile::Integers integers{shape, std::vector<std::int64_t>(count)};
    dtype == "I64" ? convert<std::int64_t>(bytes, n, integers.values.data())
                   : convert<std::int32_t>(bytes, n, integers.values.data());
    file.integers[name] = std::move(integers);
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
  std::ifstream in(path, std::ios::binary);
  std::error_code ignored;
  if (!in || std::filesystem::is_directory(path, ignored)) {
    throw std::runtime_error(path + ": cannot be opened");
  }
  const auto file_size = static_cast<std::uint64_t>(std::filesystem::file_size(path));
  std::uint64_t header_size = 0;
  if (file_size < 8 || !in.read(reinterpret_cast<char*>(&header_size), 8)) fail(path, "cut short");
  if (header_size > kLongestHeader || header_size > file_size - 8) {
    fail(path, "its header would be longer than the file");
  }
  std::string header(header_size, '\0');
  std::vector<char> body(file_size - 8 - header_size);
  in.read(header.data(), static_cast<std::streamsize>(header.size()));
  in.read(body.data(), static_cast<std::streamsize>(body.size()));
  if (!in) fail(path, "cut short");

  SafetensorsFile file;
  file.path = path;
  try {
    const json document = json::parse(header);
    for (const auto& [name, entry] : document.items()) {
      if (name == "__metadata__") {
        for (const auto& [key, value] : entry.items()) {
          file.metadata[key] = value.is_string() ? value.get<std::string>() : value.dump();
        }
      } else {
        read_entry(file, name, entry, body);
      }
    }
  } catch (const json::exception& error) {
    fail(path, std::string("bad header: ") + error.what());
  }
  return file;
}

void write_safetensors(const std::string& path, const SafetensorsFile& file) {
  json header = json::object();
  std::uint64_t offset = 0;
  const auto describe = [&](const std::string& name, const char* dtype, const Shape& shape,
                            std::uint64_t bytes) {
    header[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {offset, offset + bytes}}};
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
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::string text = header.dump();
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
