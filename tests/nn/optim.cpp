// Optimisers against golden values and closed forms, and what they must leave alone.

#include "nn/optim.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <memory>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/async_scalar.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

Variable parameter(const std::vector<real>& values) {
  return Variable(Tensor::from(values, {static_cast<std::int64_t>(values.size())}), true);
}

void give(Variable& v, const std::vector<real>& gradient) {
  v.set_grad(Tensor::from(gradient, v.shape()));
}

/// A few steps on two parameters with gradients that depend on the step; the second rests at times.
void train(Optimizer& optimizer, std::vector<Variable>& parameters, int first, int count) {
  for (int step = first; step < first + count; ++step) {
    optimizer.zero_grad();
    give(parameters[0], {real(std::sin(step)), real(step - 3)});
    if (step % 3 != 1) give(parameters[1], {real(std::cos(2 * step))});
    optimizer.step();
  }
}

template <class Rule>
void check_resume(const typename Rule::Options& options) {
  std::vector<Variable> a = {parameter({1, 2}), parameter({3})};
  std::vector<Variable> b = {parameter({1, 2}), parameter({3})};
  Rule whole({{"p", a[0]}, {"q", a[1]}}, options);
  train(whole, a, 0, 9);
  Rule before({{"p", b[0]}, {"q", b[1]}}, options);
  train(before, b, 0, 4);
  const OptimizerState state = before.state_dict();
  train(before, b, 90, 3);  // the state is a copy: later steps do not reach it
  Rule straight({{"p", b[0]}, {"q", b[1]}}, options);
  std::vector<Variable> c = {parameter({1, 2}), parameter({3})};
  Rule prefix({{"p", c[0]}, {"q", c[1]}}, options);
  train(prefix, c, 0, 4);
  for (std::size_t i = 0; i < b.size(); ++i) b[i].value().copy_(c[i].value());
  straight.load_state_dict(state);
  train(straight, b, 4, 5);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].value().to_vector() == b[i].value().to_vector());
  }
}

}  // namespace

TEST_CASE("optim: Adam agrees with the golden steps, moments included") {
  const Golden g = golden("adam");
  Variable p(g.tensor("start").clone(), true);
  Adam adam({{"p", p}}, {.lr = 1e-2});
  for (std::int64_t step = 0; step < 5; ++step) {
    const auto at = [&](const char* name) {
      return g.tensor(name).slice(0, step, 1).reshape(p.shape()).contiguous();
    };
    p.set_grad(at("grads").clone());
    adam.step();
    check_close(p.value(), at("values"), "values");
    const OptimizerState state = adam.state_dict();
    check_close(state.tensors.at("first_moment.p"), at("first_moments"), "first moments");
    check_close(state.tensors.at("second_moment.p"), at("second_moments"), "second moments");
    CHECK(state.steps.at("p") == step + 1);
  }
}

TEST_CASE("optim: every rule goes PyTorch's way, step by step") {
  const Golden g = golden("optimisers");
  Variable p;
  const auto row = [&](const char* name, std::int64_t step) {
    return g.tensor(name).slice(0, step, 1).reshape({3}).contiguous().clone();
  };
  const auto check_case = [&](const char* name, auto make) {
    CAPTURE(name);
    p = Variable(g.tensor("start").clone(), true);
    const auto optimizer = make(NamedParameters{{"p", p}});
    for (std::int64_t step = 0; step < 6; ++step) {
      p.set_grad(row("gradients", step));
      optimizer->step();
      check_close(p.value(), row(name, step), name);
    }
  };
  using Parameters = const NamedParameters&;
  check_case("adamw", [](Parameters all) {
    return std::make_unique<AdamW>(
        all,
        AdamW::Options{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.9, .eps = 1e-3, .weight_decay = 0.2});
  });
  check_case("adam_decay", [](Parameters all) {
    return std::make_unique<Adam>(all, Adam::Options{.lr = 0.1, .weight_decay = 0.2});
  });
  check_case("sgd", [](Parameters all) {
    return std::make_unique<SGD>(
        all, SGD::Options{.lr = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 0.2});
  });
  const auto rmsprop = [](const RMSprop::Options& options) {
    return [options](Parameters all) { return std::make_unique<RMSprop>(all, options); };
  };
  check_case("rmsprop", rmsprop({.lr = 0.1}));
  check_case("rmsprop_momentum",
             rmsprop({.lr = 0.1, .alpha = 0.9, .weight_decay = 0.2, .momentum = 0.8}));
  check_case("rmsprop_centered", rmsprop({.lr = 0.1, .alpha = 0.8, .eps = 1e-3, .centered = true}));
  check_case("rmsprop_all", rmsprop({.lr = 0.1,
                                     .alpha = 0.8,
                                     .eps = 1e-3,
                                     .weight_decay = 0.2,
                                     .momentum = 0.5,
                                     .centered = true}));
}

