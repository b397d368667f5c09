// Convolutions with groups, dilation, of sequences and transposed; resizing; embeddings.

#include <doctest/doctest.h>

#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;
using Values = std::vector<real>;

}  // namespace

TEST_CASE("conv2d with groups and dilation: gradients") {
  struct Case {
    Shape weight;
    Conv2dOptions options;
  };
  for (const Case& c :
       std::vector<Case>{{{6, 2, 3, 2}, {.groups = 2}},
                         {{4, 1, 2, 3}, {.stride = {2, 1}, .padding = {1, 0, 1, 1}, .groups = 4}},
                         {{3, 4, 2, 2}, {.padding = {1, 1, 0, 2}, .dilation = {2, 3}}},
                         {{2, 4, 1, 2}, {.dilation = {5, 1}}},
                         {{4, 2, 2, 2}, {.stride = {1, 2}, .dilation = {2, 2}, .groups = 2}}}) {
    check_op("conv2d",
             {random_tensor({2, 4, 5, 6}, 1), random_tensor(c.weight, 2),
              random_tensor({c.weight[0]}, 3)},
             [&](const Inputs& in) { return conv2d(in[0], in[1], in[2], c.options); });
  }
}

TEST_CASE("conv1d, conv_transpose2d: gradients") {
  check_op("conv1d",
           {random_tensor({2, 3, 7}, 1), random_tensor({4, 3, 3}, 2), random_tensor({4}, 3)},
           [](const Inputs& in) {
             return conv1d(in[0], in[1], in[2], {.stride = 2, .padding = {2, 1}, .dilation = 2});
           });
  check_op("conv1d", {random_tensor({1, 4, 5}, 1), random_tensor({4, 2, 2}, 2)},
           [](const Inputs& in) { return conv1d(in[0], in[1], {}, {.groups = 2}); });
  struct Case {
    Shape weight;
    ConvTranspose2dOptions options;
    std::int64_t out;
  };
  for (const Case& c : std::vector<Case>{
           {{4, 3, 2, 3}, {}, 3},
           {{4, 2, 3, 2}, {.stride = {2, 3}, .padding = {1, 0, 0, 1}, .output_padding = {1, 2}}, 2},
           {{4, 1, 2, 2}, {.stride = {1, 2}, .dilation = {2, 1}, .groups = 2}, 2}}) {
    check_op(
        "conv_transpose2d",
        {random_tensor({2, 4, 3, 4}, 1), random_tensor(c.weight, 2), random_tensor({c.out}, 3)},
        [&](const Inputs& in) { return conv_transpose2d(in[0], in[1], in[2], c.options); });
  }
}

TEST_CASE("embedding, interpolate: gradients") {
  const Tensor table = random_tensor({5, 3}, 1), image = random_tensor({2, 2, 3, 4}, 2);
  check_op("embedding", {table}, [](const Inputs& in) {
    return embedding(in[0], {4, 0, 4, 2}, {2, 2});
  });
  check_op("embedding", {table}, [](const Inputs& in) { return embedding(in[0], {1, 1}); });
  for (const std::array<std::int64_t, 2>& size :
       {std::array<std::int64_t, 2>{1, 1}, {3, 4}, {5, 7}, {2, 9}}) {
    check_op("interpolate", {image}, [=](const Inputs& in) { return interpolate(in[0], size); });
    for (const bool corners : {false, true}) {
      check_op("interpolate", {image}, [=](const Inputs& in) {
        return interpolate(in[0], size, {Interpolation::bilinear, corners});
      });
    }
  }
}

