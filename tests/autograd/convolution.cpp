// Convolution and pooling: gradient checks, golden values, messages.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;

// "[4, 2]" as two integers.
std::array<std::int64_t, 2> pair_attribute(const Golden& file, const std::string& key) {
  const std::string text = golden_attribute(file, key);
  REQUIRE(text.size() >= 5);
  const std::size_t comma = text.find(',');
  return {std::stoll(text.substr(1)), std::stoll(text.substr(comma + 1))};
}

}  // namespace

TEST_CASE("conv2d: gradient checks") {
  const auto conv = [](Conv2dOptions options) {
    return [options](const Inputs& in) {
      return conv2d(in[0], in[1], in.size() > 2 ? in[2] : Variable(), options);
    };
  };
  check_op("conv2d",
           {random_tensor({2, 2, 4, 9}, 1), random_tensor({3, 2, 3, 2}, 2), random_tensor({3}, 3)},
           conv({.padding = same_padding({3, 2})}));
  check_op("conv2d", {random_tensor({1, 1, 1, 1}, 1), random_tensor({1, 1, 1, 1}, 2)}, conv({}));
  check_op("conv2d", {random_tensor({1, 2, 2, 3}, 1), random_tensor({2, 2, 6, 4}, 2)},
           conv({.padding = same_padding({6, 4})}));
  check_op("conv2d",
           {random_tensor({3, 2, 6, 7}, 1), random_tensor({3, 2, 3, 3}, 2), random_tensor({3}, 3)},
           conv({.stride = {4, 2}, .padding = {1, 2, 0, 1}}));
}

TEST_CASE("max_pool2d: gradient checks, ties included") {
  for (const auto& window : {std::array<std::int64_t, 2>{2, 2}, {2, 1}, {4, 1}, {1, 1}, {3, 2}}) {
    check_op("max_pool2d", {random_tensor({2, 2, 5, 5}, 1)},
             [window](const Inputs& in) { return max_pool2d(in[0], window); });
  }
  // Equal elements: the gradient goes to the first, which a finite difference cannot see.
  const Variable x(Tensor::ones({1, 1, 2, 4}), true);
  backward(sum(max_pool2d(x, {2, 2})));
  CHECK(x.grad().to_vector() == std::vector<real>{1, 0, 1, 0, 0, 0, 0, 0});
}

TEST_CASE("conv2d_relu_maxpool: gradient checks") {
  for (const auto& window : {std::array<std::int64_t, 2>{2, 2}, {2, 1}, {1, 1}, {3, 2}}) {
    check_op(
        "conv2d_relu_maxpool",
        {random_tensor({2, 2, 5, 9}, 1), random_tensor({3, 2, 3, 2}, 2), random_tensor({3}, 3)},
        [window](const Inputs& in) {
          return conv2d_relu_maxpool(in[0], in[1], in[2], {.padding = same_padding({3, 2})},
                                     window);
        });
  }
  check_op("conv2d_relu_maxpool", {random_tensor({2, 1, 9, 8}, 4), random_tensor({2, 1, 3, 3}, 5)},
           [](const Inputs& in) {
             return conv2d_relu_maxpool(in[0], in[1], {}, {.stride = {2, 1}}, {2, 2});
           });
}

TEST_CASE("conv2d_relu_maxpool_branches: gradient checks") {
  check_op("conv2d_relu_maxpool_branches",
           {random_tensor({2, 2, 5, 4}, 1), random_tensor({2, 2, 2, 3}, 2), random_tensor({2}, 3),
            random_tensor({3, 2, 3, 1}, 4)},
           [](const auto& in) {
             return conv2d_relu_maxpool_branches(in[0], {{in[1], in[2]}, {in[3], {}}}, {2, 1});
           });
}

