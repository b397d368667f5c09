// Mixed layers against an independent implementation, merged against naive, and what is left alone.

#include "nas/mixed_layer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "autograd/engine.h"
#include "nas/builder.h"
#include "nas/one_shot.h"
#include "nn/attention.h"
#include "nn/conv.h"
#include "nn/fused.h"
#include "nn/linear.h"
#include "nn/optim.h"
#include "tests/golden.h"
#include "tests/nas/toy.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

constexpr bool kDouble = sizeof(real) == 8;
const std::vector<std::string> kWidths = {"3", "4", "5", "6"};
const std::vector<std::string> kTime = {"2x8", "2x7", "2x6", "1x9", "1x10", "3x5"};
const std::vector<std::string> kFrequency = {"8x2", "7x2", "6x2", "9x1", "10x1", "5x3"};
const std::vector<std::string> kBody = {"5x5", "5x4", "4x5", "4x4", "4x6", "6x4"};

std::unique_ptr<MixedLayer> as_mixed(std::unique_ptr<Layer> layer) {
  auto* mixed = dynamic_cast<MixedLayer*>(layer.get());
  REQUIRE(mixed != nullptr);
  layer.release();
  return std::unique_ptr<MixedLayer>(mixed);
}

std::unique_ptr<MixedLayer> mixed_layer(const Choice& choice, const Site& site, bool merge) {
  Builder builder({.choices = {choice}});
  builder.mixed_layer.merge = merge;
  return as_mixed(builder.choose(choice.name, site));
}

std::unique_ptr<MixedLayer> mixed_convolution(const std::vector<std::string>& kernels,
                                              std::int64_t in, std::int64_t out, bool merge) {
  return mixed_layer({.name = "conv", .candidates = kernels, .kind = "conv"},
                     {.in_channels = in, .out_channels = out}, merge);
}

// Attention holds a ReLU and a softmax, so it comes with a factory of its own and is never merged.
std::unique_ptr<MixedLayer> mixed_attention() {
  Builder builder({.choices = {{.name = "attention", .candidates = kWidths}}});
  return as_mixed(builder.choose("attention", [](const std::string& channels, real) {
    return std::make_unique<AttentionPooling>(AttentionPooling::Options{
        .input_size = 6, .channels = parse_width(channels), .classes = 4});
  }));
}

