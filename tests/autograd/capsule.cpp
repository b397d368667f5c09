// Capsules: gradient checks, golden values, the two routing gradients, masks, zeros and errors.

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;

/// Random capsules [count, size] whose first is exactly zero.
Tensor capsules_with_zero(std::int64_t count, std::int64_t size) {
  Tensor s = random_tensor({count, size}, 3);
  s.slice(0, 0, 1).zero_();
  return s;
}

bool all_finite(const Tensor& tensor) {
  for (const real value : tensor.to_vector()) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

/// y and the gradients of sum(y * random) by the inputs.
std::vector<Tensor> values_and_gradients(const std::vector<Tensor>& inputs,
                                         const std::function<Variable(const Inputs&)>& f) {
  Inputs variables;
  for (const Tensor& input : inputs) variables.emplace_back(input.clone(), true);
  const Variable y = f(variables);
  std::vector<Tensor> found = {y.value()};
  for (const Variable& gradient : grad(sum(mul(y, random_tensor(y.shape(), 11))), variables)) {
    found.push_back(gradient.value());
  }
  return found;
}

/// Routing whose coefficients of the last iteration are constants, from plain functions.
Variable routing_with_constant_c(const Variable& u_hat, const Variable& bias, int iterations) {
  const Tensor c = routing_coefficients(u_hat.value(), bias.value(), {.iterations = iterations});
  const Tensor last = c.slice(0, iterations - 1, 1)
                          .contiguous()
                          .reshape({u_hat.size(0), u_hat.size(1), u_hat.size(2), 1});
  return squash(sum(mul(u_hat, Variable(last)), 1) + bias);
}

}  // namespace

TEST_CASE("squash and norms: gradients") {
  for (const Shape& shape : {Shape{1}, Shape{1, 1}, Shape{3, 5}, Shape{2, 3, 8}}) {
    const Tensor s = random_tensor(shape, 1);
    check_op("squash", {s}, [](const Inputs& in) { return squash(in[0]); });
    check_op("capsule_norm", {s}, [](const Inputs& in) { return capsule_norm(in[0]); });
  }
  for (const Shape& shape : {Shape{1, 1}, Shape{3, 5}, Shape{2, 3, 4, 2}}) {
    check_op("append_norms", {random_tensor(shape, 2)},
             [](const Inputs& in) { return append_norms(in[0]); });
  }
}

TEST_CASE("squash and norms at zero: value 0, gradient 0, no NaN") {
  const Tensor s = capsules_with_zero(3, 4);
  for (const auto& f :
       {std::function<Variable(const Inputs&)>([](const Inputs& in) { return squash(in[0]); }),
        std::function<Variable(const Inputs&)>(
            [](const Inputs& in) { return capsule_norm(in[0]); }),
        std::function<Variable(const Inputs&)>(
            [](const Inputs& in) { return squash(squash(in[0])); })}) {
    const std::vector<Tensor> found = values_and_gradients({s}, f);
    CHECK(all_finite(found[0]));
    CHECK(all_finite(found[1]));
    for (const real value : found[1].slice(0, 0, 1).to_vector()) CHECK(value == 0);
  }
  CHECK(squash(Variable(s)).value().at({0, 0}) == 0);
  CHECK(capsule_norm(Variable(s)).value().at({0}) == doctest::Approx(1e-6));
}

TEST_CASE("squash keeps the direction and scales the norm below 1") {
  const Variable v = squash(Variable(Tensor::from({3, 4, 300, 400}, {2, 2})));
  CHECK(v.value().at({0, 0}) == doctest::Approx(25.0 / 26 * 0.6));
  CHECK(v.value().at({0, 1}) == doctest::Approx(25.0 / 26 * 0.8));
  CHECK(capsule_norm(v).value().at({1}) < 1);
}

