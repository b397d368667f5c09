// A safetensors file: read or refused; what was read is written and read again with the same bits.

#include "tensor/safetensors.h"

#include <cstring>

#include "tensor/files.h"
#include "tests/fuzz/target.h"

namespace serenade::fuzz {

namespace {

std::vector<std::string> seeds() {
  SafetensorsFile file;
  file.tensors["weight"] = Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3});
  file.tensors["none"] = Tensor({0, 3});
  file.tensors["scalar"] = Tensor::scalar(7);
  file.integers["steps"] = {.shape = {2}, .values = {1, -2}};
  file.metadata = {{"format", "a"}, {"config", "{\"a\": [1, \"\\u00e4\"]}"}};
  const std::string path = scratch_folder() + "/seed.safetensors";
  write_safetensors(path, file);
  const std::string whole = read_file(path);
  write_safetensors(path, {});
  return {whole, read_file(path)};
}

void check_same(const SafetensorsFile& a, const SafetensorsFile& b) {
  if (a.metadata != b.metadata) fault("other metadata after writing and reading");
  if (a.tensors.size() != b.tensors.size() || a.integers.size() != b.integers.size()) {
    fault("other names after writing and reading");
  }
  for (const auto& [name, tensor] : a.tensors) {
    const std::vector<real> before = tensor.to_vector(), after = b.tensor(name).to_vector();
    if (tensor.shape() != b.tensor(name).shape() || before.size() != after.size() ||
        (!before.empty() &&
         std::memcmp(before.data(), after.data(), before.size() * sizeof(real)) != 0)) {
      fault("another tensor '" + name + "' after writing and reading");
    }
  }
  for (const auto& [name, integers] : a.integers) {
    if (integers.shape != b.integer(name).shape || integers.values != b.integer(name).values) {
      fault("other integers '" + name + "' after writing and reading");
    }
  }
}

void run(const std::string& input) {
  const std::string path = scratch_file("input.safetensors", input);
  SafetensorsFile file;
  if (!refusal([&] { file = read_safetensors(path); }).empty()) return;
  const std::string again = scratch_folder() + "/again.safetensors";
  write_safetensors(again, file);
  check_same(file, read_safetensors(again));
}

}  // namespace

Target safetensors_target() {
  return {.name = "safetensors",
          .seeds = seeds,
          .run = run,
          .words = {"\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\"", "\"F32\"",
                    "\"F64\"", "\"I64\"", "\"I32\"", "4611686018427387904", "18446744073709551615",
                    "[0,0]", "{\"a\":", "\\u0000"}};
}

}  // namespace serenade::fuzz