// One golden file: a layer's parameters and path, its output, and the gradient of everything.
void check_golden_layer(const Golden& file, MixedLayer& layer) {
  StateDict state;
  for (const auto& [name, parameter] : layer.named_parameters()) state[name] = file.tensor(name);
  layer.load_state_dict(state);

  const std::string mode = golden_attribute(file, "mode"), pick = golden_attribute(file, "pick");
  const std::int64_t n = layer.choice().candidate_count();
  Path path = full_path(n);
  if (mode == "sampling") path = single_path(n, std::stoll(pick));
  if (mode == "dropout") {
    std::vector<bool> active(static_cast<std::size_t>(n), true);
    active[static_cast<std::size_t>(std::stoll(pick))] = false;
    path = scaled_path(active, static_cast<real>(n) / static_cast<real>(n - 1));
  }
  layer.choice().set_path(path);

  const Variable x(file.tensor("x"), true);
  const Variable y = layer.forward(x);
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

SearchSpace net_space() {
  return {.choices = {{.name = "conv", .candidates = kBody, .kind = "conv"},
                      {.name = "dense", .candidates = kWidths, .kind = "width"}}};
}

// Paths of the weight steps of every strategy, and dropout's options.
std::vector<Path> paths_of_all_strategies() {
  std::vector<std::unique_ptr<OneShot>> methods;
  for (const std::string& name : supernet_strategies()) {
    methods.push_back(make_one_shot(name, net_space(), {}));
  }
  const SearchSpace conv{.choices = {net_space().choices[0]}};
  methods.push_back(make_one_shot("dropout", conv, {.num_masked = 5}));
  methods.push_back(make_one_shot("dropout", conv, {.num_masked = 2, .renormalize = true}));
  std::vector<Path> paths;
  for (const auto& method : methods) {
    paths.push_back(method->draw({.candidates = 6, .step = 3, .epochs = 1, .seed = 5}));
  }
  return paths;
}

// A small network of both kinds of mergeable layer, with the ReLU and the pooling that follow.
struct Net : Module {
  std::unique_ptr<MixedLayer> conv, dense;

  explicit Net(bool merge) {
    Builder builder(net_space(), [](std::int64_t) { return real(2); });
    builder.mixed_layer.merge = merge;
    conv = as_mixed(builder.choose("conv", {.in_channels = 2, .out_channels = 3}));
    dense = as_mixed(builder.choose("dense", {.in_channels = 3 * 3 * 3}));
    register_module("conv", *conv);
    register_module("dense", *dense);
  }

  // x: [N, 2, 7, 6].
  Variable forward(const Variable& x) {
    return dense->forward(flatten(relu_maxpool(*conv, x, {2, 2}), 1));
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
    const std::unique_ptr<MixedLayer> layer = mixed_attention();
    CHECK(layer->merged_count() == 0);
    CHECK(layer->widest() == 0);
    check_golden_layer(golden(name), *layer);
  }
}

TEST_CASE("mixed dense: golden values, merged and naive") {
  const Choice choice{.name = "dense", .candidates = kWidths, .kind = "width"};
  for (const std::string& name : golden_names("mixed_dense_")) {
    for (const bool merge : {true, false}) {
      INFO(name << (merge ? " merged" : " naive"));
      const std::unique_ptr<MixedLayer> layer = mixed_layer(choice, {.in_channels = 7}, merge);
      CHECK(layer->merged_count() == (merge ? 4 : 0));
      CHECK(layer->widest() == 6);
      check_golden_layer(golden(name), *layer);
    }
  }
}

TEST_CASE("mixed convolution: golden values, merged and naive") {
  for (const std::string& name : golden_names("mixed_conv_")) {
    const bool body = name.find("_body") != std::string::npos;
    const std::int64_t in = body ? 3 : 1, out = body ? 4 : 2;
    const auto& kernels = body                                      ? kBody
                          : name.find("_time") != std::string::npos ? kTime
                                                                    : kFrequency;
    for (const bool merge : {true, false}) {
      INFO(name << (merge ? " merged" : " naive"));
      const std::unique_ptr<MixedLayer> layer = mixed_convolution(kernels, in, out, merge);
      CHECK(layer->merged_count() == (merge ? 6 : 0));
      CHECK(layer->widest() == 0);
      check_golden_layer(golden(name), *layer);
    }
  }
}

TEST_CASE("merged and naive agree: values and gradients, every strategy") {
  const Tensor images = random_tensor({3, 2, 7, 6}, 1);
  for (const Path& path : paths_of_all_strategies()) {
    std::vector<Variable> outputs;
    std::vector<std::unique_ptr<Net>> nets;
    std::vector<Variable> inputs;
    for (const bool merge : {true, false}) {
      nets.push_back(std::make_unique<Net>(merge));
      randomize(*nets.back());
      nets.back()->conv->choice().set_path(path);
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

TEST_CASE("merged and naive agree: ten steps of Adam, every strategy") {
  const Tensor images = random_tensor({3, 2, 7, 6}, 3), target = random_tensor({3, 6}, 4);
  for (const std::string& strategy : supernet_strategies()) {
    const std::unique_ptr<OneShot> method = make_one_shot(strategy, net_space(), {});
    std::vector<std::unique_ptr<Net>> nets;
    for (const bool merge : {true, false}) {
      nets.push_back(std::make_unique<Net>(merge));
      Net& net = *nets.back();
      randomize(net);
      Adam adam(net.named_parameters(), {.lr = 1e-2});
      for (std::uint64_t step = 0; step < 10; ++step) {
        for (std::uint64_t choice = 0; choice < 2; ++choice) {
          SupernetChoice& here = (choice == 0 ? net.conv : net.dense)->choice();
          here.set_path(method->draw({.candidates = here.candidate_count(),
                                      .choice = choice,
                                      .step = step,
                                      .epochs = 1,
                                      .seed = 9}));
        }
        adam.zero_grad();
        const Variable error = net.forward(images) - target;
        backward(mean(error * error));
        adam.step();
      }
    }
    const NamedParameters merged = nets[0]->named_parameters(), naive = nets[1]->named_parameters();
    for (std::size_t i = 0; i < merged.size(); ++i) {
      INFO(strategy << " " << merged[i].first);
      check_close(merged[i].second.value(), naive[i].second.value(), merged[i].first,
                  kDouble ? 1e-8 : 2e-3);
    }
  }
}

TEST_CASE("a candidate that the path leaves out is not touched, moments included") {
  Net net(true);
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
  for (const Path& path : paths_of_all_strategies()) {
    net.conv->choice().set_path(path);
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

TEST_CASE("a candidate alone is the child itself: the same bits as the layer alone") {
  const std::unique_ptr<MixedLayer> mixed = mixed_convolution(kBody, 2, 3, true);
  randomize(*mixed);
  const Tensor images = random_tensor({2, 2, 7, 6}, 6);
  for (std::int64_t i = 0; i < 6; ++i) {
    mixed->choice().set_path(single_path(6, i));
    const std::vector<Variable> own = mixed->candidate(i).parameters();
    const Shape kernel = own[0].shape();
    const Variable alone =
        conv2d(images, own[0], own[1], {.padding = same_padding({kernel[2], kernel[3]})});
    CHECK(mixed->forward(images).value().to_vector() == alone.value().to_vector());
    CHECK(mixed->candidate(i).forward(images).value().to_vector() == alone.value().to_vector());
  }
}

TEST_CASE("a mixture of convolutions is a convolution to what fuses with it") {
  const Tensor images = random_tensor({2, 2, 7, 6}, 6);
  std::vector<bool> some(6, true);
  some[4] = some[5] = false;
  for (const Path& path : {full_path(6), scaled_path(some, real(1.5)), single_path(6, 3)}) {
    INFO(path.to_string());
    const std::unique_ptr<MixedLayer> mixed = mixed_convolution(kBody, 2, 3, true);
    randomize(*mixed);
    mixed->choice().set_path(path);
    const std::optional<LinearForm> form = mixed->linear_form();
    REQUIRE(form);
    CHECK(form->is_convolution());
    CHECK((*form)(images).value().to_vector() == mixed->forward(images).value().to_vector());
    Conv2d plain({.in_channels = 2, .out_channels = 2, .kernel_size = {3, 3}});
    const auto composite = [&](Layer& layer) {
      return max_pool2d(relu(layer.forward(images)), {2, 2});
    };
    const Variable together = relu_maxpool_branches({mixed.get(), &plain}, images, {2, 2});
    check_close(together.value(), concat({composite(*mixed), composite(plain)}, 1).value(), "y");
  }
  CHECK_FALSE(mixed_convolution(kBody, 2, 3, /*merge=*/false)->linear_form());
  CHECK_FALSE(mixed_attention()->linear_form());
}

TEST_CASE("a mixture of dense layers is as wide as the widest, whoever takes part") {
  const Choice choice{.name = "dense", .candidates = kWidths, .kind = "width"};
  for (const bool merge : {true, false}) {
    const std::unique_ptr<MixedLayer> mixed = mixed_layer(choice, {.in_channels = 7}, merge);
    randomize(*mixed);
    const Tensor x = random_tensor({3, 7}, 2);
    for (std::int64_t i = 0; i < 4; ++i) {
      mixed->choice().set_path(single_path(4, i));
      const Tensor y = mixed->forward(x).value();
      REQUIRE(y.shape() == Shape{3, 6});
      const Tensor alone = mixed->candidate(i).forward(x).value();
      CHECK(y.slice(1, 0, 3 + i).contiguous().to_vector() == alone.to_vector());
      for (std::int64_t k = 3 + i; k < 6; ++k) CHECK(y.at({1, k}) == real(0));
    }
    mixed->choice().set_path(scaled_path({true, true, false, false}, 1));
    const Tensor y = mixed->forward(x).value();
    REQUIRE(y.shape() == Shape{3, 6});
    CHECK(y.at({2, 3}) != real(0));
    CHECK(y.at({2, 4}) == real(0));
    CHECK(y.at({2, 5}) == real(0));
  }
}

TEST_CASE("the gain keeps the scale of a mixture at that of one layer") {
  const auto gain = [](const char* name, std::int64_t n, const StrategyOptions& options = {}) {
    return static_cast<double>(make_one_shot(name, toy_space(), options)->initial_gain(n));
  };
  CHECK(gain("joint", 6) == doctest::Approx(std::sqrt(6.0)));
  CHECK(gain("sampling", 6) == 1);
  // The outputs of the N - m that are left have the coefficient 1 / (N - m), renormalised or not.
  for (const bool renormalize : {false, true}) {
    for (const std::int64_t masked : {0, 1, 2, 3}) {
      CHECK(gain("dropout", 4, {.num_masked = masked, .renormalize = renormalize}) ==
            doctest::Approx(std::sqrt(4.0 - static_cast<double>(masked))));
    }
  }
  manual_seed(3);
  const Tensor images = random_tensor({4, 8, 16, 16}, 7);
  const auto rms = [&](Layer& layer) {
    const Variable y = layer.forward(images);
    return std::sqrt(static_cast<double>(mean(mul(y, y)).item()));
  };
  const SearchSpace space{.choices = {net_space().choices[0]}};
  const Site site{.in_channels = 8, .out_channels = 8};
  Builder scaled(space, [&](std::int64_t n) { return gain("joint", n); }), as_they_are(space);
  const std::unique_ptr<Layer> mixed = scaled.choose("conv", site);
  const std::unique_ptr<Layer> plain = as_they_are.choose("conv", site);
  Conv2d alone({.in_channels = 8, .out_channels = 8, .kernel_size = {5, 5}});
  CHECK(rms(*mixed) / rms(alone) == doctest::Approx(1).epsilon(0.2));
  CHECK(rms(*plain) / rms(alone) < 0.55);

  // What is left of a mixture with three of four candidates masked is one layer.
  const SearchSpace four{
      .choices = {{.name = "conv", .candidates = {"5x5", "5x4", "4x5", "4x6"}, .kind = "conv"}}};
  const auto dropout = make_one_shot("dropout", four, {.num_masked = 3});
  Builder masked(*dropout);
  const std::unique_ptr<Layer> left = masked.choose("conv", site);
  dynamic_cast<MixedLayer&>(*left).choice().set_path(
      dropout->draw({.phase = Phase::weights, .candidates = 4}));
  CHECK(rms(*left) / rms(alone) == doctest::Approx(1).epsilon(0.2));
}

TEST_CASE("mixed layer: names, choice, counts, and what it refuses") {
  Net net(true);
  const std::vector<NamedMixedLayer> found = find_mixed_layers(net);
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == "conv");
  CHECK(found[1].name == "dense");
  CHECK(found[0].layer == net.conv.get());
  CHECK(net.state_dict().count("conv.alpha") == 1);
  CHECK(net.state_dict().at("conv.ops.4.weight").shape() == Shape{3, 2, 4, 6});

  SupernetChoice& choice = net.conv->choice();
  CHECK(choice.name() == "conv");
  CHECK(choice.candidates() == kBody);
  CHECK(choice.path().to_string() == "111111");
  CHECK(choice.best() == 0);  // all alike
  Variable alpha = choice.alpha();
  alpha.value().copy_(Tensor::from({0, 1, 3, 2, 0, 0}, {6}));
  CHECK(choice.best() == 2);
  CHECK(choice.alpha_values() == std::vector<double>{0, 1, 3, 2, 0, 0});
  double total = 0;
  for (const double p : choice.probabilities()) total += p;
  CHECK(total == doctest::Approx(1));

  choice.set_path(single_path(6, 4));
  choice.count_update();
  choice.count_update();
  CHECK(choice.update_counts() == std::vector<std::int64_t>{0, 0, 0, 0, 2, 0});
  choice.set_update_counts({1, 2, 3, 4, 5, 6});
  CHECK(choice.update_counts() == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6});
  CHECK_THROWS_AS(choice.set_update_counts({1}), std::invalid_argument);

  CHECK_THROWS_AS(choice.set_path(full_path(5)), std::invalid_argument);
  const std::vector<bool> none(6, false);
  choice.set_path(scaled_path(none, 1));  // a layer may be empty; without coefficients it may not
  CHECK_THROWS_AS(choice.set_path({.active = none, .relax = {}}), std::invalid_argument);
  CHECK_THROWS_AS(choice.set_path({.active = std::vector<bool>(6, true), .relax = {}}),
                  std::invalid_argument);
  CHECK_THROWS_AS(net.conv->candidate(6), std::out_of_range);
  CHECK_THROWS_AS(mixed_convolution({}, 1, 1, true), std::invalid_argument);
  CHECK_THROWS_AS(mixed_convolution({"3"}, 1, 1, true), std::invalid_argument);
  CHECK_THROWS_AS(MixedLayer(nullptr, {}), std::invalid_argument);
  CHECK_THROWS_AS(SupernetChoice(Choice{.name = "none", .candidates = {}}), std::invalid_argument);
  std::vector<std::unique_ptr<Layer>> too_few;
  too_few.push_back(std::make_unique<Identity>());
  CHECK_THROWS_WITH_AS(MixedLayer(net.conv->shared_choice(), std::move(too_few)),
                       doctest::Contains("got 1 for 6"), std::invalid_argument);
}

TEST_CASE("mixed layer: the scale of what was watched") {
  const auto rms = [](const Variable& y) {
    return doctest::Approx(std::sqrt(static_cast<double>(mean(mul(y, y)).item())));
  };
  const Tensor images = random_tensor({1, 2, 5, 5}, 8);
  const std::unique_ptr<MixedLayer> mixed = mixed_convolution(kBody, 2, 3, true);
  const std::unique_ptr<MixedLayer> other = mixed_convolution(kBody, 2, 4, true);
  mixed->forward(images);
  CHECK(mixed->activation_rms() == 0);  // nobody asked
  mixed->watch(true);
  const Variable y = mixed->forward(images);
  CHECK(mixed->activation_rms() == rms(y));
  other->watch(true);
  const Variable both = relu_maxpool_branches({mixed.get(), other.get()}, images, {2, 2});
  CHECK(mixed->activation_rms() == rms(slice(both, 1, 0, 3)));
  CHECK(other->activation_rms() == rms(slice(both, 1, 3, 4)));
  CHECK(mixed->activation_rms() == rms(slice(both, 1, 0, 3)));  // kept
}

TEST_CASE("supernet: its choices are found, and one child can be set") {
  Net net(true);
  const SearchSpace space = net_space();
  const std::vector<ChoiceLayers> choices = find_choices(net, space);
  REQUIRE(choices.size() == 2);
  CHECK(choices[1].choice == net.dense->shared_choice());
  CHECK(choices[1].layers == std::vector<MixedLayer*>{net.dense.get()});
  set_child(net, space, make_genotype(space, {4, 1}));
  CHECK(net.conv->choice().path().to_string() == "000010");
  CHECK(net.dense->choice().path().to_string() == "0100");
  CHECK_FALSE(net.dense->choice().path().uses_alpha());
  set_full_paths(net);
  CHECK(net.conv->choice().path().to_string() == "111111");
  CHECK(net.dense->choice().path().uses_alpha());

  const auto refused = [&](const SearchSpace& other, const char* part) {
    CHECK(contains(message_of([&] { find_choices(net, other); }), part));
  };
  SearchSpace other = space;
  other.choices.pop_back();
  refused(other, "no choice is named 'dense'");
  other = space;
  other.choices.push_back({.name = "more", .candidates = {"1"}});
  refused(other, "'more' has none");
  other = space;
  other.choices[0].candidates[5] = "6x5";
  refused(other, "those of 'conv' differ from choice 'conv'");

  struct Pair : Module {
    Net first{true}, second{true};  // each with alphas of its own
    Pair() {
      register_module("first", first);
      register_module("second", second);
    }
  } pair;
  CHECK(contains(message_of([&] { find_choices(pair, space); }),
                 "'second.conv' has one of its own for 'conv'"));
}
