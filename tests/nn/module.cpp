// Names, counts, state and modes of modules.

#include "nn/module.h"

#include <doctest/doctest.h>

#include "nn/dropout.h"
#include "nn/linear.h"
#include "tests/golden.h"

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
  void child(const std::string& name, Module& module) { register_module(name, module); }
};

std::vector<std::string> names_of(const Module& module) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : module.named_parameters()) names.push_back(name);
  return names;
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
}
