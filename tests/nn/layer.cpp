// Layers in a row, what is linear in its weights, and layers computed together with what follows
// them.

#include "nn/layer.h"

#include <doctest/doctest.h>

#include <functional>
#include <memory>

#include "autograd/engine.h"
#include "nn/conv.h"
#include "nn/dropout.h"
#include "nn/fused.h"
#include "nn/linear.h"
#include "nn/module.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

std::vector<std::string> names_of(const Module& module) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : module.named_parameters()) names.push_back(name);
  return names;
}

void randomize(Module& module, std::uint64_t seed = 20) {
  for (Variable& parameter : module.parameters()) {
    parameter.value().copy_(random_tensor(parameter.shape(), ++seed, real(0.5)));
  }
}

// Values and the gradients of input and parameters of two ways to compute the same.
void check_same(const std::string& what, const std::vector<Layer*>& layers, const Tensor& input,
                const std::function<Variable(const Variable&)>& actual,
                const std::function<Variable(const Variable&)>& expected) {
  const auto run = [&](const std::function<Variable(const Variable&)>& f) {
    const Variable x(input, true);
    std::vector<Variable> inputs = {x};
    for (Layer* layer : layers) {
      for (const Variable& parameter : layer->parameters()) inputs.push_back(parameter);
    }
    const Variable y = f(x);
    std::vector<Variable> results = grad(sum(mul(y, random_tensor(y.shape(), 77))), inputs);
    results.push_back(y);
    return results;
  };
  const std::vector<Variable> got = run(actual), wanted = run(expected);
  for (std::size_t i = 0; i < got.size(); ++i) {
    REQUIRE(got[i].defined());
    check_close(got[i].value(), wanted[i].value(), what + " " + std::to_string(i));
  }
}

// y = 2 x of each channel: no convolution, as far as anybody knows.
class Double : public Layer {
 public:
  Variable forward(const Variable& x) override { return affine(x, 2); }
};

std::unique_ptr<Conv2d> convolution(Conv2d::Options options) {
  options.in_channels = 2;
  auto layer = std::make_unique<Conv2d>(options);
  randomize(*layer, static_cast<std::uint64_t>(options.out_channels));
  return layer;
}

std::unique_ptr<Conv2d> same() { return convolution({.out_channels = 3, .kernel_size = {4, 3}}); }
std::unique_ptr<Conv2d> other_same() {
  return convolution({.out_channels = 4, .kernel_size = {3, 5}});
}
std::unique_ptr<Conv2d> unbiased() {
  return convolution({.out_channels = 2, .kernel_size = {3, 3}, .bias = false});
}
// One row less than 'same' above, one more below.
std::unique_ptr<Conv2d> padded() {
  return convolution({.out_channels = 3,
                      .kernel_size = {3, 3},
                      .padding = Padding{.top = 0, .bottom = 2, .left = 1, .right = 1}});
}
std::unique_ptr<Conv2d> strided() {
  return convolution({.out_channels = 3, .kernel_size = {3, 3}, .stride = {2, 2}});
}

const Tensor& images() {
  static const Tensor x = random_tensor({2, 2, 7, 12}, 5);
  return x;
}

}  // namespace