TEST_CASE("unfold: gradients, sizes and padding") {
  for (const std::int64_t steps : {1, 3, 4, 5, 7, 8}) {
    check_op("unfold", {random_tensor({2, 1, 3, steps}, 5)},
             [](const Inputs& in) { return unfold(in[0], 4, 3); });
  }
  check_op("unfold", {random_tensor({1, 2, 1, 5}, 6)},
           [](const Inputs& in) { return unfold(in[0], 1, 1); });
  const Variable x(Tensor::from({1, 2, 3, 4, 5, 6}, {1, 1, 1, 6}));
  const Variable y = unfold(x, 4, 2);
  CHECK(y.shape() == Shape{1, 2, 1, 1, 4});
  CHECK(y.value().to_vector() == std::vector<real>{1, 2, 3, 4, 3, 4, 5, 6});
  CHECK(unfold(x, 4, 3).value().to_vector() == std::vector<real>{1, 2, 3, 4, 4, 5, 6, 0});
  CHECK(unfold(x, 8, 5).value().to_vector() == std::vector<real>{1, 2, 3, 4, 5, 6, 0, 0});
}

TEST_CASE("votes: gradients, own and shared weights") {
  const auto votes = [](const Inputs& in) { return capsule_votes(in[0], in[1]); };
  check_op("capsule_votes", {random_tensor({1, 1, 1}, 1), random_tensor({1, 1, 1, 1}, 2)}, votes);
  check_op("capsule_votes", {random_tensor({2, 3, 5}, 1), random_tensor({3, 2, 5, 4}, 2)}, votes);
  check_op("capsule_votes", {random_tensor({2, 3, 5}, 1), random_tensor({1, 2, 5, 4}, 2)}, votes);
}

TEST_CASE("routing: gradients") {
  for (const int iterations : {1, 2, 3, 5}) {
    const RoutingOptions options{.iterations = iterations};
    check_op("capsule_routing", {random_tensor({2, 5, 3, 4}, 1)},
             [&](const Inputs& in) { return capsule_routing(in[0], {}, options); });
    check_op("capsule_routing", {random_tensor({2, 19, 2, 3}, 1), random_tensor({2, 3}, 2)},
             [&](const Inputs& in) { return capsule_routing(in[0], in[1], options); });
  }
  check_op("capsule_routing", {random_tensor({1, 1, 1, 1}, 1)},
           [](const Inputs& in) { return capsule_routing(in[0]); });
  check_op("capsule_routing", {random_tensor({3, 4, 2, 3}, 1), random_tensor({2, 3}, 2)},
           [](const Inputs& in) {
             return capsule_routing(in[0], in[1], {.lengths = {1, 4, 2}});
           });
}

TEST_CASE("capsule layer: gradients, own and shared weights") {
  const auto layer = [](const RoutingOptions& options) {
    return [options](const Inputs& in) {
      return capsule_layer(in[0], in[1], in.size() > 2 ? in[2] : Variable(), options);
    };
  };
  const Tensor bias = random_tensor({2, 3}, 3);
  for (const int iterations : {1, 3}) {
    for (const std::int64_t matrices : {7, 1}) {
      const Tensor u = random_tensor({5, 7, 4}, 1);
      const Tensor weight = random_tensor({matrices, 2, 4, 3}, 2, real(0.5));
      check_op("capsule_layer", {u, weight}, layer({.iterations = iterations}));
      check_op("capsule_layer", {u, weight, bias}, layer({.iterations = iterations}));
      check_op("capsule_layer", {u, weight, bias},
               layer({.iterations = iterations, .lengths = {7, 1, 3, 2, 7}}));
    }
  }
  check_op("capsule_layer", {random_tensor({1, 1, 1}, 1), random_tensor({1, 1, 1, 1}, 2)},
           layer({}));
}

