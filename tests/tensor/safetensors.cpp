#include "tensor/safetensors.h"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

using namespace serenade;

namespace {

std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("serenade_test_" + name)).string();
}

// A file with any header text and body, for the reader to refuse.
std::string with_header(const std::string& header, std::size_t body_bytes = 0) {
  const std::string path = temporary("header.safetensors");
  std::ofstream out(path, std::ios::binary);
  const std::uint64_t size = header.size();
  out.write(reinterpret_cast<const char*>(&size), 8);
  out << header << std::string(body_bytes, '\0');
  return path;
}

}  // namespace

TEST_CASE("what is written is read back, bit for bit") {
  SafetensorsFile file;
  file.tensors["a.weight"] = Tensor::from({1, real(-2.5), real(1e-30), 4, 5, 6}, {2, 3});
  file.tensors["transposed"] = file.tensors["a.weight"].transpose(0, 1);
  file.tensors["scalar"] = Tensor::scalar(7);
  file.tensors["none"] = Tensor({0});
  file.integers["labels"] = {{3}, {3, -1, INT64_MAX}};
  file.metadata["about"] = "a \"quoted\" word";
  const std::string path = temporary("round_trip.safetensors");
  write_safetensors(path, file);
  const SafetensorsFile back = read_safetensors(path);
  CHECK(back.tensor("a.weight").to_vector() == file.tensors["a.weight"].to_vector());
  CHECK(back.tensor("transposed").shape() == Shape{3, 2});
  CHECK(back.tensor("transposed").to_vector() == file.tensors["transposed"].to_vector());
  CHECK(back.tensor("scalar").dim() == 0);
  CHECK(back.tensor("none").numel() == 0);
  CHECK(back.integer("labels").values == file.integers["labels"].values);
  CHECK(back.metadata.at("about") == file.metadata["about"]);
}

TEST_CASE("a bad file is refused with its path and the reason") {
  CHECK_THROWS_WITH(read_safetensors("/nowhere/x.safetensors"),
                    "/nowhere/x.safetensors: cannot be opened");
  CHECK_THROWS_WITH_AS(read_safetensors(with_header("{")), doctest::Contains("bad header"),
                       std::runtime_error);
  CHECK_THROWS_WITH_AS(read_safetensors(with_header(
                           R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 8)),
                       doctest::Contains("tensor a"), std::runtime_error);
  CHECK_THROWS_WITH_AS(read_safetensors(with_header(
                           R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}})", 2)),
                       doctest::Contains("BF16"), std::runtime_error);
  CHECK_THROWS_WITH_AS(
      read_safetensors(with_header(
          R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 8)),
      doctest::Contains("larger than the file"), std::runtime_error);
  const std::string path = temporary("short.safetensors");
  std::ofstream(path, std::ios::binary) << "abc";
  CHECK_THROWS_WITH_AS(read_safetensors(path), doctest::Contains("cut short"), std::runtime_error);
  std::ofstream(path, std::ios::binary) << "\xff\xff\xff\xff\xff\xff\xff\x7f{}";
  CHECK_THROWS_WITH_AS(read_safetensors(path), doctest::Contains("longer than the file"),
                       std::runtime_error);
}

TEST_CASE("a missing name is answered with the names there are") {
  SafetensorsFile file;
  file.path = "model.safetensors";
  file.tensors["weight"] = Tensor({1});
  CHECK_THROWS_WITH(file.tensor("wieght"),
                    "model.safetensors: no tensor named wieght; it holds weight");
}