TEST_CASE("sequential: layers in order, named by their numbers") {
  Sequential net;
  CHECK(net.size() == 0);
  const Variable x(random_tensor({3, 4}, 1));
  CHECK(net.forward(x).value().to_vector() == x.value().to_vector());  // nothing is done to it

  Layer& first =
      net.add(std::make_unique<Linear>(Linear::Options{.in_features = 4, .out_features = 5}));
  net.add(std::make_unique<ReLU>());
  auto inside = std::make_unique<Sequential>();
  inside->add(std::make_unique<Identity>());
  inside->add(std::make_unique<Linear>(
      Linear::Options{.in_features = 5, .out_features = 2, .bias = false}));
  auto& nested = dynamic_cast<Sequential&>(net.add(std::move(inside)));

  CHECK(net.size() == 3);
  CHECK(&net[0] == &first);
  CHECK(&net[2] == &nested);
  CHECK_THROWS_AS(net[3], std::out_of_range);
  CHECK(names_of(net) == std::vector<std::string>{"0.weight", "0.bias", "2.1.weight"});
  CHECK(net.parameter_count() == 4 * 5 + 5 + 5 * 2);
  CHECK_FALSE(net.linear_form());
  randomize(net);
  const Variable expected = nested[1].forward(relu(first.forward(x)));
  CHECK(net.forward(x).value().to_vector() == expected.value().to_vector());
  CHECK_THROWS_AS(net.add(nullptr), std::invalid_argument);
}

TEST_CASE("sequential: training mode and gradients reach every layer") {
  Sequential net;
  net.add(std::make_unique<Linear>(Linear::Options{.in_features = 4, .out_features = 3}));
  Layer& dropout = net.add(std::make_unique<Dropout>(Dropout::Options{.p = 0.5}));
  net.eval();
  CHECK_FALSE(dropout.training());
  const Variable x(random_tensor({2, 4}, 1));
  CHECK(net.forward(x).value().to_vector() == net[0].forward(x).value().to_vector());
  net.train();
  CHECK(dropout.training());
  net.eval();
  backward(sum(net.forward(x)));
  for (const auto& [name, parameter] : net.named_parameters()) {
    CHECK_MESSAGE(parameter.grad().defined(), name);
  }
  net.zero_grad();
  for (const Variable& parameter : net.parameters()) CHECK_FALSE(parameter.grad().defined());
}

TEST_CASE("identity and ReLU") {
  const Variable x(Tensor::from({-2, 0, 3}, {3}), true);
  Identity identity;
  ReLU activation;
  CHECK(identity.forward(x).identity() == x.identity());
  CHECK(identity.parameters().empty());
  CHECK(activation.forward(x).value().to_vector() == std::vector<real>{0, 0, 3});
  CHECK_FALSE(identity.linear_form());
  CHECK_FALSE(activation.linear_form());
  CHECK_FALSE(activation.observing());
}

TEST_CASE("linear form: computes what forward computes, with the layer's own weights") {
  for (const bool bias : {true, false}) {
    Linear layer({.in_features = 4, .out_features = 3, .bias = bias});
    randomize(layer);
    const std::optional<LinearForm> form = layer.linear_form();
    REQUIRE(form);
    CHECK_FALSE(form->is_convolution());
    CHECK(form->weight.identity() == layer.weight.identity());
    CHECK(form->bias.defined() == bias);
    check_same("linear", {&layer}, random_tensor({2, 5, 4}, 3), *layer.linear_form(),
               [&](const Variable& x) { return layer.forward(x); });
    CHECK_THROWS_WITH_AS(form->conv2d_options(random_tensor({2, 4}, 3)),
                         doctest::Contains("[2, 4]"), std::invalid_argument);
  }
  for (const auto make : {same, unbiased, padded, strided}) {
    const std::unique_ptr<Conv2d> layer = make();
    const std::optional<LinearForm> form = layer->linear_form();
    REQUIRE(form);
    CHECK(form->is_convolution());
    CHECK(form->weight.identity() == layer->weight.identity());
    CHECK(form->unused_taps == 0);
    check_same("conv", {layer.get()}, images(), *form,
               [&](const Variable& x) { return layer->forward(x); });
    // By hand, of the options alone.
    const Conv2d::Options& options = layer->options;
    const Padding padding = options.padding
                                ? *options.padding
                                : same_padding(options.kernel_size, options.stride, {7, 12});
    CHECK(
        (*form)(images()).value().to_vector() ==
        conv2d(images(), layer->weight, layer->bias, {.stride = options.stride, .padding = padding})
            .value()
            .to_vector());
  }
  const std::unique_ptr<Conv2d> layer = same();
  CHECK_THROWS_WITH_AS((*layer->linear_form())(random_tensor({2, 3}, 1)),
                       doctest::Contains("[2, 3]"), std::invalid_argument);
}

