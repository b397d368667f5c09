// Tutorial 1: how gradients come about.
//
// A Variable is a tensor that remembers how it was computed. backward() walks that memory from the
// result to the inputs and applies the chain rule at every step. Each part below states what it
// expects and fails if the library disagrees.
//
//   build/tutorial_01_autograd

#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/gradcheck.h"

using namespace serenade;

namespace {

int failures = 0;

void expect(const std::string& what, double got, double expected) {
  const bool right = std::abs(got - expected) <= 1e-5 * std::max(1.0, std::abs(expected));
  std::cout << "  " << what << " = " << got << (right ? "" : "   WRONG, expected ")
            << (right ? "" : std::to_string(expected)) << "\n";
  if (!right) ++failures;
}

// 1. An expression and its gradient.
void small_expression() {
  std::cout << "1. y = sum(w * x) + b, with x constant: dy/dw = x, dy/db = 1\n";
  const Variable x(Tensor::from({1, 2, 3}, {3}));
  const Variable w(Tensor::from({4, 5, 6}, {3}), true);  // true: a gradient is wanted
  const Variable b(Tensor::scalar(10), true);
  const Variable y = sum(w * x) + b;
  expect("y", y.item(), 42);
  backward(y);
  for (std::int64_t i = 0; i < 3; ++i) {
    expect("dy/dw[" + std::to_string(i) + "]", w.grad().at({i}), x.value().at({i}));
  }
  expect("dy/db", b.grad().item(), 1);
}

// 2. Why the order of the walk matters. b reaches c twice. Its gradient must be complete before it
// is sent on to a; a walk that called "backward of each input" at once would pass on half of it.
void fan_out() {
  std::cout << "2. b = a + a; c = b + b: every path from c to a counts, so dc/da = 4\n";
  const Variable a(Tensor::scalar(3), true);
  const Variable b = a + a;
  const Variable c = b + b;
  backward(c);
  expect("dc/da", a.grad().item(), 4);
}

// 3. backward() adds to .grad, so that a batch can be split; grad() hands the gradients out instead
// and leaves .grad alone. Architecture search relies on that: two sets of parameters, one graph.
void gradients_without_side_effects() {
  std::cout << "3. backward() accumulates into .grad; grad() does not touch it\n";
  const Variable a(Tensor::scalar(5), true);
  backward(a * a);
  backward(a * a);
  expect("a.grad() after two backwards of a^2", a.grad().item(), 20);
  const Variable square = a * a;
  const std::vector<Variable> found = grad(exp(affine(square, real(-0.04))), {a, square});
  expect("grad() of exp(-0.04 a^2) by a", found[0].item(), -0.4 * std::exp(-1));
  expect("grad() of the same by a^2, a result", found[1].item(), -0.04 * std::exp(-1));
  expect("a.grad() afterwards", a.grad().item(), 20);
}

// 4. A function of one's own: compute the value, say how its gradient goes back.
Variable log_cosh(const Variable& x) {
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(input.shape());
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    y.data()[i] = std::log(std::cosh(input.data()[i]));
  }
  return make_result("log_cosh", y, {x}, [input](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    for (std::int64_t i = 0; i < dy.numel(); ++i) {  // += : x may be used elsewhere too
      d[0].data()[i] += dy.data()[i] * std::tanh(input.data()[i]);
    }
  });
}

void own_function() {
  std::cout << "4. gradcheck compares a gradient with (f(x + h) - f(x - h)) / 2h\n";
  const Tensor x = Tensor::from({-2, real(-0.5), 0, 1, 3}, {5});
  const auto right = [](const std::vector<Variable>& in) { return log_cosh(in[0]); };
  const GradcheckResult good = gradcheck(right, {x});
  expect("log_cosh passes", good.ok, true);
  // detach() cuts the second factor off: the value is right, half of the gradient is lost.
  const auto wrong = [](const std::vector<Variable>& in) { return in[0] * in[0].detach(); };
  const GradcheckResult bad = gradcheck(wrong, {x});
  expect("x * detach(x) as a square passes", bad.ok, false);
  std::cout << "  gradcheck says: " << bad.message << "\n";
}

// 5. Where no gradient is needed, no memory should be kept for one.
void no_grad() {
  std::cout << "5. NoGrad: the same values, no graph\n";
  const Variable a(Tensor::scalar(2), true);
  expect("a * a remembers", (a * a).requires_grad(), true);
  const NoGrad evaluating;
  expect("a * a remembers under NoGrad", (a * a).requires_grad(), false);
}

}  // namespace

int main() {
  small_expression();
  fan_out();
  gradients_without_side_effects();
  own_function();
  no_grad();
  std::cout << (failures == 0 ? "All as promised.\n" : "Some values are wrong.\n");
  return failures == 0 ? 0 : 1;
}
