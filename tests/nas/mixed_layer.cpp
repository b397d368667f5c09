// Mixed layers against an independent implementation, merged against naive, and what is left alone.

#include "nas/mixed_op.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>

#include "autograd/engine.h"
#include "nn/conv.h"
#include "nn/optim.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

constexpr bool kDouble = sizeof(real) == 8;
const std::vector<std::string> kWidths = {"3", "4", "5", "6"};
const std::vector<std::string> kTime = {"2x8", "2x7", "2x6", "1x9", "1x10", "3x5"};
const std::vector<std::string> kFrequency = {"8x2", "7x2", "6x2", "9x1", "10x1", "5x3"};
const std::vector<std::string> kBody = {"5x5", "5x4", "4x5", "4x4", "4x6", "6x4"};

using Forward = std::function<Variable(const Variable&)>;

// One golden file: a layer's parameters and path, its output, and the gradient of everything.
void check_golden_layer(const Golden& file, MixedOp& layer, const Forward& forward) {
  StateDict state;
  for (const auto& [name, parameter] : layer.named_parameters()) state[name] = file.tensor(name);
  layer.load_state_dict(state);

  const std::string mode = golden_attribute(file, "mode"), pick = golden_attribute(file, "pick");
  const std::int64_t n = layer.candidate_count();
  Path path = full_path(n);
  if (mode == "sampling") path = single_path(n, std::stoll(pick));
  if (mode == "dropout") {
    path.active[static_cast<std::size_t>(std::stoll(pick))] = false;
    path.scale = static_cast<real>(n) / static_cast<real>(n - 1);
  }
  layer.set_path(path);

  const Variable x(file.tensor("x"), true);
  const Variable y = forward(x);
  check_close(y.value(), file.tensor("y"), "y");
  backward(sum(mul(y, file.tensor("dy"))));
  check_close(x.grad(), file.tensor("d_x"), "d_x");
  for (const auto& [name, parameter] : layer.named_parameters()) {
    const Tensor expected =
        file.has("d_" + name) ? file.tensor("d_" + name) : Tensor(parameter.shape());
    // Where the reference has zeros because the path leaves a parameter out, ours has no gradient.
    check_close(parameter.grad().defined() ? parameter.grad() : Tensor(parameter.shape()), expected,
                "d_" + name);
  }
}

std::vector<Path> paths_of_all_modes(std::int64_t n) {
  std::vector<Path> paths;
  for (const PathOptions& options :
       {PathOptions{.mode = Mode::joint}, PathOptions{.mode = Mode::sampling},
        PathOptions{.mode = Mode::dropout}, PathOptions{.mode = Mode::dropout, .masked = n - 1},
        PathOptions{.mode = Mode::dropout, .masked = 2, .renormalize = true}}) {
    paths.push_back(draw_path(options, Phase::weights, n, 5, 3, 0));
  }
  return paths;
}

// A small network of both kinds of mergeable layer, with the ReLU and the pooling that follow.
struct Net : Module {
  MixedConv2d conv;
  MixedLinear dense;

  explicit Net(bool naive)
      : conv({.in_channels = 2, .out_channels = 3, .kernels = kBody, .gain = 2, .naive = naive}),
        dense({.in_features = 3 * 3 * 3, .widths = kWidths, .gain = 2, .naive = naive}) {
    register_module("conv", conv);
    register_module("dense", dense);
  }

  // x: [N, 2, 7, 6].
  Variable forward(const Variable& x) const {
    return dense.forward(flatten(conv.forward_relu_maxpool(x, {2, 2}), 1));
  }
};

void randomize(Module& module) {
  std::uint64_t seed = 40;
  for (auto [name, parameter] : module.named_parameters()) {
    parameter.value().copy_(random_tensor(parameter.shape(), ++seed, real(0.4)));
  }
}

}  // namespace

TEST_CASE("mixed attention: golden values") {
  for (const std::string& name : golden_names("mixed_attention_")) {
    INFO(name);
    MixedAttention layer({.input_size = 6, .channels = kWidths, .classes = 4});
    check_golden_layer(golden(name), layer, [&](const Variable& h) { return layer.forward(h); });
  }
}

TEST_CASE("mixed linear: golden values, merged and naive") {
  for (const std::string& name : golden_names("mixed_dense_")) {
    for (const bool naive : {false, true}) {
      INFO(name << (naive ? " naive" : " merged"));
      MixedLinear layer({.in_features = 7, .widths = kWidths, .naive = naive});
      CHECK(layer.widest() == 6);
      check_golden_layer(golden(name), layer, [&](const Variable& x) { return layer.forward(x); });
    }
  }
}

