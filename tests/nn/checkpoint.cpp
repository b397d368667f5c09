// Model files: the round trip, and what a wrong file says.

#include "nn/checkpoint.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "nn/linear.h"
#include "tensor/safetensors.h"

using namespace serenade;

namespace {

/// A file name in the system's temporary folder that is gone at the end.
struct TemporaryFile {
  std::string path;
  explicit TemporaryFile(const std::string& name)
      : path((std::filesystem::temp_directory_path() /
              ("serenade_" + std::to_string(sizeof(real)) + "_" + name))
                 .string()) {}
  ~TemporaryFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("checkpoint: parameters and metadata make the round trip") {
  const TemporaryFile file("round_trip.safetensors");
  Linear a({.in_features = 3, .out_features = 2}), b({.in_features = 3, .out_features = 2});
  save_model(file.path, a, {{"system", "test"}, {"epoch", "7"}});
  const Metadata metadata = load_model(file.path, b);
  CHECK(metadata.at("system") == "test");
  CHECK(metadata.at("epoch") == "7");
  CHECK(a.weight.value().to_vector() == b.weight.value().to_vector());
}

TEST_CASE("checkpoint: another model's file is refused by name and changes nothing") {
  const TemporaryFile file("other.safetensors");
  save_model(file.path, Linear({.in_features = 3, .out_features = 2}));
  Linear wider({.in_features = 4, .out_features = 2});
  const std::vector<real> before = wider.weight.value().to_vector();
  try {
    load_model(file.path, wider);
    FAIL("a model of another shape was loaded");
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    CHECK(message.find(file.path) != std::string::npos);
    CHECK(message.find("'weight' [2, 3] for a parameter of shape [2, 4]") != std::string::npos);
  }
  CHECK(wider.weight.value().to_vector() == before);
  Linear plain({.in_features = 3, .out_features = 2, .bias = false});
  CHECK_THROWS_WITH_AS(load_model(file.path, plain), doctest::Contains("'bias' [2]"),
                       std::invalid_argument);
}

TEST_CASE("checkpoint: a file that is no model is refused") {
  Linear layer({.in_features = 3, .out_features = 2});
  CHECK_THROWS_WITH_AS(load_model("/nonexistent/model.safetensors", layer),
                       doctest::Contains("/nonexistent/model.safetensors"), std::runtime_error);
  const TemporaryFile text("text.safetensors");
  std::ofstream(text.path) << "this is not a model";
  CHECK_THROWS_WITH_AS(load_model(text.path, layer), doctest::Contains(text.path.c_str()),
                       std::runtime_error);
  const TemporaryFile integers("integers.safetensors");
  SafetensorsFile contents;
  contents.tensors = layer.state_dict();
  contents.integers["counts"] = {{2}, {1, 2}};
  write_safetensors(integers.path, contents);
  CHECK_THROWS_WITH_AS(load_model(integers.path, layer), doctest::Contains("'counts'"),
                       std::invalid_argument);
}
