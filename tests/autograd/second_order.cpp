// Gradients of gradients: what check_op does not say for each function (tests/op_case.h).

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/gradcheck.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;

Variable leaf(real value) { return Variable(Tensor::scalar(value), true); }

// The gradient of y by x, as a function of x.
Variable derivative(const Variable& y, const Variable& x) {
  return grad(y, {x}, {.create_graph = true})[0];
}

}  // namespace

TEST_CASE("create_graph: derivatives of any order") {
  const Variable x = leaf(3);
  for (const Variable& y : {x * x * x * x, pow(x, 4), square(square(x))}) {
    const Variable first = derivative(y, x), second = derivative(first, x),
                   third = derivative(second, x), fourth = derivative(third, x);
    CHECK(first.item() == doctest::Approx(4 * 27));
    CHECK(second.item() == doctest::Approx(12 * 9));
    CHECK(third.item() == doctest::Approx(24 * 3));
    CHECK(fourth.item() == doctest::Approx(24));
  }
  const Variable wave = tanh(x);
  const double t = std::tanh(3.0);
  CHECK(derivative(derivative(derivative(wave, x), x), x).item() ==
        doctest::Approx((1 - t * t) * (6 * t * t - 2)));
}

TEST_CASE("create_graph: gradients by other variables, of results, and by backward") {
  const Variable x = leaf(2), w = leaf(5);
  const Variable h = x * w, loss = h * h * w;  // x^2 w^3
  const std::vector<Variable> g = grad(loss, {x, h}, {.create_graph = true});
  CHECK(g[0].item() == 2 * 2 * 125);
  CHECK(g[1].item() == 2 * 10 * 5);
  CHECK(grad(g[0], {w}, {.retain_graph = true})[0].item() == 2 * 2 * 3 * 25);
  CHECK(grad(g[1], {w}, {.retain_graph = true})[0].item() == 4 * 2 * 5);  // 2 x w^2
  CHECK_FALSE(x.grad().defined());
  backward(g[0] + loss);
  CHECK(x.grad().item() == 2 * 125 + 2 * 2 * 125);
}

TEST_CASE("create_graph: what has no gradient is a constant") {
  const Variable x(Tensor::ones({3}), true), lone = leaf(1);
  CHECK_FALSE(grad(sum(x * x), {x})[0].requires_grad());
  CHECK(grad(sum(x * x), {x}, {.create_graph = true})[0].requires_grad());
  const std::vector<Variable> linear = grad(sum(x * real(3)), {x, lone}, {.create_graph = true});
  CHECK(linear[0].value().to_vector() == std::vector<real>{3, 3, 3});
  CHECK_FALSE(linear[0].requires_grad());
  CHECK_FALSE(linear[1].defined());
}

TEST_CASE("create_graph records inside NoGrad, and nothing is recorded afterwards") {
  const Variable x = leaf(3);
  const Variable y = x * x * x;
  const NoGrad no_grad;
  const Variable g = derivative(y, x);
  CHECK(g.requires_grad());
  CHECK_FALSE(grad_enabled());
  CHECK(grad(g, {x})[0].item() == 18);
}

TEST_CASE("create_graph keeps the graph") {
  const Variable x = leaf(3);
  const Variable y = x * x;
  derivative(y, x);
  backward(y);
  CHECK(x.grad().item() == 6);
}

TEST_CASE("create_graph: the example of the DARTS paper, exactly") {
  // Liu, Simonyan & Yang, ICLR 2019, section 2.3: L_val(w, a) = a w - 2 a + 1, L_train(w, a) =
  // w^2 - 2 a w + a^2, at a = 2 and w = -2 with xi = 0.5.
  const Variable a = leaf(2), w = leaf(-2);
  const Variable train = w * w - 2 * a * w + a * a;
  const auto validation = [&](const Variable& weight) { return a * weight - 2 * a + 1; };
  const Variable step = w - real(0.5) * derivative(train, w);
  CHECK(step.item() == 2);
  CHECK(grad(validation(step), {a})[0].item() == 2);
  CHECK(grad(validation(step.detach()), {a})[0].item() == 0);  // without the second term
  CHECK(grad(validation(w), {a})[0].item() == -4);             // first order, without the step
}