TEST_CASE("mixed conv2d: golden values, merged and naive") {
  for (const std::string& name : golden_names("mixed_conv_")) {
    const bool body = name.find("_body") != std::string::npos;
    const std::int64_t in = body ? 3 : 1, out = body ? 4 : 2;
    const auto& kernels = body                                      ? kBody
                          : name.find("_time") != std::string::npos ? kTime
                                                                    : kFrequency;
    for (const bool naive : {false, true}) {
      INFO(name << (naive ? " naive" : " merged"));
      MixedConv2d layer(
          {.in_channels = in, .out_channels = out, .kernels = kernels, .naive = naive});
      check_golden_layer(golden(name), layer, [&](const Variable& x) { return layer.forward(x); });
    }
  }
}

TEST_CASE("merged and naive agree: values and gradients, every mode") {
  const Tensor images = random_tensor({3, 2, 7, 6}, 1);
  for (const Path& path : paths_of_all_modes(6)) {
    std::vector<Variable> outputs;
    std::vector<std::unique_ptr<Net>> nets;
    std::vector<Variable> inputs;
    for (const bool naive : {false, true}) {
      nets.push_back(std::make_unique<Net>(naive));
      randomize(*nets.back());
      nets.back()->conv.set_path(path);
      inputs.emplace_back(images, true);
      outputs.push_back(nets.back()->forward(inputs.back()));
      backward(sum(mul(outputs.back(), random_tensor(outputs.back().shape(), 2))));
    }
    INFO(path.to_string());
    const double tolerance = kDouble ? 1e-11 : 2e-5;
    check_close(outputs[0].value(), outputs[1].value(), "y", tolerance);
    check_close(inputs[0].grad(), inputs[1].grad(), "d_x", tolerance);
    const NamedParameters merged = nets[0]->named_parameters(), naive = nets[1]->named_parameters();
    for (std::size_t i = 0; i < merged.size(); ++i) {
      INFO(merged[i].first);
      const Tensor &actual = merged[i].second.grad(), &expected = naive[i].second.grad();
      REQUIRE(actual.defined() == expected.defined());
      if (actual.defined()) check_close(actual, expected, merged[i].first, tolerance);
    }
  }
}

TEST_CASE("merged and naive agree: ten steps of Adam, every mode") {
  const Tensor images = random_tensor({3, 2, 7, 6}, 3), target = random_tensor({3, 6}, 4);
  for (const Mode mode : {Mode::joint, Mode::sampling, Mode::dropout}) {
    std::vector<std::unique_ptr<Net>> nets;
    for (const bool naive : {false, true}) {
      nets.push_back(std::make_unique<Net>(naive));
      Net& net = *nets.back();
      randomize(net);
      Adam adam(net.named_parameters(), {.lr = 1e-2});
      for (std::uint64_t step = 0; step < 10; ++step) {
        net.conv.set_path(draw_path({.mode = mode}, Phase::weights, 6, 9, step, 0));
        net.dense.set_path(draw_path({.mode = mode}, Phase::weights, 4, 9, step, 1));
        adam.zero_grad();
        const Variable error = net.forward(images) - target;
        backward(mean(error * error));
        adam.step();
      }
    }
    const NamedParameters merged = nets[0]->named_parameters(), naive = nets[1]->named_parameters();
    for (std::size_t i = 0; i < merged.size(); ++i) {
      INFO(to_string(mode) << " " << merged[i].first);
      check_close(merged[i].second.value(), naive[i].second.value(), merged[i].first,
                  kDouble ? 1e-8 : 2e-3);
    }
  }
}

TEST_CASE("a candidate that the path leaves out is not touched, moments included") {
  Net net(false);
  randomize(net);
  Adam adam(net.named_parameters(), {.lr = 1e-2});
  const Tensor images = random_tensor({2, 2, 7, 6}, 5);
  const auto step = [&] {
    adam.zero_grad();
    const Variable y = net.forward(images);
    backward(mean(y * y));
    adam.step();
  };
  step();  // all take part, so every candidate has moments
  for (const Path& path : paths_of_all_modes(6)) {
    net.conv.set_path(path);
    const StateDict weights = net.state_dict();
    const OptimizerState before = adam.state_dict();
    step();
    const OptimizerState after = adam.state_dict();
    for (std::size_t i = 0; i < 6; ++i) {
      for (const char* kind : {".weight", ".bias"}) {
        const std::string name = "conv.ops." + std::to_string(i) + kind;
        INFO(path.to_string() << " " << name);
        const auto same = [&](const Tensor& a, const Tensor& b) {
          return a.to_vector() == b.to_vector();
        };
        const bool active = path.active[i];
        CHECK(same(net.state_dict().at(name), weights.at(name)) == !active);
        CHECK(after.steps.at(name) == before.steps.at(name) + (active ? 1 : 0));
        for (const char* moment : {"first_moment.", "second_moment."}) {
          CHECK(same(after.tensors.at(moment + name), before.tensors.at(moment + name)) == !active);
        }
      }
    }
  }
}

