// Weight entanglement: candidates are crops of one weight, merged or run one by one.

#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include "autograd/engine.h"
#include "nas/entangle.h"
#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "tests/golden.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

constexpr bool kDouble = sizeof(real) == 8;

const std::vector<std::string> kBody = {"5x5", "5x4", "4x5", "4x4", "4x6", "6x4"};
const std::vector<std::string> kFrequency = {"2x8", "2x7", "1x9", "3x5"};

std::unique_ptr<MixedLayer> mixed(const Choice& choice, const Site& site, bool merge,
                                  bool entangle = true) {
  manual_seed(3);
  Builder builder({.choices = {choice}});
  builder.mixed_layer = {.merge = merge, .entangle = entangle};
  std::unique_ptr<Layer> layer = builder.choose(choice.name, site);
  return std::unique_ptr<MixedLayer>(dynamic_cast<MixedLayer*>(layer.release()));
}

std::unique_ptr<MixedLayer> convolution(const std::vector<std::string>& kernels, bool merge,
                                        bool entangle = true) {
  return mixed({.name = "conv", .candidates = kernels, .kind = "conv"},
               {.in_channels = 2, .out_channels = 3}, merge, entangle);
}

// The parameter that all candidates share.
Variable shared(MixedLayer& layer, const char* name) {
  Variable found;
  for (std::int64_t i = 0; i < layer.choice().candidate_count(); ++i) {
    for (const auto& [own, parameter] : layer.candidate(i).named_parameters()) {
      if (own != name) continue;
      if (found.defined()) CHECK(found.identity() == parameter.identity());
      found = parameter;
    }
  }
  REQUIRE(found.defined());
  return found;
}

}  // namespace

TEST_CASE("entangled: merged and one by one, the same values and gradients") {
  const Choice widths{.name = "dense", .candidates = {"3", "6", "4"}, .kind = "width"};
  const Tensor images = random_tensor({2, 2, 7, 9}, 1), rows = random_tensor({5, 4}, 2);
  const auto layer_of = [&](int kind, bool merge) {
    if (kind == 0) return convolution(kBody, merge);
    if (kind == 1) return convolution(kFrequency, merge);
    return mixed(widths, {.in_channels = 4}, merge);
  };
  for (const int kind : {0, 1, 2}) {
    const auto n = layer_of(kind, true)->choice().candidate_count();
    std::vector<bool> some(static_cast<std::size_t>(n), true);
    some[1] = false;
    for (const Path& path : {full_path(n), scaled_path(some, real(1.5)), single_path(n, 2)}) {
      INFO("kind " << kind << " " << path.to_string());
      std::vector<Tensor> y, d_weight, d_bias, d_x, d_alpha;
      for (const bool merge : {true, false}) {
        const std::unique_ptr<MixedLayer> layer = layer_of(kind, merge);
        CHECK(layer->merged_count() == (merge ? static_cast<std::size_t>(n) : 0));
        CHECK(layer->has_crops());
        Variable weight = shared(*layer, "weight"), bias = shared(*layer, "bias");
        weight.value().copy_(random_tensor(weight.shape(), 4));
        bias.value().copy_(random_tensor(bias.shape(), 5));
        Variable(layer->choice().alpha()).value().copy_(random_tensor({n}, 6));
        layer->choice().set_path(path);
        const Variable x(kind == 2 ? rows : images, true);
        const Variable result = layer->forward(x);
        backward(sum(mul(result, random_tensor(result.shape(), 7))));
        y.push_back(result.value());
        d_weight.push_back(weight.grad());
        d_bias.push_back(bias.grad());
        d_x.push_back(x.grad());
        if (path.uses_alpha()) d_alpha.push_back(layer->choice().alpha().grad());
      }
      const double tolerance = kDouble ? 1e-11 : 2e-5;
      check_close(y[0], y[1], "y", tolerance);
      check_close(d_weight[0], d_weight[1], "d_weight", tolerance);
      check_close(d_bias[0], d_bias[1], "d_bias", tolerance);
      check_close(d_x[0], d_x[1], "d_x", tolerance);
      if (path.uses_alpha()) check_close(d_alpha[0], d_alpha[1], "d_alpha", tolerance);
    }
  }
}