TEST_CASE("create_graph: a gradient penalty through a small convolutional network") {
  const Tensor images = random_tensor({3, 2, 6, 7}, 1);
  const Variable kernel(random_tensor({4, 2, 3, 3}, 2, real(0.5)), true),
      offset(random_tensor({4}, 3), true), scale(random_tensor({4}, 4), true),
      shift(random_tensor({4}, 5), true), depthwise(random_tensor({4, 1, 3, 2}, 6), true),
      weight(random_tensor({5, 4 * 3 * 3}, 7, real(0.3)), true), bias(random_tensor({5}, 8), true);
  const auto loss = [&] {
    const Variable x(images, true);
    Variable h = conv2d(x, kernel, offset, {.padding = same_padding({3, 3})});
    h = silu(batch_norm(h, {}, {}, scale, shift, {.training = true}));
    h = conv2d(h, depthwise, {}, {.stride = {2, 2}, .padding = {.top = 1}, .groups = 4});
    const Variable scores = linear(flatten(avg_pool2d(h, {1, 1}), 1), weight, bias);
    const Variable error = cross_entropy(scores, Indices{1, 0, 4});
    const Variable g = flatten(grad(error, {x}, {.create_graph = true})[0], 1);
    return error + mean(square(real(10) * norm(g, 1) - 1));
  };
  const GradcheckResult result =
      gradcheck(loss, {kernel, offset, scale, shift, depthwise, weight, bias},
                {.tolerance = sizeof(real) == 8 ? 1e-6 : 0.2});
  INFO(result.message);
  CHECK(result.ok);
}

TEST_CASE("create_graph: branches of convolutions written into one map") {
  const Shape image = {2, 1, 128, 136};  // large enough
  const Inputs in = {
      Variable(random_tensor(image, 1), true), Variable(random_tensor({4, 1, 2, 3}, 2), true),
      Variable(random_tensor({4}, 3), true), Variable(random_tensor({12, 1, 3, 2}, 4), true)};
  const auto second_gradients = [&](const Variable& y) {
    const Variable loss = sum(y * random_tensor(y.shape(), 5));
    Variable penalty = Tensor::scalar(0);
    for (const Variable& g : grad(loss, in, {.create_graph = true})) {
      penalty += mean(square(g)) + mean(g * random_tensor(g.shape(), 6));
    }
    return grad(penalty, {in[0], in[1], in[3]});
  };
  const auto branch = [&](const Variable& weight, const Variable& bias) {
    const Padding padding = same_padding({weight.size(2), weight.size(3)});
    return conv2d_relu_maxpool(in[0], weight, bias, {.padding = padding}, {2, 1});
  };
  const std::vector<Variable> joined =
      second_gradients(conv2d_relu_maxpool_branches(in[0], {{in[1], in[2]}, {in[3], {}}}, {2, 1}));
  const std::vector<Variable> parts =
      second_gradients(concat({branch(in[1], in[2]), branch(in[3], {})}, 1));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    CHECK(all_close(joined[i].value(), parts[i].value(), 1e-3, 1e-4));
  }
}