TEST_CASE("relu_maxpool: one pass equals convolution, ReLU and pooling one after the other") {
  for (const auto make : {same, unbiased, padded, strided}) {
    for (const std::array<std::int64_t, 2> window : {std::array<std::int64_t, 2>{2, 2}, {1, 3}}) {
      const std::unique_ptr<Conv2d> layer = make();
      check_same(
          "relu_maxpool", {layer.get()}, images(),
          [&](const Variable& x) { return relu_maxpool(*layer, x, window); },
          [&](const Variable& x) { return max_pool2d(relu(layer->forward(x)), window); });
    }
  }
  Double plain;
  CHECK(relu_maxpool(plain, images(), {2, 2}).value().to_vector() ==
        max_pool2d(relu(affine(images(), 2)), {2, 2}).value().to_vector());
  Linear dense({.in_features = 12, .out_features = 6});  // linear, and no convolution
  check_same(
      "dense", {&dense}, images(),
      [&](const Variable& x) {
        return relu_maxpool(dense, x, {2, 2});
      },
      [&](const Variable& x) {
        return max_pool2d(relu(dense.forward(x)), {2, 2});
      });
}

TEST_CASE("relu_maxpool_branches: one pass equals the branches one by one, side by side") {
  const std::array<std::int64_t, 2> window = {2, 3};
  std::vector<std::vector<std::unique_ptr<Layer>>> cases(5);
  const auto add = [&](std::size_t i, std::unique_ptr<Layer> layer) {
    cases[i].push_back(std::move(layer));
  };
  add(0, same());  // all in one pass
  add(0, other_same());
  add(1, same());  // some of them
  add(1, padded());
  add(1, other_same());
  add(2, strided());  // none
  add(2, strided());
  add(3, same());
  add(3, std::make_unique<Double>());
  add(4, other_same());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    INFO("case " << i);
    std::vector<Layer*> layers;
    for (const auto& layer : cases[i]) layers.push_back(layer.get());
    check_same(
        "branches", layers, images(),
        [&](const Variable& x) { return relu_maxpool_branches(layers, x, window); },
        [&](const Variable& x) {
          std::vector<Variable> parts;
          for (Layer* layer : layers) {
            parts.push_back(max_pool2d(relu(layer->forward(x)), window));
          }
          return concat(parts, 1);
        });
  }
}

TEST_CASE("relu_maxpool: a layer that wants its output gets it, computed alone or in a branch") {
  class Observed : public Conv2d {
   public:
    using Conv2d::Conv2d;
    bool observing() const override { return on; }
    void observe(const Variable& y) override { seen.push_back(y); }
    bool on = true;
    std::vector<Variable> seen;
  };
  const Conv2d::Options options = {.in_channels = 2, .out_channels = 3, .kernel_size = {3, 3}};
  Observed first(options), second(options);
  const Variable alone = relu_maxpool(first, images(), {2, 2});
  REQUIRE(first.seen.size() == 1);
  CHECK(first.seen[0].value().to_vector() == alone.value().to_vector());
  const Variable both = relu_maxpool_branches({&first, &second}, images(), {2, 2});
  REQUIRE(first.seen.size() == 2);
  REQUIRE(second.seen.size() == 1);
  CHECK(first.seen[1].value().to_vector() == slice(both, 1, 0, 3).value().contiguous().to_vector());
  CHECK(second.seen[0].value().to_vector() ==
        slice(both, 1, 3, 3).value().contiguous().to_vector());
  CHECK_FALSE(second.seen[0].requires_grad());
  first.on = false;
  relu_maxpool(first, images(), {2, 2});
  CHECK(first.seen.size() == 2);
}
