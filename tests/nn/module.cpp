// Names, counts, state and modes of modules; buffers; what several modules share.

#include "nn/module.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "kernels/runtime/cuda_device.h"
#include "nn/checkpoint.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/optim.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

struct Block : Module {
  Linear inner{{.in_features = 3, .out_features = 2}};
  Dropout drop{{.p = 0.5}};
  Variable scale;
  Block() {
    register_module("inner", inner);
    register_module("drop", drop);
    scale = register_parameter("scale", Tensor::ones({2}));
  }
};

struct Net : Module {
  Block first;
  Linear last{{.in_features = 2, .out_features = 1, .bias = false}};
  Net() {
    register_module("first", first);
    register_module("last", last);
  }
};

struct Register : Module {
  void parameter(const std::string& name) { register_parameter(name, Tensor::ones({1})); }
  void shared(const std::string& name, const Variable& of) { register_parameter(name, of); }
  void buffer(const std::string& name) { register_buffer(name, Tensor::ones({1})); }
  void child(const std::string& name, Module& module) { register_module(name, module); }
};

// Keeps the mean of what it has seen.
struct Mean : Module {
  Variable weight = register_parameter("weight", Tensor::ones({2}));
  Variable mean = register_buffer("mean", Tensor::full({2, 3}, real(0.5)));
};

struct Means : Module {
  Variable count = register_buffer("count", Tensor({1}));
  Mean inner;
  Means() { register_module("inner", inner); }
};

// y = W^T relu(W x): both layers have the same weight.
struct Tied : Module {
  struct Half : Module {
    Variable weight;
    explicit Half(const Tensor& value) : weight(register_parameter("weight", value)) {}
    explicit Half(const Variable& shared) : weight(register_parameter("weight", shared)) {}
  };
  Half encoder{random_tensor({3, 4}, 1)}, decoder{encoder.weight};
  Linear out{{.in_features = 4, .out_features = 1}};

  Tied() {
    register_module("encoder", encoder);
    register_module("decoder", decoder);
    register_module("out", out);
  }
  Variable forward(const Variable& x) {
    const Variable hidden = relu(linear(x, encoder.weight));
    return out.forward(linear(hidden, transpose(decoder.weight, 0, 1)));
  }
};

std::vector<std::string> names_of(const NamedParameters& list) {
  std::vector<std::string> names;
  for (const auto& [name, variable] : list) names.push_back(name);
  return names;
}

std::vector<std::string> names_of(const Module& module) {
  return names_of(module.named_parameters());
}

}  // namespace

TEST_CASE("module: parameters are named by their path, own before children") {
  Net net;
  CHECK(names_of(net) == std::vector<std::string>{"first.scale", "first.inner.weight",
                                                  "first.inner.bias", "last.weight"});
  CHECK(net.parameters().size() == 4);
  CHECK(net.parameter_count() == 2 + 6 + 2 + 2);
  net.last.weight.set_requires_grad(false);
  CHECK(net.parameter_count() == 2 + 6 + 2);
  // What is frozen is a parameter still: listed, saved and loaded.
  CHECK(net.parameters().size() == 4);
  StateDict state = net.state_dict();
  state.at("last.weight").fill_(4);
  net.load_state_dict(state);
  CHECK(net.last.weight.value().at({0, 1}) == real(4));
  CHECK_FALSE(net.last.weight.requires_grad());
}

TEST_CASE("module: all modules are found, parents first") {
  Net net;
  std::vector<std::string> names;
  for (const auto& [name, module] : net.named_modules()) names.push_back(name);
  CHECK(names == std::vector<std::string>{"", "first", "first.inner", "first.drop", "last"});
  CHECK(net.named_modules()[2].second == &net.first.inner);
  CHECK(net.children().size() == 2);
}

TEST_CASE("module: training mode reaches every child") {
  Net net;
  CHECK(net.first.drop.training());
  net.eval();
  CHECK_FALSE(net.first.drop.training());
  net.train();
  CHECK(net.first.drop.training());
}

TEST_CASE("module: a parameter's handles name the same numbers") {
  Net net;
  net.named_parameters()[0].second.value().fill_(7);
  CHECK(net.first.scale.value().at({1}) == real(7));
  net.first.scale.set_grad(Tensor::ones({2}));
  net.zero_grad();
  CHECK_FALSE(net.first.scale.grad().defined());
}

TEST_CASE("module: moving to the device it is on changes nothing") {
  Net net;
  net.first.scale.set_grad(Tensor::ones({2}));
  net.to(Device::cpu);
  CHECK(net.first.scale.grad().defined());
}

TEST_CASE("module: state_dict makes the round trip and is a copy") {
  Net a, b;
  const StateDict state = a.state_dict();
  CHECK(state.size() == 4);
  b.load_state_dict(state);
  for (const auto& [name, parameter] : b.named_parameters()) {
    check_close(parameter.value(), state.at(name), name, 0);
  }
  b.first.scale.value().fill_(3);
  CHECK(a.first.scale.value().at({0}) == real(1));
  CHECK(state.at("first.scale").at({0}) == real(1));
}