TEST_CASE("conv2d_relu_maxpool_branches equals its parts, small or large") {
  // The larger image is computed sample by sample, in place.
  for (const std::int64_t height : {6, 9001}) {
    CAPTURE(height);
    const Shape shapes[] = {{3, 1, height, 8}, {3, 1, 2, 3}, {3}, {2, 1, 3, 2}, {2}};
    std::vector<Variable> joined, apart;
    for (std::uint64_t i = 0; i < 5; ++i) {
      joined.emplace_back(random_tensor(shapes[i], i), true);
      apart.emplace_back(joined.back().value().clone(), true);
    }
    const Variable one = conv2d_relu_maxpool_branches(
        joined[0], {{joined[1], joined[2]}, {joined[3], joined[4]}}, {2, 1});
    const auto part = [&](std::size_t i) {
      return conv2d_relu_maxpool(apart[0], apart[i], apart[i + 1],
                                 {.padding = same_padding({apart[i].size(2), apart[i].size(3)})},
                                 {2, 1});
    };
    const Variable two = concat({part(1), part(3)}, 1);
    check_close(one.value(), two.value(), "y", 1e-6);
    const Tensor weights = random_tensor(one.shape(), 9);
    backward(sum(mul(one, weights)));
    backward(sum(mul(two, weights)));
    for (std::size_t i = 0; i < 5; ++i) check_close(joined[i].grad(), apart[i].grad(), "d", 1e-5);
  }
}

TEST_CASE("conv2d_relu_maxpool equals its separate steps") {
  const std::vector<std::array<std::int64_t, 2>> windows = {{2, 1}, {2, 2}, {4, 1}, {20, 15}};
  for (const auto& window : windows) {
    const Variable x(random_tensor({2, 3, 21, 33}, 1), true);
    const Variable weight(random_tensor({5, 3, 5, 4}, 2), true);
    const Variable bias(random_tensor({5}, 3), true);
    const Conv2dOptions options = {.padding = same_padding({5, 4})};
    const Variable fused = conv2d_relu_maxpool(x, weight, bias, options, window);
    const Variable steps = max_pool2d(relu(conv2d(x, weight, bias, options)), window);
    check_close(fused.value(), steps.value(), "y");
    const Variable dy(random_tensor(fused.shape(), 4));
    const std::vector<Variable> actual = grad(sum(fused * dy), {x, weight, bias});
    const std::vector<Variable> expected = grad(sum(steps * dy), {x, weight, bias});
    for (std::size_t i = 0; i < actual.size(); ++i) {
      check_close(actual[i].value(), expected[i].value(), "gradient " + std::to_string(i));
    }
  }
}

TEST_CASE("conv2d: a gradient that nobody wants is not computed") {
  const Variable x(random_tensor({1, 1, 4, 5}, 1));
  const Variable weight(random_tensor({2, 1, 3, 3}, 2), true);
  backward(sum(conv2d(x, weight)));
  CHECK(weight.grad().defined());
  CHECK(!x.requires_grad());
}

TEST_CASE("same_padding") {
  const Padding even = same_padding({2, 8});
  CHECK((even.top == 0 && even.bottom == 1 && even.left == 3 && even.right == 4));
  const Padding primary = same_padding({5, 5}, {4, 2}, {6, 10});
  CHECK((primary.top == 1 && primary.bottom == 2 && primary.left == 1 && primary.right == 2));
  const Padding enough = same_padding({1, 3}, {4, 2}, {7, 1});  // reaches less than the image
  CHECK((enough.top == 0 && enough.bottom == 0 && enough.left == 1 && enough.right == 1));
  CHECK_THROWS_WITH(same_padding({5, 5}, {4, 2}),
                    "same_padding: with a stride the size of the input must be given; got size 0 "
                    "and stride 4");
}

TEST_CASE("golden: conv2d") {
  const std::vector<std::string> names = golden_names("conv2d_");
  CHECK(!names.empty());
  for (const std::string& name : names) {
    const Golden file = golden(name);
    const Shape& kernel = file.tensor("weight").shape();
    Conv2dOptions options = {.padding = same_padding({kernel[2], kernel[3]})};
    if (!golden_attribute(file, "stride").empty()) {
      const Shape& x = file.tensor("x").shape();
      options.stride = pair_attribute(file, "stride");
      options.padding = same_padding({kernel[2], kernel[3]}, options.stride, {x[2], x[3]});
    }
    check_golden_op("conv2d", name, {"x", "weight", "bias"},
                    [&](const Inputs& in) { return conv2d(in[0], in[1], in[2], options); });
  }
}