TEST_CASE("forms of convolution, embeddings, resizing: golden values") {
  const auto same = [](const char* function, const char* which, auto f) {
    check_golden_op(
        function, "convolutions", {"x", "weight", "bias"},
        [=](const Inputs& in) { return f(in[0], in[1], in[2]); }, which);
  };
  using V = Variable;
  const Padding one = {1, 1, 1, 1}, two = {2, 2, 2, 2};
  same("conv2d", "groups", [=](const V& x, const V& w, const V& b) {
    return conv2d(x, w, b, {.padding = one, .groups = 2});
  });
  same("conv2d", "depthwise", [=](const V& x, const V& w, const V& b) {
    return conv2d(x, w, b, {.stride = {2, 2}, .padding = one, .groups = 4});
  });
  same("conv2d", "dilation", [=](const V& x, const V& w, const V& b) {
    return conv2d(x, w, b, {.padding = two, .dilation = {2, 2}});
  });
  same("conv2d", "dilated_groups", [](const V& x, const V& w, const V& b) {
    return conv2d(x, w, b, {{1, 2}, {.top = 2, .bottom = 2}, {2, 3}, 2});
  });
  same("conv1d", "conv1d", [](const V& x, const V& w, const V& b) {
    return conv1d(x, w, b, {.stride = 2, .padding = {2, 2}, .dilation = 2});
  });
  same("conv1d", "conv1d_groups", [](const V& x, const V& w, const V& b) {
    return conv1d(x, w, b, {.padding = {1, 1}, .groups = 4});
  });
  same("conv_transpose2d", "transpose",
       [](const V& x, const V& w, const V& b) { return conv_transpose2d(x, w, b); });
  same("conv_transpose2d", "transpose_stride", [=](const V& x, const V& w, const V& b) {
    return conv_transpose2d(x, w, b, {{2, 2}, one, {1, 1}});
  });
  same("conv_transpose2d", "transpose_groups", [=](const V& x, const V& w, const V& b) {
    return conv_transpose2d(x, w, b, {{2, 1}, one, {1, 0}, {1, 2}, 2});
  });
  const auto rows = [](const char* which, std::optional<std::int64_t> padding) {
    check_golden_op(
        "embedding", "convolutions", {"table"},
        [=](const Inputs& in) {
          return embedding(in[0], {0, 4, 2, 2, 2, 1}, {2, 3}, padding);
        },
        which);
  };
  rows("embedding", {});
  rows("embedding_padding", 2);
  const auto resized = [](const char* which, std::array<std::int64_t, 2> size,
                          InterpolateOptions options) {
    check_golden_op(
        "interpolate", "convolutions", {"x"},
        [=](const Inputs& in) { return interpolate(in[0], size, options); }, which);
  };
  resized("nearest", {7, 3}, {});
  resized("bilinear", {7, 9}, {Interpolation::bilinear});
  resized("bilinear_small", {3, 2}, {Interpolation::bilinear});
  resized("bilinear_corners", {7, 9}, {Interpolation::bilinear, true});
}

TEST_CASE("a transposed convolution is the gradient of the convolution") {
  const Variable x(random_tensor({1, 2, 7, 6}, 1), true), weight(random_tensor({3, 2, 3, 3}, 2));
  const Variable y = conv2d(x, weight, {}, {.stride = {2, 1}, .padding = {1, 1, 0, 0}});
  const Variable dy(random_tensor(y.shape(), 3));
  backward(sum(y * dy));
  const Variable back = conv_transpose2d(dy, weight, {}, {{2, 1}, {1, 1, 0, 0}, {0, 0}});
  check_close(back.value(), x.grad(), "dx", sizeof(real) == 8 ? 1e-13 : 1e-6);
}

TEST_CASE("forms of convolution refuse what does not fit") {
  const auto refused = [](const char* message, auto f) {
    CHECK_THROWS_WITH_AS(f(), doctest::Contains(message), std::invalid_argument);
  };
  const Tensor x = Tensor::ones({1, 4, 5, 5}), weight = Tensor::ones({4, 2, 3, 3});
  refused("conv2d: groups must divide", [&] { conv2d(x, weight, {}, {.groups = 3}); });
  refused("conv2d: with 4 groups the weight must have 1 input channels",
          [&] { conv2d(x, weight, {}, {.groups = 4}); });
  refused("conv2d: the padded input must be at least as large as the dilated kernel", [&] {
    conv2d(x, weight, {}, {.dilation = {3, 1}, .groups = 2});
  });
  refused("conv2d: dilation must be at least 1", [&] {
    conv2d(x, weight, {}, {.dilation = {0, 1}, .groups = 2});
  });
  refused("conv1d: input must be [N, C, T]", [&] { conv1d(x, weight); });
  refused("conv_transpose2d: the weight must have 4 input channels", [&] {
    conv_transpose2d(x, Tensor::ones({2, 4, 3, 3}));
  });
  refused("conv_transpose2d: output_padding must be 0 .. stride - 1; got 1 with stride 1", [&] {
    conv_transpose2d(x, weight, {}, {.output_padding = {1, 0}});
  });
  refused("conv_transpose2d: padding must leave a result", [&] {
    conv_transpose2d(x, weight, {}, {.padding = {4, 3, 0, 0}});
  });
  refused("embedding: indices must be 0 .. 3; got 4", [] { embedding(Tensor({4, 2}), {4}); });
  refused("embedding: there must be one index for each element of the shape; got 1 for [2]", [] {
    embedding(Tensor({4, 2}), {1}, {2});
  });
  refused("interpolate: sizes must be in 1 .. 2^31 - 1", [&] { interpolate(x, {0, 3}); });
}