TEST_CASE("module: a state that does not fit is named and changes nothing") {
  Net net;
  net.last.weight.value().fill_(5);
  StateDict state = net.state_dict();
  for (auto& [name, value] : state) value.fill_(0);
  const StateDict good = state;

  state.erase("first.inner.bias");
  CHECK_THROWS_WITH_AS(net.load_state_dict(state),
                       doctest::Contains("'first.inner.bias' [2] is missing"),
                       std::invalid_argument);
  state = good;
  state["last.weight"] = Tensor::ones({2, 1});
  CHECK_THROWS_WITH_AS(net.load_state_dict(state),
                       doctest::Contains("'last.weight' [2, 1] for a parameter of shape [1, 2]"),
                       std::invalid_argument);
  state = good;
  state["last.bias"] = Tensor::ones({1});
  CHECK_THROWS_WITH_AS(net.load_state_dict(state), doctest::Contains("'last.bias'"),
                       std::invalid_argument);
  CHECK(net.last.weight.value().at({0, 0}) == real(5));
  CHECK(net.first.scale.value().at({0}) == real(1));
}

TEST_CASE("module: a parameter does not become another Variable, which would not be trained") {
  Linear layer({.in_features = 2, .out_features = 3});
  const Variable before = layer.weight;
  CHECK_THROWS_WITH_AS(layer.weight = Variable(Tensor({3, 2}), true),
                       doctest::Contains("must stay the one that its module registered"),
                       std::invalid_argument);
  CHECK_THROWS_AS(layer.bias = layer.bias, std::invalid_argument);
  CHECK(layer.weight.identity() == before.identity());
  layer.weight.value().copy_(Tensor::ones({3, 2}));
  CHECK(layer.named_parameters()[0].second.value().at({2, 1}) == real(1));
  Linear without({.in_features = 2, .out_features = 3, .bias = false});
  CHECK_FALSE(without.bias.defined());
}

TEST_CASE("module: a list names its modules by number") {
  ModuleList<Linear> list;
  for (const std::int64_t width : {2, 5}) list.add({.in_features = width, .out_features = 1});
  list.add(std::make_unique<Linear>(Linear::Options{.in_features = 3, .out_features = 2}));
  CHECK(list.size() == 3);
  CHECK(list[1].weight.shape() == Shape{1, 5});
  CHECK(list.named_parameters()[2].first == "1.weight");
  CHECK(list.named_parameters().size() == 6);
  list.eval();
  CHECK_FALSE(list[2].training());
  CHECK_THROWS_AS(list[3], std::out_of_range);
}

