// Model files: the round trip, and what a wrong file says.

#include "nn/checkpoint.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/linear.h"
#include "tensor/files.h"
#include "tests/temporary_folder.h"

using namespace serenade;

TEST_CASE("checkpoint: parameters and metadata make the round trip") {
  const TemporaryFolder folder;
  const std::string file = folder / "round_trip.safetensors";
  Linear a({.in_features = 3, .out_features = 2}), b({.in_features = 3, .out_features = 2});
  save_model(file, a, {{"system", "test"}, {"epoch", "7"}});
  const Metadata metadata = load_model(file, b);
  CHECK(metadata.at("system") == "test");
  CHECK(metadata.at("epoch") == "7");
  CHECK(a.weight.value().to_vector() == b.weight.value().to_vector());
}

TEST_CASE("checkpoint: another model's file is refused by name and changes nothing") {
  const TemporaryFolder folder;
  const std::string file = folder / "other.safetensors";
  save_model(file, Linear({.in_features = 3, .out_features = 2}));
  Linear wider({.in_features = 4, .out_features = 2});
  const std::vector<real> before = wider.weight.value().to_vector();
  try {
    load_model(file, wider);
    FAIL("a model of another shape was loaded");
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    CHECK(message.find(file) != std::string::npos);
    CHECK(message.find("'weight' [2, 3] for a parameter of shape [2, 4]") != std::string::npos);
  }
  CHECK(wider.weight.value().to_vector() == before);
  Linear plain({.in_features = 3, .out_features = 2, .bias = false});
  CHECK_THROWS_WITH_AS(load_model(file, plain), doctest::Contains("'bias' [2]"),
                       std::invalid_argument);
}

TEST_CASE("checkpoint: a file that is no model is refused") {
  Linear layer({.in_features = 3, .out_features = 2});
  CHECK_THROWS_WITH_AS(load_model("/nonexistent/model.safetensors", layer),
                       doctest::Contains("/nonexistent/model.safetensors"), std::runtime_error);
  const TemporaryFolder folder;
  const std::string text = folder / "text.safetensors";
  std::ofstream(text) << "this is not a model";
  CHECK_THROWS_WITH_AS(load_model(text, layer), doctest::Contains(text.c_str()),
                       std::runtime_error);
  const std::string integers = folder / "integers.safetensors";
  SafetensorsFile contents;
  contents.tensors = layer.state_dict();
  contents.integers["counts"] = {{2}, {1, 2}};
  write_safetensors(integers, contents);
  CHECK_THROWS_WITH_AS(load_model(integers, layer), doctest::Contains("'counts'"),
                       std::invalid_argument);
}

// Checkpoints -------------------------------------------------------------------------------------

namespace {

SafetensorsFile state_of(int epoch) {
  SafetensorsFile state;
  state.tensors["net.weight"] = Tensor::from({real(epoch), 2, 3}, {3});
  state.integers["order"] = {{2}, {epoch, 7}};
  state.metadata["epoch"] = std::to_string(epoch);
  return state;
}

int epoch_of(Checkpoint& checkpoint) {
  const std::optional<SafetensorsFile> state = checkpoint.load();
  return state ? std::stoi(state->metadata.at("epoch")) : 0;
}

}  // namespace

TEST_CASE("checkpoint: the last two states are kept, and removed together") {
  const TemporaryFolder folder;
  Checkpoint checkpoint(folder / "state");
  CHECK_FALSE(checkpoint.load());
  for (int epoch = 1; epoch <= 3; ++epoch) checkpoint.save(state_of(epoch));
  const std::optional<SafetensorsFile> state = checkpoint.load();
  REQUIRE(state);
  CHECK(state->metadata == state_of(3).metadata);
  CHECK(state->tensors.at("net.weight").to_vector() == std::vector<real>{3, 2, 3});
  CHECK(state->integers.at("order").values == std::vector<std::int64_t>{3, 7});
  std::filesystem::remove(folder / "state");  // as if killed before the new one stood
  CHECK(epoch_of(checkpoint) == 2);
  checkpoint.remove();
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE(
    "checkpoint: any damaged byte is found, named and set aside, and the one before is taken") {
  const TemporaryFolder folder;
  Checkpoint(folder / "state").save(state_of(1));
  Checkpoint(folder / "state").save(state_of(2));
  const std::string whole = read_file(folder / "state");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    INFO("byte " << i);
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    write_file(folder / "state", damaged);
    Checkpoint checkpoint(folder / "state");
    CHECK(epoch_of(checkpoint) == 1);
    REQUIRE(checkpoint.damages().size() == 1);
    CHECK(checkpoint.damages()[0].find("state: damaged (") != std::string::npos);
    CHECK(read_file(folder / "state.damaged") == damaged);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, whole.size() - 1}) {
    write_file(folder / "state", whole.substr(0, size));
    Checkpoint checkpoint(folder / "state");
    CHECK(epoch_of(checkpoint) == 1);
  }
}