TEST_CASE("the fused layer equals votes followed by routing") {
  for (const std::int64_t matrices : {70, 1}) {
    const std::vector<Tensor> inputs = {random_tensor({5, 70, 8}, 1, real(0.5)),
                                        random_tensor({matrices, 8, 8, 8}, 2, real(0.5)),
                                        random_tensor({8, 8}, 3, real(0.3))};
    for (const RoutingGradient gradient : {RoutingGradient::full, RoutingGradient::last}) {
      const RoutingOptions options{.gradient = gradient, .lengths = {70, 1, 33, 64, 7}};
      const auto fused = values_and_gradients(
          inputs, [&](const Inputs& in) { return capsule_layer(in[0], in[1], in[2], options); });
      const auto composed = values_and_gradients(inputs, [&](const Inputs& in) {
        return capsule_routing(capsule_votes(in[0], in[1]), in[2], options);
      });
      for (std::size_t i = 0; i < fused.size(); ++i) {
        check_close(fused[i], composed[i], "value, du, dweight, dbias");
      }
    }
  }
}

TEST_CASE("gradient 'last': the coefficients of the last iteration are constants") {
  for (const int iterations : {1, 2, 3}) {
    const std::vector<Tensor> inputs = {random_tensor({2, 21, 3, 4}, 1), random_tensor({3, 4}, 2)};
    const auto last = values_and_gradients(inputs, [&](const Inputs& in) {
      return capsule_routing(in[0], in[1],
                             {.iterations = iterations, .gradient = RoutingGradient::last});
    });
    const auto constant = values_and_gradients(inputs, [&](const Inputs& in) {
      return routing_with_constant_c(in[0], in[1], iterations);
    });
    for (std::size_t i = 0; i < last.size(); ++i) {
      check_close(last[i], constant[i], "value, du_hat, dbias");
    }
  }
}

TEST_CASE("masked input capsules change nothing and get no gradient") {
  const std::int64_t real_count = 18;
  const Tensor own = random_tensor({1, real_count, 4}, 1), weight = random_tensor({40, 3, 4, 5}, 2);
  Tensor padded = Tensor::full({1, 40, 4}, std::nan(""));  // whatever it holds is not read
  padded.slice(1, 0, real_count).copy_(own);
  const auto alone =
      values_and_gradients({own, weight.slice(0, 0, real_count).contiguous()},
                           [](const Inputs& in) { return capsule_layer(in[0], in[1]); });
  const auto masked = values_and_gradients({padded, weight}, [&](const Inputs& in) {
    return capsule_layer(in[0], in[1], {}, {.lengths = {real_count}});
  });
  CHECK(masked[0].to_vector() == alone[0].to_vector());
  for (const std::size_t i : {1, 2}) {
    const std::int64_t axis = i == 1 ? 1 : 0;  // of the input capsules
    CHECK(masked[i].slice(axis, 0, real_count).to_vector() == alone[i].to_vector());
    for (const real value : masked[i].slice(axis, real_count, 40 - real_count).to_vector()) {
      CHECK(value == 0);
    }
  }
}

TEST_CASE("routing coefficients: 1 / J first, sum 1, 0 where masked") {
  const Tensor u_hat = random_tensor({2, 6, 3, 4}, 1);
  const Tensor c = routing_coefficients(u_hat, {}, {.lengths = {6, 4}});
  CHECK(c.shape() == Shape{3, 2, 6, 3});
  for (std::int64_t t = 0; t < 3; ++t) {
    for (std::int64_t n = 0; n < 2; ++n) {
      for (std::int64_t i = 0; i < 6; ++i) {
        const bool valid = n == 0 || i < 4;
        double total = 0;
        for (std::int64_t j = 0; j < 3; ++j) {
          total += c.at({t, n, i, j});
          if (t == 0 && valid) CHECK(c.at({t, n, i, j}) == doctest::Approx(1.0 / 3));
        }
        CHECK(total == doctest::Approx(valid ? 1 : 0));
      }
    }
  }
}

