// A NaN that enters a function comes out of it: no maximum, clamp or comparison may turn it into an
// ordinary number, which would make a broken model look like a sure one.

#include <doctest/doctest.h>

#include <functional>
#include <limits>

#include "autograd/functions.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;

// Puts a NaN at the first, a middle and the last element of each input in turn.
void check_spreads(const char* function, const std::vector<Tensor>& inputs,
                   const std::function<Variable(const Inputs&)>& f) {
  CAPTURE(function);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::int64_t count = inputs[i].numel();
    for (const std::int64_t element : {std::int64_t{0}, count / 2, count - 1}) {
      CAPTURE(i);
      CAPTURE(element);
      Inputs changed;
      for (const Tensor& input : inputs) changed.emplace_back(input.clone());
      changed[i].value().data()[element] = std::numeric_limits<real>::quiet_NaN();
      CHECK(first_non_finite(f(changed).value()) >= 0);
    }
  }
}

}  // namespace

TEST_CASE("NaN: elementwise functions, reductions, products") {
  const Tensor x = random_tensor({7, 33}), y = random_tensor({33}, 1);
  check_spreads("add", {x, y}, [](const Inputs& in) { return in[0] + in[1]; });
  check_spreads("sub", {x, y}, [](const Inputs& in) { return in[0] - in[1]; });
  check_spreads("mul", {x, y}, [](const Inputs& in) { return in[0] * in[1]; });
  check_spreads("div", {x, y}, [](const Inputs& in) { return in[0] / in[1]; });
  check_spreads("affine", {x}, [](const Inputs& in) { return affine(in[0], 0, 1); });
  check_spreads("relu", {x}, [](const Inputs& in) { return relu(in[0]); });
  check_spreads("sigmoid", {x}, [](const Inputs& in) { return sigmoid(in[0]); });
  check_spreads("tanh", {x}, [](const Inputs& in) { return serenade::tanh(in[0]); });
  check_spreads("exp", {x}, [](const Inputs& in) { return serenade::exp(in[0]); });
  check_spreads("log", {x}, [](const Inputs& in) { return serenade::log(mul(in[0], in[0])); });
  check_spreads("dropout", {x}, [](const Inputs& in) { return dropout(in[0], 0, {}); });
  for (const std::int64_t axis : {0, 1}) {
    check_spreads("sum", {x}, [=](const Inputs& in) { return sum(in[0], axis); });
    check_spreads("mean", {x}, [=](const Inputs& in) { return mean(in[0], axis); });
    check_spreads("max", {x}, [=](const Inputs& in) { return max(in[0], axis); });
    check_spreads("softmax", {x}, [=](const Inputs& in) { return softmax(in[0], axis); });
    check_spreads("log_softmax", {x}, [=](const Inputs& in) { return log_softmax(in[0], axis); });
  }
  check_spreads("matmul", {x, random_tensor({33, 5})},
                [](const Inputs& in) { return matmul(in[0], in[1]); });
  check_spreads("linear", {x, random_tensor({5, 33}), random_tensor({5})},
                [](const Inputs& in) { return linear(in[0], in[1], in[2]); });
}

TEST_CASE("NaN: losses") {
  const Tensor scores = random_tensor({3, 4});
  const Indices labels = {0, 3, 1};
  check_spreads("cross_entropy", {scores},
                [&](const Inputs& in) { return cross_entropy(in[0], labels); });
  check_spreads("cross_entropy", {scores}, [&](const Inputs& in) {
    return cross_entropy(in[0], labels, {.label_smoothing = real(0.1)});
  });
  check_spreads("nll_loss", {random_tensor({3, 1})},  // it reads nothing but what the labels name
                [](const Inputs& in) {
                  return nll_loss(in[0], {0, 0, 0});
                });
  check_spreads("margin_loss", {scores},
                [&](const Inputs& in) { return margin_loss(in[0], labels); });
  const Tensor chances = sigmoid(random_tensor({3, 4}, 1)).value();
  const auto of_numbers = [&](const char* name, auto f) {
    check_spreads(name, {scores, chances}, [&](const Inputs& in) { return f(in[0], in[1]); });
  };
  using V = Variable;
  of_numbers("mse_loss", [](const V& a, const V& b) { return mse_loss(a, b); });
  of_numbers("l1_loss", [](const V& a, const V& b) { return l1_loss(a, b); });
  of_numbers("smooth_l1_loss", [](const V& a, const V& b) { return smooth_l1_loss(a, b); });
  of_numbers("huber_loss", [](const V& a, const V& b) { return huber_loss(a, b); });
  of_numbers("binary_cross_entropy_with_logits",
             [](const V& a, const V& b) { return binary_cross_entropy_with_logits(a, b); });
  of_numbers("kl_div", [](const V& a, const V& b) { return kl_div(a, b); });
  of_numbers("cross_entropy", [](const V& a, const V& b) { return cross_entropy(a, b); });
}

TEST_CASE("NaN: normalisation") {
  for (const std::int64_t size : {3, 40}) {
    const Tensor x = random_tensor({4, 6, size}), weight = random_tensor({6}, 1);
    const Tensor of_rows = random_tensor({size}, 2);
    check_spreads("batch_norm", {x, weight}, [](const Inputs& in) {
      return batch_norm(in[0], {}, {}, in[1], {}, {.training = true});
    });
    check_spreads("group_norm", {x, weight},
                  [](const Inputs& in) { return group_norm(in[0], 2, in[1]); });
    check_spreads("instance_norm", {x, weight},
                  [](const Inputs& in) { return instance_norm(in[0], in[1]); });
    check_spreads("layer_norm", {x, of_rows},
                  [=](const Inputs& in) { return layer_norm(in[0], {size}, in[1]); });
    check_spreads("rms_norm", {x, of_rows},
                  [=](const Inputs& in) { return rms_norm(in[0], {size}, in[1]); });
  }
}