TEST_CASE("optim: AdamW without decay is Adam, bit for bit") {
  std::vector<Variable> a = {parameter({1, 2}), parameter({3})};
  std::vector<Variable> b = {parameter({1, 2}), parameter({3})};
  Adam adam({{"p", a[0]}, {"q", a[1]}}, {.lr = 0.05});
  AdamW adamw({{"p", b[0]}, {"q", b[1]}}, {.lr = 0.05, .weight_decay = 0});
  train(adam, a, 0, 9);
  train(adamw, b, 0, 9);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].value().to_vector() == b[i].value().to_vector());
  }
}

namespace {

// A group's parameters move as those of an optimiser with its rate and decay alone, also after the
// rate has changed.
template <class Rule>
void check_groups(typename Rule::Options options) {
  options.weight_decay = 0.1;
  Variable p = parameter({1, 2}), q = parameter({3}), r = parameter({1, 2}), s = parameter({3});
  Rule together(
      {{.parameters = {{"p", p}}}, {.parameters = {{"q", q}}, .lr_scale = 0.25, .weight_decay = 0}},
      options);
  Rule first({{"r", r}}, options);
  options.lr *= 0.25;
  options.weight_decay = 0;
  Rule second({{"s", s}}, options);
  for (int step = 0; step < 6; ++step) {
    if (step == 3) {
      together.set_learning_rate(0.5);
      first.set_learning_rate(0.5);
      second.set_learning_rate(0.125);
    }
    for (Variable* v : {&p, &r}) give(*v, {real(step - 2), real(0.5)});
    for (Variable* v : {&q, &s}) give(*v, {real(std::cos(step))});
    together.step();
    first.step();
    second.step();
  }
  CHECK(p.value().to_vector() == r.value().to_vector());
  CHECK(q.value().to_vector() == s.value().to_vector());
  CHECK(together.state_dict().steps.size() == 2);
}

}  // namespace