TEST_CASE("module: bad registrations are refused") {
  Register module, other;
  module.parameter("weight");
  CHECK_THROWS_WITH_AS(module.parameter("weight"), doctest::Contains("'weight' twice"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(module.child("weight", other), doctest::Contains("unique"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(module.parameter("a.b"), doctest::Contains("no dot"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(module.parameter(""), doctest::Contains("letters"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(module.child("self", module), doctest::Contains("own child"),
                       std::invalid_argument);
  module.buffer("mean");
  CHECK_THROWS_WITH_AS(module.buffer("mean"), doctest::Contains("'mean' twice"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(module.parameter("mean"), doctest::Contains("'mean' twice"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(module.buffer("weight"), doctest::Contains("'weight' twice"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(module.buffer("a.b"), doctest::Contains("no dot"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(module.shared("other", Variable()), doctest::Contains("'other'"),
                       std::invalid_argument);
}

// Buffers -----------------------------------------------------------------------------------------

TEST_CASE("module: buffers are named, saved and moved, and are no parameters") {
  Means net;
  CHECK(names_of(net.named_buffers()) == std::vector<std::string>{"count", "inner.mean"});
  CHECK(names_of(net) == std::vector<std::string>{"inner.weight"});
  CHECK(net.parameters().size() == 1);
  CHECK(net.parameter_count() == 2);
  CHECK_FALSE(net.count.requires_grad());
  const StateDict state = net.state_dict();
  CHECK(state.size() == 3);
  CHECK(state.at("inner.mean").to_vector() == std::vector<real>(6, real(0.5)));

  // The member names the numbers that are listed, before and after a move.
  net.to(Device::cpu);
  net.named_buffers()[1].second.value().fill_(2);
  CHECK(net.inner.mean.value().at({1, 2}) == real(2));
  CHECK(net.device() == Device::cpu);
  CHECK(state.at("inner.mean").at({0, 0}) == real(0.5));  // a copy

  // An optimiser of the parameters does not see it.
  backward(sum(mul(net.inner.weight, net.inner.weight)));
  SGD sgd(net.named_parameters(), {.lr = 0.25});
  sgd.step();
  CHECK(net.inner.weight.value().at({0}) == real(0.5));
  CHECK(net.inner.mean.value().at({1, 2}) == real(2));
}

TEST_CASE("module: buffers are loaded, and one that does not fit changes nothing") {
  Means net;
  StateDict state = net.state_dict();
  state.at("count").fill_(7);
  state.at("inner.mean").fill_(8);
  state.at("inner.weight").fill_(9);
  net.load_state_dict(state);
  CHECK(net.count.value().at({0}) == real(7));
  CHECK(net.inner.mean.value().at({1, 1}) == real(8));
  CHECK(net.inner.weight.value().at({1}) == real(9));

  for (auto& [name, value] : state) value = Tensor(value.shape());
  StateDict bad = state;
  bad.at("inner.mean") = Tensor({3, 2});
  CHECK_THROWS_WITH_AS(net.load_state_dict(bad), doctest::Contains("'inner.mean' [3, 2]"),
                       std::invalid_argument);
  bad = state;
  bad.erase("count");
  CHECK_THROWS_WITH_AS(net.load_state_dict(bad), doctest::Contains("'count' [1] is missing"),
                       std::invalid_argument);
  CHECK(net.count.value().at({0}) == real(7));
  CHECK(net.inner.weight.value().at({1}) == real(9));

  const auto path =
      (std::filesystem::temp_directory_path() / "serenade_buffers_test.safetensors").string();
  save_model(path, net);
  Means other;
  load_model(path, other);
  std::filesystem::remove(path);
  CHECK(other.inner.mean.value().at({0, 2}) == real(8));
}

TEST_CASE("module: buffers and what is shared move with the module") {
  if (!cuda_device().usable) return;  // in the double build the emulation stands in for a device
  Means net;
  const StateDict before = net.state_dict();
  net.to(Device::cuda);
  CHECK(net.device() == Device::cuda);
  CHECK(net.inner.mean.device() == Device::cuda);  // the member too
  CHECK(net.count.device() == Device::cuda);
  net.load_state_dict(before);  // from the CPU
  net.to(Device::cpu);
  CHECK(net.inner.mean.device() == Device::cpu);
  for (const auto& [name, value] : net.state_dict()) check_close(value, before.at(name), name, 0);

  Tied tied;
  tied.to(Device::cuda);
  CHECK(tied.decoder.weight.device() == Device::cuda);
  CHECK(tied.decoder.weight.identity() == tied.encoder.weight.identity());
  CHECK(tied.decoder.weight.requires_grad());
}

TEST_CASE("module: a buffer alone says where a module is") {
  struct Only : Module {
    Variable mean = register_buffer("mean", Tensor({2}));
  } only;
  CHECK(only.device() == Device::cpu);
  CHECK(only.parameter_count() == 0);
  CHECK(only.state_dict().size() == 1);
}

// What is shared ----------------------------------------------------------------------------------

TEST_CASE("module: a shared parameter is listed, counted and saved once") {
  Tied net;
  CHECK(names_of(net) == std::vector<std::string>{"encoder.weight", "out.weight", "out.bias"});
  CHECK(net.parameters().size() == 3);
  CHECK(net.parameter_count() == 12 + 4 + 1);
  CHECK(names_of(net.decoder) == std::vector<std::string>{"weight"});  // alone it has its own
  CHECK(net.encoder.weight.identity() == net.decoder.weight.identity());

  StateDict state = net.state_dict();
  CHECK(state.size() == 3);
  CHECK(state.count("decoder.weight") == 0);
  state.at("encoder.weight").fill_(3);
  net.load_state_dict(state);
  CHECK(net.decoder.weight.value().at({2, 3}) == real(3));

  net.to(Device::cpu);
  CHECK(net.encoder.weight.identity() == net.decoder.weight.identity());
}

TEST_CASE("module: a state that has a shared parameter twice says where it is saved") {
  Tied net;
  const std::vector<real> before = net.encoder.weight.value().to_vector();
  StateDict state = net.state_dict();
  state["decoder.weight"] = Tensor({3, 4});
  CHECK_THROWS_WITH_AS(net.load_state_dict(state),
                       doctest::Contains("'decoder.weight' is saved as 'encoder.weight'"),
                       std::invalid_argument);
  // Only under the second name: the first is missing.
  state.erase("encoder.weight");
  CHECK_THROWS_WITH_AS(net.load_state_dict(state),
                       doctest::Contains("'encoder.weight' [3, 4] is missing"),
                       std::invalid_argument);
  CHECK(net.encoder.weight.value().to_vector() == before);
}

TEST_CASE("module: a shared parameter's gradient is the sum, and it is updated once") {
  Tied net;
  const Tensor x = random_tensor({5, 4}, 2);
  // The same network with two weights.
  const Variable encoder(net.encoder.weight.value().clone(), true);
  const Variable decoder(net.encoder.weight.value().clone(), true);
  const Variable hidden = relu(linear(x, encoder));
  backward(sum(net.out.forward(linear(hidden, transpose(decoder, 0, 1)))));
  net.out.zero_grad();
  backward(sum(net.forward(x)));
  check_close(net.encoder.weight.grad(), add(encoder.grad(), decoder.grad()).value(), "d_weight");

  const Tensor expected =
      sub(net.encoder.weight.value(), affine(net.encoder.weight.grad(), real(0.1))).value();
  SGD sgd(net.named_parameters(), {.lr = 0.1});
  sgd.step();
  check_close(net.decoder.weight.value(), expected, "weight");
}
