// The table of candidates, what is merged, and a candidate that somebody else adds.

#include "nas/candidates.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <tuple>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/builder.h"
#include "nas/supernet_search.h"
#include "nn/conv.h"
#include "nn/linear.h"
#include "tests/golden.h"
#include "tests/nas/toy.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

std::unique_ptr<Layer> make(const std::string& name, const Site& site) {
  return standard_candidates().make(name, site);
}

// The message of the refusal, which must be one line.
std::string refusal(const std::string& name, const Site& site) {
  const std::string message = message_of([&] { make(name, site); });
  INFO(message);
  CHECK_FALSE(contains(message, "\n"));
  return message;
}

void randomize(Module& module) {
  std::uint64_t seed = 80;
  for (Variable& parameter : module.parameters()) {
    parameter.value().copy_(random_tensor(parameter.shape(), ++seed, real(0.5)));
  }
}

// A candidate that the library does not have: every channel times a number of its own.
class MyScale : public Layer {
 public:
  explicit MyScale(std::int64_t channels)
      : scale(register_parameter("scale", Tensor::ones({channels, 1, 1}))) {}
  Variable forward(const Variable& x) override { return mul(x, scale); }

  Variable scale;
};

const CandidateTable& my_candidates() {
  static const CandidateTable table = [] {
    CandidateTable copy = standard_candidates();
    copy.add({"my_scale", "every channel times a number",
              [](const Site& site, const std::vector<std::int64_t>&) {
                return std::make_unique<MyScale>(site.in_channels);
              }});
    return copy;
  }();
  return table;
}

SearchSpace my_space() {
  return {.choices = {{.name = "op",
                       .candidates = {"conv_3x3", "my_scale", "conv_5x5", "skip_connect", "none"}}},
          .system = "mine"};
}

std::unique_ptr<Layer> mixed_of(const std::vector<std::string>& candidates, const Site& site,
                                bool merge) {
  Builder builder({.choices = {{.name = "op", .candidates = candidates}}}, Builder::InitialGain{},
                  my_candidates());
  builder.mixed_layer.merge = merge;
  std::unique_ptr<Layer> layer = builder.choose("op", site);
  randomize(*layer);
  return layer;
}

MixedLayer& as_mixed(Layer& layer) { return dynamic_cast<MixedLayer&>(layer); }

