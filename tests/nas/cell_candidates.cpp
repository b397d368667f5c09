// The operations of DARTS's cells: shapes, numbers of parameters, and values.

#include "nas/cell_candidates.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

const std::vector<std::string> kNames = {"none",         "skip_connect", "max_pool_3x3",
                                         "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5",
                                         "dil_conv_3x3", "dil_conv_5x5"};

std::unique_ptr<Layer> make(const std::string& name, std::int64_t stride, bool searching,
                            std::int64_t channels = 6) {
  const CandidateTable table = cell_candidates(searching);
  return table.make(
      name, {.in_channels = channels, .out_channels = channels, .stride = {stride, stride}});
}

void randomize(Module& module) {
  std::uint64_t seed = 70;
  for (Variable& parameter : module.parameters()) {
    parameter.value().copy_(random_tensor(parameter.shape(), ++seed, real(0.5)));
  }
}

Tensor normalised(const Variable& x) {
  return batch_norm(x, Tensor(), Tensor(), {}, {}, {.training = true}).value();
}

}  // namespace

TEST_CASE("cell candidates: one shape at each stride, halved at stride 2") {
  for (const bool searching : {true, false}) {
    for (const std::string& name : kNames) {
      INFO(name);
      const Variable x(random_tensor({2, 6, 8, 12}, 1), true);
      CHECK(make(name, 1, searching)->forward(x).shape() == Shape{2, 6, 8, 12});
      CHECK(make(name, 2, searching)->forward(x).shape() == Shape{2, 6, 4, 6});
    }
  }
}

TEST_CASE("cell candidates: parameters, counted by hand for 6 channels") {
  // depthwise k^2 C, 1x1 C^2, normalisation 2 C; at stride 2 a skip has two 1x1 of C x C / 2.
  const std::map<std::string, std::array<std::int64_t, 2>> counts = {
      {"none", {0, 0}},
      {"skip_connect", {0, 36 + 12}},
      {"max_pool_3x3", {0, 0}},
      {"avg_pool_3x3", {0, 0}},
      {"sep_conv_3x3", {2 * (54 + 36 + 12), 2 * (54 + 36 + 12)}},
      {"sep_conv_5x5", {2 * (150 + 36 + 12), 2 * (150 + 36 + 12)}},
      {"dil_conv_3x3", {54 + 36 + 12, 54 + 36 + 12}},
      {"dil_conv_5x5", {150 + 36 + 12, 150 + 36 + 12}}};
  for (const auto& [name, expected] : counts) {
    INFO(name);
    for (const std::int64_t stride : {1, 2}) {
      const std::int64_t count = expected[static_cast<std::size_t>(stride - 1)];
      CHECK(make(name, stride, false)->parameter_count() == count);
      // In a search no normalisation has parameters.
      std::int64_t norms = 0;
      if (name.starts_with("sep")) norms = 24;
      if (name.starts_with("dil") || (name == "skip_connect" && stride == 2)) norms = 12;
      CHECK(make(name, stride, true)->parameter_count() == count - norms);
    }
  }
}

TEST_CASE("cell candidates: their values") {
  const Tensor x = random_tensor({2, 4, 6, 6}, 3);
  const Variable positive = relu(x);
  for (const std::int64_t stride : {1, 2}) {
    const std::array<std::int64_t, 2> pair = {stride, stride};
    const Variable largest = max_pool2d(x, {3, 3}, {.stride = pair, .padding = {1, 1}});
    const Variable mean =
        avg_pool2d(x, {3, 3}, {.stride = pair, .padding = {1, 1}, .count_include_pad = false});
    check_close(make("max_pool_3x3", stride, false, 4)->forward(x).value(), largest.value(), "max");
    check_close(make("avg_pool_3x3", stride, false, 4)->forward(x).value(), mean.value(), "avg");
    check_close(make("max_pool_3x3", stride, true, 4)->forward(x).value(), normalised(largest),
                "max, searched");
    check_close(make("avg_pool_3x3", stride, true, 4)->forward(x).value(), normalised(mean),
                "avg, searched");

    const std::unique_ptr<Layer> dilated = make("dil_conv_5x5", stride, true, 4);
    randomize(*dilated);
    const std::vector<Variable> w = dilated->parameters();
    Variable y = conv2d(positive, w[0], {},
                        {.stride = pair, .padding = {4, 4, 4, 4}, .dilation = {2, 2}, .groups = 4});
    check_close(dilated->forward(x).value(), normalised(conv2d(y, w[1])), "dil_conv", 1e-4);

    const std::unique_ptr<Layer> separable = make("sep_conv_3x3", stride, true, 4);
    randomize(*separable);
    const std::vector<Variable> v = separable->parameters();
    y = conv2d(positive, v[0], {}, {.stride = pair, .padding = {1, 1, 1, 1}, .groups = 4});
    y = relu(normalised(conv2d(y, v[1])));
    y = conv2d(y, v[2], {}, {.padding = {1, 1, 1, 1}, .groups = 4});
    check_close(separable->forward(x).value(), normalised(conv2d(y, v[3])), "sep_conv", 1e-4);
  }
  CHECK(make("skip_connect", 1, true, 4)->forward(x).value().to_vector() == x.to_vector());
  for (const real zero : make("none", 2, true, 4)->forward(x).value().to_vector()) {
    CHECK(zero == real(0));
  }
}

TEST_CASE("factorized reduce: one half sees the even pixels, the other the odd ones") {
  const std::unique_ptr<Layer> reduce = factorized_reduce(1, 2, false);
  for (Variable& weight : reduce->parameters()) weight.value().copy_(Tensor::ones(weight.shape()));
  Tensor x({1, 1, 4, 4});
  for (std::int64_t i = 0; i < 16; ++i) x.data()[i] = static_cast<real>(i * i);
  // Rows 0, 2 and columns 0, 2: 0 4 64 100; rows 1, 3 and columns 1, 3: 25 49 169 225.
  const Tensor seen = Tensor::from({0, 4, 64, 100, 25, 49, 169, 225}, {1, 2, 2, 2});
  check_close(reduce->forward(x).value(), normalised(seen), "reduced", 1e-4);
  CHECK(factorized_reduce(3, 4, true)->parameter_count() == 3 * 4 + 2 * 4);
  CHECK(relu_conv_norm(3, 4, true)->parameter_count() == 3 * 4 + 2 * 4);
}

TEST_CASE("cell candidates: sites that do not fit") {
  const CandidateTable table = cell_candidates(true);
  const auto refused = [&](const std::string& name, const Site& site) {
    return !message_of([&] { table.make(name, site); }).empty();
  };
  CHECK(refused("sep_conv_3x3", {.in_channels = 2, .out_channels = 3}));
  CHECK(refused("max_pool_3x3", {.in_channels = 2, .out_channels = 3}));
  CHECK(refused("sep_conv_4x4", {.in_channels = 2, .out_channels = 2}));
  CHECK(refused("dil_conv_3x5", {.in_channels = 2, .out_channels = 2}));
  CHECK(refused("skip_connect", {.in_channels = 2, .out_channels = 2, .stride = {3, 3}}));
  CHECK_FALSE(refused("skip_connect", {.in_channels = 2, .out_channels = 4, .stride = {2, 2}}));
  CHECK(refused("skip_connect", {.in_channels = 3, .out_channels = 3, .stride = {2, 2}}));
  CHECK(refused("conv_3x3", {.in_channels = 2, .out_channels = 2}));
  CHECK_FALSE(message_of([&] {
                factorized_reduce(2, 2, true)->forward(random_tensor({1, 2, 5, 4}, 1));
              }).empty());
}