TEST_CASE("NaN: attention") {
  for (const std::int64_t size : {3, 40}) {
    check_spreads(
        "scaled_dot_product_attention",
        {random_tensor({2, 4, size}), random_tensor({2, size, size}, 1),
         random_tensor({2, size, 5}, 2)},
        [](const Inputs& in) { return scaled_dot_product_attention(in[0], in[1], in[2]); });
  }
}

TEST_CASE("NaN: convolution and pooling, in every form") {
  for (const std::int64_t channels : {1, 8}) {  // the first layer has a path of its own
    for (const Shape& kernel : {Shape{3, 3}, Shape{2, 8}, Shape{5, 5}}) {
      const Tensor x = random_tensor({2, channels, 12, 40});
      const Tensor weight = random_tensor({8, channels, kernel[0], kernel[1]}, 1);
      const Tensor bias = random_tensor({8}, 2);
      const Conv2dOptions same = {.padding = same_padding({kernel[0], kernel[1]})};
      check_spreads("conv2d", {x, weight, bias},
                    [&](const Inputs& in) { return conv2d(in[0], in[1], in[2], same); });
      for (const auto window : {std::array<std::int64_t, 2>{2, 1}, {2, 2}, {4, 1}}) {
        check_spreads("conv2d_relu_maxpool", {x, weight, bias}, [&](const Inputs& in) {
          return conv2d_relu_maxpool(in[0], in[1], in[2], same, window);
        });
        check_spreads("max_pool2d", {x},
                      [&](const Inputs& in) { return max_pool2d(in[0], window); });
      }
    }
  }
  const Tensor small = random_tensor({2, 2, 7, 9});
  check_spreads("max_pool2d", {small}, [](const Inputs& in) {
    return max_pool2d(in[0], {3, 3}, {.stride = {1, 2}, .padding = {1, 1}});
  });
  check_spreads("avg_pool2d", {small}, [](const Inputs& in) {
    return avg_pool2d(in[0], {3, 3}, {.stride = {1, 2}, .padding = {1, 1}});
  });
  check_spreads("adaptive_avg_pool2d", {small}, [](const Inputs& in) {
    return adaptive_avg_pool2d(in[0], {3, 4});
  });
  check_spreads("adaptive_max_pool2d", {small}, [](const Inputs& in) {
    return adaptive_max_pool2d(in[0], {3, 4});
  });
  const Tensor large = random_tensor({1, 1, 128, 300});
  check_spreads(
      "conv2d_relu_maxpool_branches",
      {large, random_tensor({8, 1, 2, 8}), random_tensor({8, 1, 8, 2}), random_tensor({8})},
      [](const Inputs& in) {
        return conv2d_relu_maxpool_branches(in[0], {{in[1], in[3]}, {in[2], {}}}, {2, 1});
      });
  check_spreads("mixed_kernel",
                {random_tensor({2, 2, 3, 3}), random_tensor({2, 2, 2, 5}), random_tensor({2})},
                [](const Inputs& in) {
                  return mixed_kernel({in[0], in[1]}, in[2]);
                });
  check_spreads("mixed_bias", {random_tensor({2}), random_tensor({3}), random_tensor({2})},
                [](const Inputs& in) {
                  return mixed_bias({in[0], in[1]}, in[2]);
                });
}

TEST_CASE("NaN: recurrent layers and attention") {
  const std::int64_t D = 5, H = 16;
  for (const GruReset reset : {GruReset::after, GruReset::before}) {
    check_spreads(
        "gru",
        {random_tensor({3, 6, D}), random_tensor({3 * H, D}, 1), random_tensor({3 * H, H}, 2),
         random_tensor({3 * H}, 3), random_tensor({1, 3, H}, 4)},
        [&](const Inputs& in) {
          return gru(in[0], {{in[1], in[2], in[3], {}}}, in[4], {.reset = reset});
        });
  }
  check_spreads("attention_pooling",
                {random_tensor({3, 6, D}), random_tensor({4, D}, 1), random_tensor({4}, 2),
                 random_tensor({4}, 3), random_tensor({2, 4}, 4), random_tensor({2}, 5)},
                [](const Inputs& in) {
                  return attention_pooling(in[0], {in[1], in[2], in[3], in[4], in[5]});
                });
}

TEST_CASE("NaN: capsules") {
  const Tensor u = random_tensor({2, 40, 8}), weight = random_tensor({40, 4, 8, 16}, 1);
  const Tensor bias = random_tensor({4, 16}, 2);
  check_spreads("squash", {u}, [](const Inputs& in) { return squash(in[0]); });
  check_spreads("capsule_norm", {u}, [](const Inputs& in) { return capsule_norm(in[0]); });
  check_spreads("append_norms", {u}, [](const Inputs& in) { return append_norms(in[0]); });
  check_spreads("capsule_votes", {u, weight},
                [](const Inputs& in) { return capsule_votes(in[0], in[1]); });
  check_spreads("capsule_routing", {random_tensor({2, 40, 4, 16}), bias},
                [](const Inputs& in) { return capsule_routing(in[0], in[1]); });
  check_spreads("capsule_layer", {u, weight, bias},
                [](const Inputs& in) { return capsule_layer(in[0], in[1], in[2]); });
}