TEST_CASE("create_graph: functions that only gradients call have all gradients too") {
  using Function = std::function<Variable(const Inputs&)>;
  // The gradient of f by its inputs, itself a function of them and of the gradient of the result.
  const auto check_gradient_of = [](const char* name, std::vector<Tensor> inputs,
                                    const Function& f) {
    const Inputs constants(inputs.begin(), inputs.end());
    inputs.push_back(random_tensor(f(constants).shape(), 9));
    check_op(name, inputs, [&](const Inputs& in) {
      const Inputs of(in.begin(), in.end() - 1);
      std::vector<Variable> parts;
      for (const Variable& g : grad(sum(f(of) * in.back()), of, {.create_graph = true})) {
        parts.push_back(flatten(g));
      }
      return concat(parts, 0);
    });
  };
  const auto convolution = [&](const Shape& image, const Shape& kernel, Conv2dOptions options) {
    check_gradient_of("conv2d", {random_tensor(image, 1), random_tensor(kernel, 2)},
                      [&](const Inputs& in) { return conv2d(in[0], in[1], {}, options); });
  };
  convolution({2, 2, 4, 5}, {3, 2, 2, 3}, {.stride = {2, 1}, .padding = {.top = 1, .right = 2}});
  convolution({1, 2, 4, 4}, {2, 1, 2, 3}, {.dilation = {2, 1}, .groups = 2});  // depthwise
  convolution({1, 4, 4, 3}, {2, 2, 2, 1}, {.dilation = {2, 1}, .groups = 2});
  const Tensor x = random_tensor({2, 1, 3, 5}, 3);
  check_gradient_of("avg_pool2d", {x}, [](const Inputs& in) { return avg_pool2d(in[0], {2, 2}); });
  check_gradient_of("max_pool2d", {x}, [](const Inputs& in) { return max_pool2d(in[0], {2, 2}); });
  check_gradient_of("unfold", {x}, [](const Inputs& in) { return unfold(in[0], 3, 2); });
}

TEST_CASE("create_graph: a function without a gradient of its gradient says so by its name") {
  const Variable s(random_tensor({2, 3}, 1), true);
  const Variable loss = sum(square(squash(s)));
  CHECK_THROWS_WITH_AS(grad(loss, {s}, {.create_graph = true}),
                       "grad: 'squash' has no gradient of its gradient (create_graph)",
                       std::invalid_argument);
  CHECK_FALSE(sum(s.detach() * s.detach()).requires_grad());
  CHECK(grad(loss, {s})[0].defined());  // the graph is as it was
  const Variable x = leaf(2);
  const Variable own = make_result("own", Tensor::scalar(4), {x},
                                   [](const Tensor& dy, Gradients& d) { d[0].add_(dy); });
  CHECK_THROWS_WITH_AS(grad(own * x, {x}, {.create_graph = true}),
                       doctest::Contains("'own' has no gradient of its gradient"),
                       std::invalid_argument);
  // Where it does not lead to the variables, it does not matter.
  CHECK(grad(own.detach() * x * x, {x}, {.create_graph = true})[0].item() == 16);
}

TEST_CASE("create_graph: a value changed in place before the second gradient is noticed") {
  Variable x = leaf(3);
  const Variable first = derivative(x * x * x, x);
  x.value().fill_(7);
  CHECK_THROWS_WITH_AS(grad(first, {x}), doctest::Contains("was changed in place"),
                       std::runtime_error);
}

TEST_CASE("create_graph: the graph of gradients dies with its results") {
  const Variable x(random_tensor({4}, 1), true);
  std::vector<std::weak_ptr<Node>> nodes;
  {
    Variable last = sum(softmax(silu(x) / sqrt(1 + x * x), 0) * exp(x));
    for (int order = 0; order < 3; ++order) {
      nodes.push_back(last.node());
      last = sum(square(derivative(last, x)));
    }
    nodes.push_back(last.node());
    backward(last);
  }
  for (const std::weak_ptr<Node>& node : nodes) CHECK(node.expired());
}

TEST_CASE("a gradient of a gradient that may be wanted keeps no further value alive") {
  const Variable x(random_tensor({4}, 1), true);
  std::weak_ptr<const Storage> values;
  Variable loss;
  {
    const Variable h = x + real(1);  // neither affine nor relu needs it
    values = h.value().storage();
    loss = sum(relu(h));
  }
  CHECK(values.expired());
  CHECK(grad(loss, {x}, {.create_graph = true})[0].defined());
}

TEST_CASE("create_graph: derivatives of quotients and roots keep float's range") {
  for (const double at : {1e10, 1e-10}) {
    CAPTURE(at);
    const Variable x = leaf(static_cast<real>(at));
    const Variable inverse = derivative(derivative(1 / x, x), x);
    CHECK(inverse.item() * at * at * at == doctest::Approx(2));
    const Variable root = derivative(derivative(derivative(rsqrt(x), x), x), x);
    CHECK(root.item() * at * at * at * std::sqrt(at) == doctest::Approx(-1.875));
  }
}