TEST_CASE("golden: max_pool2d") {
  const std::vector<std::string> names = golden_names("maxpool_");
  CHECK(!names.empty());
  for (const std::string& name : names) {
    const Golden file = golden(name);
    const auto window = pair_attribute(file, "window");
    check_golden_op("max_pool2d", name, {"x"},
                    [&](const Inputs& in) { return max_pool2d(in[0], window); });
  }
}

TEST_CASE("golden: two convolutions side by side, pooled, convolved, dense") {
  if (!has_golden("stack_conv")) return;
  const std::vector<std::string> names = {"x", "w1", "b1", "w2", "b2", "w3", "b3", "w4", "b4"};
  check_golden_op("conv2d", "stack_conv", names, [](const Inputs& in) {
    const Variable time = conv2d(in[0], in[1], in[2], {.padding = same_padding({2, 8})});
    const Variable frequency = conv2d(in[0], in[3], in[4], {.padding = same_padding({8, 2})});
    const Variable first = max_pool2d(relu(concat({time, frequency}, 1)), {2, 1});
    const Variable second =
        max_pool2d(relu(conv2d(first, in[5], in[6], {.padding = same_padding({5, 5})})), {2, 2});
    return linear(flatten(second, 1), in[7], in[8]);
  });
  // The same network with fused branches: pooling acts on each channel by itself.
  check_golden_op("conv2d_relu_maxpool", "stack_conv", names, [](const Inputs& in) {
    const Variable time =
        conv2d_relu_maxpool(in[0], in[1], in[2], {.padding = same_padding({2, 8})}, {2, 1});
    const Variable frequency =
        conv2d_relu_maxpool(in[0], in[3], in[4], {.padding = same_padding({8, 2})}, {2, 1});
    const Variable second = conv2d_relu_maxpool(concat({time, frequency}, 1), in[5], in[6],
                                                {.padding = same_padding({5, 5})}, {2, 2});
    return linear(flatten(second, 1), in[7], in[8]);
  });
}

TEST_CASE("conv2d and pooling: messages") {
  const Variable x(Tensor({1, 32, 6, 6}));
  const Variable weight(Tensor({64, 3, 7, 5}));
  CHECK_THROWS_WITH(conv2d(x, weight),
                    "conv2d: weight of shape [64, 3, 7, 5] expects input to have 3 channels; got "
                    "input [1, 32, 6, 6] with 32 channels");
  const Variable image(Tensor({1, 3, 6, 6}));
  CHECK_THROWS_WITH(conv2d(image, weight),
                    "conv2d: the padded input must be at least as large as the kernel; got input "
                    "[1, 3, 6, 6], padded to 6 x 6, and weight [64, 3, 7, 5]");
  CHECK_THROWS_WITH(conv2d(image, weight, Variable(Tensor({3}))),
                    "conv2d: bias must have one number per output channel, [64]; got bias [3] and "
                    "weight [64, 3, 7, 5]");
  CHECK_THROWS_AS(conv2d(image, weight, {}, {.stride = {0, 1}}), std::invalid_argument);
  CHECK_THROWS_AS(conv2d(image, weight, {}, {.padding = {-1, 3, 0, 0}}), std::invalid_argument);
  CHECK_THROWS_AS(conv2d(Variable(Tensor({3, 6, 6})), weight), std::invalid_argument);
  CHECK_THROWS_WITH(max_pool2d(image, {7, 1}),
                    "max_pool2d: the window must fit the padded input; it reaches over 7 of 6");
  CHECK_THROWS_AS(conv2d_relu_maxpool(image, Variable(Tensor({1, 3, 5, 5})), {}, {}, {3, 3}),
                  std::invalid_argument);
}