TEST_CASE("optim: groups have a rate and a decay of their own") {
  check_groups<SGD>({.lr = 0.1, .momentum = 0.9});
  check_groups<Adam>({.lr = 0.1});
  check_groups<AdamW>({.lr = 0.1});
  check_groups<RMSprop>({.lr = 0.1, .momentum = 0.5, .centered = true});
  Variable p = parameter({1}), q = parameter({1});
  const auto two = [&](const char* name, double lr_scale) {
    const SGD sgd({{.parameters = {{"p", p}}}, {.parameters = {{name, q}}, .lr_scale = lr_scale}},
                  {});
  };
  CHECK_THROWS_WITH_AS(two("p", 1), doctest::Contains("'p' twice"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(two("q", -1), doctest::Contains("lr_scale"), std::invalid_argument);
}

TEST_CASE("optim: Adam's first step has the size of the rate, whatever the gradient's scale") {
  for (const real scale : {real(1e-4), real(1), real(1e4)}) {
    Variable p = parameter({1, 1});
    Adam adam({{"p", p}}, {.lr = 0.1});
    give(p, {scale, -scale});
    adam.step();
    CHECK(p.value().at({0}) == doctest::Approx(0.9).epsilon(1e-4));
    CHECK(p.value().at({1}) == doctest::Approx(1.1).epsilon(1e-4));
  }
}

TEST_CASE("optim: SGD follows its closed forms") {
  const real lr = real(0.1), g = 2;
  SUBCASE("plain") {
    Variable p = parameter({5});
    SGD sgd({{"p", p}}, {.lr = lr});
    for (int step = 0; step < 3; ++step) {
      give(p, {g});
      sgd.step();
    }
    CHECK(p.value().at({0}) == doctest::Approx(5 - 3 * lr * g));
    CHECK(sgd.state_dict().tensors.empty());
  }
  SUBCASE("momentum: with a constant gradient the velocity is g (1 - mu^t) / (1 - mu)") {
    Variable p = parameter({5});
    SGD sgd({{"p", p}}, {.lr = lr, .momentum = 0.5});
    double expected = 5;
    for (int step = 1; step <= 4; ++step) {
      give(p, {g});
      sgd.step();
      expected -= lr * g * (1 - std::pow(0.5, step)) / 0.5;
      CHECK(p.value().at({0}) == doctest::Approx(expected));
    }
  }
  SUBCASE("nesterov looks one step ahead") {
    Variable p = parameter({5});
    SGD sgd({{"p", p}}, {.lr = lr, .momentum = 0.5, .nesterov = true});
    double expected = 5, velocity = 0;
    for (int step = 1; step <= 4; ++step) {
      give(p, {g});
      sgd.step();
      velocity = 0.5 * velocity + g;
      expected -= lr * (g + 0.5 * velocity);
      CHECK(p.value().at({0}) == doctest::Approx(expected));
    }
  }
  SUBCASE("weight decay shrinks by 1 - lr decay per step where the gradient is 0") {
    Variable p = parameter({5});
    SGD sgd({{"p", p}}, {.lr = lr, .weight_decay = 0.2});
    for (int step = 0; step < 3; ++step) {
      give(p, {0});
      sgd.step();
    }
    CHECK(p.value().at({0}) == doctest::Approx(5 * std::pow(1 - 0.1 * 0.2, 3)));
  }
}

TEST_CASE("optim: Adam's weight decay is added to the gradient") {
  Variable p = parameter({5}), q = parameter({5});
  Adam decayed({{"p", p}}, {.lr = 0.1, .weight_decay = 0.4});
  Adam plain({{"q", q}}, {.lr = 0.1});
  for (int step = 0; step < 3; ++step) {
    give(p, {1});
    give(q, {real(1 + 0.4 * q.value().at({0}))});
    decayed.step();
    plain.step();
    CHECK(p.value().at({0}) == doctest::Approx(q.value().at({0})));
  }
}

TEST_CASE("optim: a parameter without a gradient is not touched at all") {
  Variable p = parameter({1, 2}), q = parameter({3}), frozen(Tensor::ones({1}), false);
  Adam adam({{"p", p}, {"q", q}, {"frozen", frozen}}, {.lr = 0.1});
  give(p, {1, 1});
  give(q, {1});
  adam.step();
  const OptimizerState before = adam.state_dict();
  const real q_before = q.value().at({0});

  adam.zero_grad();
  give(p, {1, 1});
  adam.step();
  const OptimizerState after = adam.state_dict();
  CHECK(after.steps.at("p") == 2);
  CHECK(after.steps.at("q") == 1);
  CHECK(after.steps.count("frozen") == 0);
  CHECK(q.value().at({0}) == q_before);
  for (const char* moment : {"first_moment.q", "second_moment.q"}) {
    CHECK(after.tensors.at(moment).to_vector() == before.tensors.at(moment).to_vector());
  }
  CHECK(frozen.value().at({0}) == real(1));

  // Its next step is its second, as if the pause had not been.
  Variable alone = parameter({3});
  Adam fresh({{"q", alone}}, {.lr = 0.1});
  for (int step = 0; step < 2; ++step) {
    give(alone, {1});
    fresh.step();
  }
  give(q, {1});
  adam.step();
  CHECK(q.value().at({0}) == alone.value().at({0}));
}

TEST_CASE("optim: a parameter that is given under two names is updated once, under the first") {
  for (const double momentum : {0.0, 0.9}) {
    Variable p = parameter({1, 2}), q = parameter({3}), alone = parameter({1, 2});
    SGD sgd({{"p", p}, {"q", q}, {"again", p}}, {.lr = 0.1, .momentum = momentum});
    SGD plain({{"p", alone}}, {.lr = 0.1, .momentum = momentum});
    for (int step = 0; step < 3; ++step) {
      give(p, {1, -2});
      give(q, {1});
      give(alone, {1, -2});
      sgd.step();
      plain.step();
    }
    CHECK(p.value().to_vector() == alone.value().to_vector());
    CHECK(sgd.parameters().size() == 2);
    const OptimizerState state = sgd.state_dict();
    CHECK(state.steps == std::map<std::string, std::int64_t>{{"p", 3}, {"q", 3}});
    CHECK_NOTHROW(sgd.load_state_dict(state));
  }
  Variable p = parameter({1});
  CHECK_THROWS_WITH_AS(Adam({{"p", p}, {"p", p}}, {}), doctest::Contains("'p' twice"),
                       std::invalid_argument);
  // The norm of all gradients counts it once, and clipping scales it once.
  give(p, {4});
  const NamedParameters twice = {{"p", p}, {"again", p}};
  CHECK(gradient_norm(twice) == doctest::Approx(4));
  CHECK(clip_grad_norm(twice, 2) == doctest::Approx(4));
  CHECK(p.grad().at({0}) == doctest::Approx(2));
}

TEST_CASE("optim: resuming gives the same bits as not stopping") {
  check_resume<Adam>({.lr = 0.05, .weight_decay = 0.01});
  check_resume<AdamW>({.lr = 0.05});
  check_resume<SGD>({.lr = 0.05, .momentum = 0.9, .nesterov = true});
  check_resume<RMSprop>({.lr = 0.05, .momentum = 0.9, .centered = true});
}

TEST_CASE("optim: the learning rate is part of the state") {
  Variable p = parameter({1});
  SGD a({{"p", p}}, {.lr = 0.5}), b({{"p", p}}, {.lr = 0.1});
  a.set_learning_rate(0.25);
  b.load_state_dict(a.state_dict());
  CHECK(b.learning_rate() == 0.25);
  CHECK_THROWS_AS(a.set_learning_rate(-1), std::invalid_argument);
}

TEST_CASE("optim: a state that does not fit is refused") {
  Variable p = parameter({1, 2});
  Adam adam({{"p", p}}, {});
  give(p, {1, 1});
  adam.step();
  const OptimizerState good = adam.state_dict();

  OptimizerState bad = good;
  bad.tensors.erase("second_moment.p");
  CHECK_THROWS_WITH_AS(adam.load_state_dict(bad), doctest::Contains("'second_moment.p' is missing"),
                       std::invalid_argument);
  bad = good;
  bad.tensors["first_moment.p"] = Tensor({3});
  CHECK_THROWS_WITH_AS(adam.load_state_dict(bad), doctest::Contains("[3] for a parameter"),
                       std::invalid_argument);
  bad = good;
  bad.steps["other"] = 1;
  CHECK_THROWS_WITH_AS(adam.load_state_dict(bad), doctest::Contains("1 parameters"),
                       std::invalid_argument);
  bad = good;
  bad.steps["p"] = 0;
  CHECK_THROWS_WITH_AS(adam.load_state_dict(bad), doctest::Contains("positive"),
                       std::invalid_argument);
}

TEST_CASE("optim: bad settings are refused") {
  Variable p = parameter({1});
  CHECK_THROWS_AS(SGD({{"p", p}}, {.momentum = 1}), std::invalid_argument);
  CHECK_THROWS_AS(SGD({{"p", p}}, {.nesterov = true}), std::invalid_argument);
  CHECK_THROWS_AS(Adam({{"p", p}}, {.beta1 = 1}), std::invalid_argument);
  CHECK_THROWS_AS(Adam({{"p", p}}, {.eps = 0}), std::invalid_argument);
  CHECK_THROWS_AS(SGD({{"p", p}}, {.weight_decay = -1}), std::invalid_argument);
  CHECK_THROWS_AS(RMSprop({{"p", p}}, {.alpha = 1}), std::invalid_argument);
  CHECK_THROWS_AS(RMSprop({{"p", p}}, {.eps = 0}), std::invalid_argument);
  CHECK_THROWS_WITH_AS(Adam(NamedParameters{}, {}), doctest::Contains("got none"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(Adam({{"p", p}, {"p", p}}, {}), doctest::Contains("'p' twice"),
                       std::invalid_argument);
}

TEST_CASE("optim: the gradient norm, and clipping to it") {
  Variable p = parameter({0, 0}), q = parameter({0}), resting = parameter({0});
  const NamedParameters all = {{"p", p}, {"q", q}, {"resting", resting}};
  give(p, {2, 3});
  give(q, {-6});
  CHECK(gradient_norm(all) == doctest::Approx(7));
  CHECK(clip_grad_norm(all, 10) == doctest::Approx(7));
  CHECK(p.grad().at({1}) == real(3));
  CHECK(clip_grad_norm(all, 3.5) == doctest::Approx(7));
  CHECK(p.grad().at({1}) == doctest::Approx(1.5));
  CHECK(q.grad().at({0}) == doctest::Approx(-3));
  CHECK(gradient_norm(all) == doctest::Approx(3.5));
  CHECK_FALSE(resting.grad().defined());
  CHECK_THROWS_AS(clip_grad_norm(all, 0), std::invalid_argument);
}

TEST_CASE("optim: a gradient that is not finite is named when asked") {
  Variable p = parameter({0, 0}), q = parameter({0, 0});
  const NamedParameters all = {{"conv.weight", p}, {"conv.bias", q}};
  give(p, {1, 2});
  CHECK_NOTHROW(check_finite_gradients(all));
  give(q, {1, std::numeric_limits<real>::quiet_NaN()});
  CHECK_THROWS_WITH_AS(check_finite_gradients(all), doctest::Contains("'conv.bias' [2]"),
                       NonFiniteGradient);
  CHECK(std::isnan(clip_grad_norm(all, 1)));
  CHECK(p.grad().at({1}) == real(2));
}

TEST_CASE("optim: a guard stops all updates after a loss that is not finite") {
  const real bad[] = {std::numeric_limits<real>::quiet_NaN(),
                      std::numeric_limits<real>::infinity()};
  for (const real value : bad) {
    Variable p = parameter({1});
    Adam adam({{"p", p}}, {});
    SGD sgd({{"p", p}}, {});
    NonFiniteGuard guard(Device::cpu);
    give(p, {1});
    guard.watch(Variable(Tensor::from({2}, {1})));
    CHECK_FALSE(guard.stopped());
    adam.step(guard);
    const real moved = p.value().at({0});
    CHECK(moved < 1);
    guard.watch(Variable(Tensor::from({value}, {1})));
    guard.watch(Variable(Tensor::from({2}, {1})));
    CHECK(guard.stopped());
    adam.step(guard);
    sgd.step(guard);
    CHECK(p.value().at({0}) == moved);
    CHECK(adam.state_dict().steps.at("p") == 1);
    adam.step();
    CHECK(p.value().at({0}) < moved);
  }
}

TEST_CASE("a deferred number is the tensor's when it was asked for") {
  Tensor x = Tensor::from({2}, {1});
  const AsyncScalar before(x), copied = before;
  x.copy_(Tensor::from({3}, {1}));
  CHECK(before.get() == 2);
  CHECK(copied.get() == 2);
  CHECK(copied.get() == 2);
  CHECK(AsyncScalar(x).get() == 3);
  CHECK_FALSE(AsyncScalar().defined());
  CHECK_THROWS_AS(AsyncScalar().get(), std::invalid_argument);
  CHECK_THROWS_AS(AsyncScalar(Tensor({2})), std::invalid_argument);
}

TEST_CASE("optimisers: a step between forward and backward is noticed") {
  Variable w(Tensor::full({2}, 3), true);
  SGD sgd({{"w", w}}, {.lr = 0.1});
  backward(sum(w * w));
  const Variable loss = sum(w * w);
  sgd.step();
  CHECK_THROWS_WITH_AS(backward(loss), doctest::Contains("changed in place"), std::runtime_error);
  backward(sum(w * w));
}