TEST_CASE("entangled: a candidate has the taps of the shared kernel that it sees") {
  // Tap j of K sees position j - (K - 1) / 2, so a kernel of k sees -(k - 1) / 2 .. k / 2.
  const Tensor images = random_tensor({2, 2, 9, 11}, 1);
  for (const auto& kernels : {kBody, kFrequency}) {
    const std::unique_ptr<MixedLayer> layer = convolution(kernels, true);
    const Variable weight = shared(*layer, "weight"), bias = shared(*layer, "bias");
    const std::int64_t height = weight.size(2), width = weight.size(3);
    CHECK(height == (kernels == kBody ? 6 : 3));
    CHECK(width == (kernels == kBody ? 6 : 9));
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      const std::int64_t kh = kernels[i][0] - '0', kw = kernels[i][2] - '0';
      std::vector<real> mask;
      for (std::int64_t row = 0; row < height; ++row) {
        for (std::int64_t column = 0; column < width; ++column) {
          const std::int64_t y = row - (height - 1) / 2, x = column - (width - 1) / 2;
          mask.push_back(-(kh - 1) / 2 <= y && y <= kh / 2 && -(kw - 1) / 2 <= x && x <= kw / 2);
        }
      }
      const Variable seen = mul(weight, Tensor::from(mask, {height, width}));
      const Variable expected =
          conv2d(images, seen, bias, {.padding = same_padding({height, width})});
      layer->choice().set_path(single_path(std::ssize(kernels), static_cast<std::int64_t>(i)));
      check_close(layer->forward(images).value(), expected.value(), kernels[i],
                  kDouble ? 1e-12 : 1e-5);
    }
  }
}

TEST_CASE(
    "entangled: weights start as the candidates would, the last on top, and are one to Adam") {
  const std::unique_ptr<MixedLayer> together = convolution(kBody, true),
                                    apart = convolution(kBody, true, /*entangle=*/false);
  const std::int64_t last = 5;
  CHECK(together->candidate(last).linear_form()->weight.value().contiguous().to_vector() ==
        apart->candidate(last).linear_form()->weight.value().to_vector());
  // Of the box of 6x6, the last row is seen by the 6x4 alone, in columns 1 .. 4.
  const Tensor weight = shared(*together, "weight").value();
  for (const std::int64_t column : {0, 5}) CHECK(weight.at({0, 0, 5, column}) == real(0));
  CHECK(weight.at({0, 0, 5, 2}) != real(0));
  CHECK(weight.at({0, 0, 2, 0}) != real(0));
  const Adam adam(together->named_parameters(), {});
  CHECK(adam.parameters().size() == 3);  // alpha, weight, bias
  // What cannot be merged stays.
  const std::unique_ptr<MixedLayer> mixture =
      mixed({.name = "op", .candidates = {"conv_3x3", "skip_connect", "conv_1x1", "none"}},
            {.in_channels = 2, .out_channels = 2}, true);
  for (const std::int64_t i : {0, 1, 2, 3}) CHECK(is_crop(mixture->candidate(i)) == (i % 2 == 0));
  const std::unique_ptr<MixedLayer> single =
      mixed({.name = "op", .candidates = {"conv_3x3", "skip_connect"}},
            {.in_channels = 2, .out_channels = 2}, true);
  CHECK_FALSE(single->has_crops());
}

TEST_CASE("entangled: a step along one candidate moves its part of all others") {
  const auto method = make_one_shot("entangled", toy_space(), {});
  const std::unique_ptr<Toy> net = toy_supernet(*method, 2);
  auto& across = dynamic_cast<MixedLayer&>(*net->across);
  Variable weight = shared(across, "weight");
  CHECK(weight.shape() == Shape{1, 1, 5, 5});
  across.choice().set_path(single_path(4, 2));  // 1x5: the middle row
  const Tensor slope = grad(net->loss(1), {weight})[0].value();
  for (std::int64_t row = 0; row < 5; ++row) {
    for (std::int64_t column = 0; column < 5; ++column) {
      CHECK((slope.at({0, 0, row, column}) != real(0)) == (row == 2));
    }
  }
}

TEST_CASE("entangled: a supernet of another method is refused") {
  const auto method = make_one_shot("entangled", toy_space(), {}),
             darts = make_one_shot("darts", toy_space(), {});
  const std::unique_ptr<Toy> net = toy_supernet(*darts, 2);
  CHECK(contains(message_of([&] { SupernetSearch(*net, *method); }),
                 "supernet: must be made by a Builder of 'entangled', whose candidates share "
                 "weights; 'across' has candidates of their own"));
}