TEST_CASE("checkpoint: a file of a later version is refused, not set aside") {
  const TemporaryFolder folder;
  SafetensorsFile later = state_of(1);
  later.metadata["checkpoint.format"] = "99";
  later.metadata["checkpoint.hash"] = content_hash(later);
  write_safetensors(folder / "state", later);
  Checkpoint checkpoint(folder / "state");
  CHECK_THROWS_WITH_AS(checkpoint.load(), doctest::Contains("later version"), std::runtime_error);
  CHECK(std::filesystem::exists(folder / "state"));
}

TEST_CASE("checkpoint: a state that cannot be opened is not taken for a damaged one") {
  const TemporaryFolder folder;
  const std::string path = folder / "state";
  REQUIRE(mknod(path.c_str(), S_IFSOCK | 0600, 0) == 0);  // a socket, which nobody may open
  Checkpoint checkpoint(path);
  CHECK_THROWS_WITH_AS(checkpoint.load(), (path + ": cannot be read").c_str(), std::runtime_error);
  CHECK(checkpoint.damages().empty());
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("checkpoint: a state that cannot become the previous one is not overwritten") {
  const TemporaryFolder folder;
  const std::string path = folder / "state.safetensors";
  const Checkpoint checkpoint(path);
  SafetensorsFile state;
  state.metadata["number"] = "1";
  checkpoint.save(state);
  std::filesystem::create_directories(path + ".previous/full");
  state.metadata["number"] = "2";
  CHECK_THROWS_WITH_AS(checkpoint.save(state), doctest::Contains("cannot be renamed"),
                       std::runtime_error);
  CHECK(Checkpoint(path).load()->metadata.at("number") == "1");
}

TEST_CASE("checkpoint: an optimiser goes on as if there had been no break") {
  Linear whole({.in_features = 3, .out_features = 2}), other({.in_features = 3, .out_features = 2});
  Adam adam(whole.named_parameters(), {.lr = 0.1});
  const Variable x = Tensor::from({1, 2, 3}, {1, 3});
  const auto step = [&x](Linear& net, Adam& optimizer) {
    optimizer.zero_grad();
    backward(mean(net.forward(x) * net.forward(x)));
    optimizer.step();
  };
  for (int i = 0; i < 3; ++i) step(whole, adam);
  SafetensorsFile state;
  add_part(state, "net.", whole.state_dict());
  add_optimizer(state, "adam.", adam);
  other.load_state_dict(part_of(state, "net."));
  Adam second(other.named_parameters(), {.lr = 0.5});
  load_optimizer(state, "adam.", second);
  step(whole, adam);
  step(other, second);
  CHECK(content_hash(whole.state_dict()) == content_hash(other.state_dict()));

  state.metadata["adam.numbers"] = "{}";
  CHECK_THROWS_AS(load_optimizer(state, "adam.", second), std::invalid_argument);
  CHECK_THROWS_AS(load_optimizer(state, "sgd.", second), std::invalid_argument);
}

TEST_CASE("checkpoint: the hash of a state changes with every name, shape, number and text") {
  const SafetensorsFile state = state_of(1);
  const auto changed = [&](const std::function<void(SafetensorsFile&)>& change) {
    SafetensorsFile other = state_of(1);
    change(other);
    return content_hash(other) != content_hash(state);
  };
  CHECK_FALSE(changed([](SafetensorsFile&) {}));
  CHECK(changed([](SafetensorsFile& f) { f.tensors["x"] = f.tensors["net.weight"]; }));
  CHECK(changed([](SafetensorsFile& f) {
    f.tensors["net.weight"] = f.tensors["net.weight"].reshape({1, 3});
  }));
  CHECK(changed([](SafetensorsFile& f) {
    f.tensors["net.weight"] = Tensor::from({1, 2, 4}, {3});
  }));
  CHECK(changed([](SafetensorsFile& f) { f.integers["order"].values[1] = 8; }));
  CHECK(changed([](SafetensorsFile& f) { f.metadata["epoch"] = "3"; }));
}