TEST_CASE("sampling runs the child itself: the same bits as the layer alone") {
  MixedConv2d mixed({.in_channels = 2, .out_channels = 3, .kernels = kBody});
  randomize(mixed);
  const Tensor images = random_tensor({2, 2, 7, 6}, 6);
  for (std::int64_t i = 0; i < 6; ++i) {
    mixed.set_path(single_path(6, i));
    const std::vector<Variable> own = mixed.candidate_parameters(i);
    const auto kernel = own[0].shape();
    const Variable alone =
        conv2d(images, own[0], own[1], {.padding = same_padding({kernel[2], kernel[3]})});
    CHECK(mixed.forward(images).value().to_vector() == alone.value().to_vector());
  }
}

TEST_CASE("the gain keeps the scale of a mixture at that of one layer") {
  CHECK(supernet_gain(Mode::joint, 6) == doctest::Approx(std::sqrt(6.0)));
  CHECK(supernet_gain(Mode::dropout, 4) == doctest::Approx(2));
  CHECK(supernet_gain(Mode::sampling, 6) == 1);
  manual_seed(3);
  const Tensor images = random_tensor({4, 8, 16, 16}, 7);
  const auto rms = [](const Variable& y) {
    return std::sqrt(static_cast<double>(mean(mul(y, y)).item()));
  };
  const MixedConv2d mixed({.in_channels = 8,
                           .out_channels = 8,
                           .kernels = kBody,
                           .gain = supernet_gain(Mode::joint, 6)});
  const MixedConv2d plain({.in_channels = 8, .out_channels = 8, .kernels = kBody});
  const Conv2d alone({.in_channels = 8, .out_channels = 8, .kernel_size = {5, 5}});
  CHECK(rms(mixed.forward(images)) / rms(alone.forward(images)) == doctest::Approx(1).epsilon(0.2));
  CHECK(rms(plain.forward(images)) / rms(alone.forward(images)) < 0.55);
}

TEST_CASE("mixed op: names, choice, counts, and what it refuses") {
  Net net(false);
  const std::vector<NamedMixedOp> found = find_mixed_ops(net);
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == "conv");
  CHECK(found[1].name == "dense");
  CHECK(found[0].op == &net.conv);
  CHECK(net.state_dict().count("conv.alpha") == 1);
  CHECK(net.state_dict().at("conv.ops.4.weight").shape() == Shape{3, 2, 4, 6});

  CHECK(net.conv.choice() == 0);  // all alike
  Variable alpha = net.conv.alpha();
  alpha.value().copy_(Tensor::from({0, 1, 3, 2, 0, 0}, {6}));
  CHECK(net.conv.choice() == 2);
  double total = 0;
  for (const double p : net.conv.probabilities()) total += p;
  CHECK(total == doctest::Approx(1));

  net.conv.set_path(single_path(6, 4));
  net.conv.count_update();
  net.conv.count_update();
  CHECK(net.conv.update_counts() == std::vector<std::int64_t>{0, 0, 0, 0, 2, 0});

  CHECK_THROWS_AS(net.conv.set_path(full_path(5)), std::invalid_argument);
  CHECK_THROWS_AS(net.conv.set_path({.active = std::vector<bool>(6, false)}),
                  std::invalid_argument);
  CHECK_THROWS_AS(net.conv.candidate_parameters(6), std::invalid_argument);
  CHECK_THROWS_AS(MixedConv2d({.in_channels = 1, .out_channels = 1}), std::invalid_argument);
  CHECK_THROWS_AS(MixedConv2d({.in_channels = 1, .out_channels = 1, .kernels = {"3"}}),
                  std::invalid_argument);

  net.conv.set_path(full_path(6));
  net.conv.watch(true);
  const Variable y = net.conv.forward(random_tensor({1, 2, 5, 5}, 8));
  CHECK(net.conv.activation_rms() == doctest::Approx(std::sqrt(double(mean(mul(y, y)).item()))));
}