// Merged and not merged, along every path there is: values, and the gradient of everything.
void check_merged_against_naive(const std::vector<std::string>& candidates, const Site& site,
                                const Tensor& input, std::size_t merged_count) {
  const std::unique_ptr<Layer> merged = mixed_of(candidates, site, true);
  const std::unique_ptr<Layer> naive = mixed_of(candidates, site, false);
  CHECK(as_mixed(*merged).merged_count() == merged_count);
  CHECK(as_mixed(*naive).merged_count() == 0);
  const std::size_t n = candidates.size();
  for (std::size_t bits = 1; bits < (std::size_t{1} << n); ++bits) {
    std::vector<bool> active;
    for (std::size_t i = 0; i < n; ++i) active.push_back((bits >> i & 1) != 0);
    for (const bool renormalized : {false, true}) {
      const Path path = renormalized ? renormalized_path(active) : scaled_path(active, real(1.5));
      INFO(path.to_string());
      std::vector<Variable> inputs, outputs;
      for (Layer* layer : {merged.get(), naive.get()}) {
        layer->zero_grad();
        as_mixed(*layer).choice().set_path(path);
        inputs.emplace_back(input, true);
        outputs.push_back(layer->forward(inputs.back()));
        backward(sum(mul(outputs.back(), random_tensor(outputs.back().shape(), 2))));
      }
      const double tolerance = sizeof(real) == 8 ? 1e-11 : 5e-5;
      check_close(outputs[0].value(), outputs[1].value(), "y", tolerance);
      REQUIRE(inputs[0].grad().defined() == inputs[1].grad().defined());
      if (inputs[0].grad().defined()) {
        check_close(inputs[0].grad(), inputs[1].grad(), "d_x", tolerance);
      }
      const NamedParameters ours = merged->named_parameters(), theirs = naive->named_parameters();
      REQUIRE(ours.size() == theirs.size());
      for (std::size_t i = 0; i < ours.size(); ++i) {
        INFO(ours[i].first);
        const Tensor &actual = ours[i].second.grad(), &expected = theirs[i].second.grad();
        REQUIRE(actual.defined() == expected.defined());
        if (ours[i].first.starts_with("ops.")) {
          const auto candidate = static_cast<std::size_t>(std::stoi(ours[i].first.substr(4)));
          CHECK(actual.defined() == active[candidate]);
        }
        // A candidate that has all the weight leaves alpha a gradient of rounding errors.
        if (renormalized && path.active_count() == 1 && ours[i].first == "alpha") {
          for (const Tensor& d : {actual, expected}) {
            for (const real x : d.to_vector()) CHECK(std::abs(x) < 1e-4);
          }
        } else if (actual.defined()) {
          check_close(actual, expected, ours[i].first, tolerance);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("candidates: every row of the table is made and run") {
  for (const CandidateTable::Row& row : standard_candidates().rows()) {
    INFO(row.pattern);
    CHECK_FALSE(row.summary.empty());
    CHECK_FALSE(contains(row.summary, "\n"));
    std::string name = row.pattern;
    std::replace(name.begin(), name.end(), '*', '2');
    // Pooling has the stride of its window.
    const bool pools = name.find("pool") != std::string::npos;
    const std::int64_t stride = pools ? 2 : 1;
    const std::unique_ptr<Layer> layer =
        make(name, {.in_channels = 2, .out_channels = 2, .stride = {stride, stride}});
    const Variable x(random_tensor({3, 2, 4, 2}, 1), true);
    const Variable y = layer->forward(x);
    CHECK(y.shape() == (pools ? Shape{3, 2, 2, 1} : Shape{3, 2, 4, 2}));
    for (const real value : y.value().to_vector()) CHECK(std::isfinite(value));
  }
}

TEST_CASE("candidates: what each name stands for") {
  const Site site{.in_channels = 3, .out_channels = 5};
  const std::unique_ptr<Layer> convolution = make("conv_10x1", site);
  const auto& conv = dynamic_cast<Conv2d&>(*convolution);
  CHECK(conv.weight.shape() == Shape{5, 3, 10, 1});
  CHECK(conv.bias.shape() == Shape{5});
  CHECK_FALSE(conv.options.padding);
  const std::unique_ptr<Layer> dense = make("width_48", {.in_channels = 7});
  CHECK(dynamic_cast<Linear&>(*dense).weight.shape() == Shape{48, 7});

  const Tensor x = random_tensor({2, 3, 5, 4}, 1);
  CHECK(
      make("skip_connect", {.in_channels = 3, .out_channels = 3})->forward(x).value().to_vector() ==
      x.to_vector());
  CHECK(make("max_pool_2x1", {.in_channels = 3, .out_channels = 3, .stride = {2, 1}})
            ->forward(x)
            .value()
            .to_vector() == max_pool2d(x, {2, 1}).value().to_vector());
  // Zero has the shape that the site's other candidates have.
  const auto zero = [](const Site& here, const Tensor& input) {
    const Tensor y = make("none", here)->forward(input).value();
    for (const real value : y.to_vector()) CHECK(value == real(0));
    return y.shape();
  };
  CHECK(zero(site, x) == Shape{2, 5, 5, 4});
  Site strided = site;
  strided.stride = {2, 3};
  CHECK(zero(strided, x) == Shape{2, 5, 3, 2});
  CHECK(make("conv_3x3", strided)->forward(x).shape() == Shape{2, 5, 3, 2});
  CHECK(zero({.in_channels = 7, .out_channels = 7}, random_tensor({2, 7}, 1)) == Shape{2, 7});
  CHECK(zero({.in_channels = 7, .out_channels = 4}, random_tensor({2, 6, 7}, 1)) == Shape{2, 6, 4});
}

TEST_CASE("candidates: the gain is a factor on the weights, not on the bias") {
  for (const char* name : {"conv_3x3", "width_4"}) {
    manual_seed(5);
    const std::unique_ptr<Layer> plain = make(name, {.in_channels = 2, .out_channels = 3});
    manual_seed(5);
    const std::unique_ptr<Layer> scaled =
        make(name, {.in_channels = 2, .out_channels = 3, .gain = 3});
    const std::vector<Variable> a = plain->parameters(), b = scaled->parameters();
    check_close(b[0].value(), affine(a[0], 3).value(), name);
    CHECK(b[1].value().to_vector() == a[1].value().to_vector());
    CHECK(b[0].requires_grad());
  }
}

TEST_CASE("candidates: a name without a row is answered with the nearest one") {
  const Site site{.in_channels = 2, .out_channels = 2};
  for (const auto& [name, nearest] : {std::pair{"conv_3", "conv_*x*"},
                                      {"convv_3x3", "conv_*x*"},
                                      {"max_pol_2x2", "max_pool_*x*"},
                                      {"skip_conect", "skip_connect"},
                                      {"nine", "none"},
                                      {"width", "width_*"}}) {
    const std::string message = refusal(name, site);
    CHECK(contains(message, "no row of the table is named '" + std::string(name) + "'"));
    CHECK(contains(message, "the nearest is '" + std::string(nearest) + "'"));
  }
  CHECK(contains(refusal("", site), "named ''"));
  for (const char* bad : {"", "2", "x8", "2x", "2x8 ", " 2x8", "2X8", "2x-8", "2x8x1", "0x3", "3x0",
                          "1000001x1", "99999999999999999999x1", "2.0x8", "+2x8"}) {
    CHECK(contains(refusal("conv_" + std::string(bad), site), "'conv_" + std::string(bad) + "'"));
  }
  CHECK(contains(message_of([] { my_candidates().make("my_scal", {}); }), "'my_scale'"));
}

TEST_CASE(
    "candidates: a row of just that name comes first, and rows that cannot serve are refused") {
  CandidateTable table = standard_candidates();
  table.add({"conv_3x3", "the input itself",
             [](const Site&, const auto&) { return std::make_unique<Identity>(); }});
  const Site site{.in_channels = 1, .out_channels = 1};
  CHECK(dynamic_cast<Identity*>(table.make("conv_3x3", site).get()) != nullptr);
  CHECK(dynamic_cast<Conv2d*>(table.make("conv_3x5", site).get()) != nullptr);
  const auto identity = [](const Site&, const auto&) { return std::make_unique<Identity>(); };
  CHECK_THROWS_WITH_AS(table.add({"conv_*x*", "", identity}), doctest::Contains("twice"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(table.add({"mine", "", {}}), doctest::Contains("'mine'"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(table.make("conv_1x1000", site), doctest::Contains("999"),
                       std::invalid_argument);
}

TEST_CASE("candidates: a site that does not fit is refused in one line") {
  for (const auto& [name, site, part] :
       {std::tuple{"skip_connect", Site{.in_channels = 2, .out_channels = 3}, "2 to 3 channels"},
        {"skip_connect", Site{.in_channels = 2, .out_channels = 2, .stride = {2, 1}},
         "stride 2 x 1"},
        {"max_pool_2x2", Site{.in_channels = 2, .out_channels = 2}, "2 x 2; got 1 x 1"},
        {"max_pool_2x2", Site{.in_channels = 1, .out_channels = 2, .stride = {2, 2}}, "got 1 to 2"},
        {"conv_3x3", Site{.in_channels = 0, .out_channels = 2}, "got 0 and 2"},
        {"conv_3x3", Site{.in_channels = 2}, "got 2 and 0"},
        {"conv_3x3", Site{.in_channels = 2, .out_channels = 2, .stride = {0, 1}}, "got 0 x 1"},
        {"width_4", Site{}, "got 0 and 4"}}) {
    const std::string operation = name;
    INFO(operation);
    CHECK(contains(refusal(operation, site), part));
  }
}

TEST_CASE("mixed layer: what is merged, and only that") {
  using Layers = std::vector<std::unique_ptr<Layer>>;
  const auto merged = [](Layers layers) {
    Choice choice{.name = "op", .candidates = {}};
    for (std::size_t i = 0; i < layers.size(); ++i) choice.candidates.push_back(std::to_string(i));
    return MixedLayer(std::make_shared<SupernetChoice>(choice), std::move(layers)).merged_count();
  };
  const auto conv = [](std::int64_t k, std::int64_t stride, std::optional<Padding> padding,
                       bool bias = true) {
    return std::make_unique<Conv2d>(Conv2d::Options{.in_channels = 2,
                                                    .out_channels = 2,
                                                    .kernel_size = {k, k},
                                                    .stride = {stride, stride},
                                                    .padding = padding,
                                                    .bias = bias});
  };
  const auto pair = [&](std::unique_ptr<Layer> a, std::unique_ptr<Layer> b) {
    Layers layers;
    layers.push_back(std::move(a));
    layers.push_back(std::move(b));
    return merged(std::move(layers));
  };
  const auto centred = [](std::int64_t k) { return same_padding({k, k}); };
  const auto dense = [](std::int64_t width, bool bias = true) {
    return std::make_unique<Linear>(
        Linear::Options{.in_features = 2, .out_features = width, .bias = bias});
  };
  CHECK(pair(conv(3, 1, {}), conv(4, 1, {})) == 2);
  CHECK(pair(conv(3, 1, {}), conv(4, 1, centred(4))) == 2);  // the same at stride 1
  CHECK(pair(conv(3, 1, {}, false), conv(4, 1, {}, false)) == 2);
  CHECK(pair(conv(3, 2, centred(3)), conv(5, 2, centred(5))) == 2);
  CHECK(pair(conv(3, 2, {}), conv(5, 2, {})) == 0);  // their padding depends on the input's size
  CHECK(pair(conv(3, 1, {}), conv(5, 2, centred(5))) == 0);
  CHECK(pair(conv(3, 1, Padding{}), conv(5, 1, Padding{})) == 0);  // aligned at a corner
  CHECK(pair(conv(3, 1, {}), conv(5, 1, {}, false)) == 0);
  CHECK(pair(dense(3), dense(4)) == 2);
  CHECK(pair(dense(3), dense(4, false)) == 0);
  CHECK(pair(dense(2), conv(3, 1, {})) == 0);
  CHECK(pair(conv(3, 1, {}), std::make_unique<Identity>()) == 0);  // one alone is not a merger
  // The first that has a linear form leads, wherever it stands.
  Layers layers;
  layers.push_back(std::make_unique<Identity>());
  layers.push_back(conv(3, 1, {}));
  layers.push_back(conv(3, 1, {}, false));
  layers.push_back(conv(5, 1, {}));
  layers.push_back(std::make_unique<ReLU>());
  layers.push_back(conv(1, 1, {}));
  CHECK(merged(std::move(layers)) == 3);
}

TEST_CASE("mixed layer: convolutions beside other candidates are merged, along every path") {
  const std::vector<std::string> candidates = my_space().choices[0].candidates;
  check_merged_against_naive(candidates, {.in_channels = 2, .out_channels = 2},
                             random_tensor({2, 2, 5, 7}, 3), 2);
}

TEST_CASE("mixed layer: strided convolutions with explicit padding are merged too") {
  for (const Shape& shape : {Shape{2, 2, 6, 8}, Shape{2, 2, 7, 5}}) {
    check_merged_against_naive({"conv_3x3", "conv_5x4", "none", "conv_2x1"},
                               {.in_channels = 2, .out_channels = 3, .stride = {2, 3}},
                               random_tensor(shape, 3), 3);
  }
  // Where windows divide the input, pooling fits between them.
  check_merged_against_naive({"conv_3x3", "max_pool_2x2", "conv_5x5"},
                             {.in_channels = 2, .out_channels = 2, .stride = {2, 2}},
                             random_tensor({2, 2, 6, 8}, 3), 2);
}

TEST_CASE("mixed layer: outputs of different shapes are refused, never broadcast") {
  const Site strided{.in_channels = 2, .out_channels = 2, .stride = {2, 2}};
  for (const bool merge : {true, false}) {
    // Pooling drops the incomplete window at the end, the convolution does not.
    const std::unique_ptr<Layer> layer = mixed_of({"conv_3x3", "max_pool_2x2"}, strided, merge);
    CHECK_NOTHROW(layer->forward(random_tensor({1, 2, 4, 4}, 1)));
    const std::string message = message_of([&] { layer->forward(random_tensor({1, 2, 3, 3}, 1)); });
    CHECK(contains(message, "[1, 2, 1, 1] of 'max_pool_2x2' of 'op' beside [1, 2, 2, 2]"));
  }
  const std::unique_ptr<Layer> dense =
      mixed_of({"width_1", "skip_connect"}, {.in_channels = 8, .out_channels = 8}, true);
  CHECK(contains(message_of([&] {
                   dense->forward(random_tensor({3, 8}, 1));
                 }),
                 "[3, 8] of 'skip_connect' of 'op' beside [3, 1]"));
}

TEST_CASE("a made-up candidate is searched, chosen and trained like those of the library") {
  const SearchSpace space = my_space();
  for (const std::string& name : supernet_strategies()) {
    INFO(name);
    const std::unique_ptr<OneShot> method = make_one_shot(
        name, space, {.seed = 1, .epochs = 3, .learning_rate = 0.05, .alpha_learning_rate = 0.1});
    manual_seed(7);
    Builder builder(*method, my_candidates());
    struct Net : Module {
      std::unique_ptr<Layer> op;
      explicit Net(Builder& make) : op(make.choose("op", {.in_channels = 2, .out_channels = 2})) {
        register_module("op", *op);
      }
    } net(builder);
    CHECK(as_mixed(*net.op).merged_count() == 2);
    // The target is what my_scale alone can reach: channels times 3 and -2.
    const auto loss = [&](std::uint64_t batch) {
      const Tensor x = random_tensor({4, 2, 6, 6}, 100 + batch);
      const Variable error = net.op->forward(x) - mul(x, Tensor::from({3, -2}, {2, 1, 1}));
      return mean(error * error);
    };
    SupernetSearch search(net, *method);
    const StateDict start = net.state_dict();
    const auto validation = [&](std::int64_t) {
      return std::vector<LossFunction>{[&] { return loss(50); }};
    };
    for (std::uint64_t batch = 0; !search.finished(); search.end_epoch(validation)) {
      for (int step = 0; step < 6; ++step, ++batch) {
        if (search.trains_architecture()) {
          search.architecture_step([&] { return loss(50 + batch); }, [&] { return loss(batch); });
        }
        if (search.trains_weights()) search.weight_step([&] { return loss(batch); });
      }
    }
    const StateDict now = net.state_dict();
    const std::vector<std::int64_t>& updates = as_mixed(*net.op).choice().update_counts();
    for (const auto& entry : now) {
      const std::string& key = entry.first;
      const Tensor& tensor = entry.second;
      INFO(key);
      const bool alpha = key == "op.alpha";
      const bool trained = alpha || updates[static_cast<std::size_t>(std::stoi(key.substr(7)))] > 0;
      CHECK((tensor.to_vector() != start.at(key).to_vector()) == trained);
    }
    CHECK(updates[1] > 0);
    const std::vector<std::vector<double>> alphas = search.alphas();
    for (const double alpha : alphas[0]) CHECK(std::isfinite(alpha));
    CHECK_NOTHROW(check_genotype(method->derive(search.alphas()), space));
  }
  Builder one(space, make_genotype(space, {1}), my_candidates());
  const std::unique_ptr<Layer> child = one.choose("op", {.in_channels = 4, .out_channels = 4});
  CHECK(dynamic_cast<MyScale&>(*child).scale.shape() == Shape{4, 1, 1});
  // The standard table knows nothing of it.
  Builder standard(space, make_genotype(space, {1}));
  CHECK(contains(message_of([&] { standard.choose("op", Site{.in_channels = 4}); }), "'my_scale'"));
}