TEST_CASE("zero votes route without NaN") {
  const auto found =
      values_and_gradients({Tensor({2, 5, 3}), Tensor({5, 2, 3, 4})},
                           [](const Inputs& in) { return capsule_layer(in[0], in[1]); });
  for (const Tensor& tensor : found) {
    for (const real value : tensor.to_vector()) CHECK(value == 0);
  }
}

TEST_CASE("capsules: bad input is refused") {
  const Variable u(Tensor({2, 3, 4})), weight(Tensor({3, 2, 4, 5})), votes(Tensor({2, 3, 2, 5}));
  CHECK_THROWS_AS(squash(Variable(Tensor::scalar(1))), std::invalid_argument);
  CHECK_THROWS_AS(capsule_norm(Variable(Tensor::scalar(1))), std::invalid_argument);
  CHECK_THROWS_AS(append_norms(Variable(Tensor({3}))), std::invalid_argument);
  CHECK_THROWS_AS(unfold(Variable(Tensor({1, 2, 3})), 4, 2), std::invalid_argument);
  CHECK_THROWS_AS(unfold(Variable(Tensor({1, 1, 2, 3})), 4, 5), std::invalid_argument);
  CHECK_THROWS_AS(capsule_votes(u, Variable(Tensor({3, 2, 5, 5}))), std::invalid_argument);
  CHECK_THROWS_AS(capsule_votes(u, Variable(Tensor({2, 2, 4, 5}))), std::invalid_argument);
  CHECK_THROWS_AS(capsule_routing(u), std::invalid_argument);
  CHECK_THROWS_AS(capsule_routing(votes, Variable(Tensor({5, 2}))), std::invalid_argument);
  CHECK_THROWS_AS(capsule_routing(votes, {}, {.iterations = 0}), std::invalid_argument);
  CHECK_THROWS_AS(capsule_routing(votes, {}, {.lengths = {3}}), std::invalid_argument);
  CHECK_THROWS_AS(capsule_routing(votes, {}, {.lengths = {3, 4}}), std::invalid_argument);
  CHECK_THROWS_AS(capsule_layer(u, weight, {}, {.lengths = {0, 3}}), std::invalid_argument);
}

TEST_CASE("capsules: golden values") {
  check_golden_op("squash", "squash", {"s"}, [](const Inputs& in) { return squash(in[0]); });
  check_golden_op("capsule_norm", "capsule_length", {"v"},
                  [](const Inputs& in) { return capsule_norm(in[0]); });
  check_golden_op("append_norms", "with_lengths", {"v"},
                  [](const Inputs& in) { return append_norms(in[0]); });
  for (const std::string& name : golden_names("routing_")) {
    const Golden file = golden(name);
    RoutingOptions options{.iterations = std::stoi(golden_attribute(file, "iterations"))};
    if (golden_attribute(file, "detach") == "true") options.gradient = RoutingGradient::last;
    check_golden_op("capsule_routing", name, {"u_hat"},
                    [&](const Inputs& in) { return capsule_routing(in[0], {}, options); });
  }
  for (const std::string& name : golden_names("capsule_layer_")) {
    const Golden file = golden(name);
    const RoutingOptions options{.iterations = std::stoi(golden_attribute(file, "iterations"))};
    const bool shared = name == "capsule_layer_shared";
    const bool with_bias = shared || name.find("bias") != std::string::npos;
    const std::vector<std::string> inputs = with_bias
                                                ? std::vector<std::string>{"u", "weight", "bias"}
                                                : std::vector<std::string>{"u", "weight"};
    check_golden_op("capsule_layer", name, inputs, [&](const Inputs& in) {
      const Variable weight = shared ? reshape(in[1], {1, 4, 72, 16}) : in[1];
      return capsule_layer(in[0], weight, with_bias ? in[2] : Variable(), options);
    });
  }
  for (const std::string& name : golden_names("windows_")) {
    check_golden_op("unfold", name, {"x"},
                    [](const Inputs& in) { return flatten(unfold(in[0], 10, 5), 0, 1); });
  }
}
