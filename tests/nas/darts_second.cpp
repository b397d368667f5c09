// Second-order DARTS: the example of the paper, a case worked out by hand, and gradients of
// gradients of a whole supernet.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>

#include "autograd/engine.h"
#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "tests/golden.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

constexpr bool kDouble = sizeof(real) == 8;

std::unique_ptr<OneShot> second_order(const SearchSpace& space, const StrategyOptions& options) {
  return make_one_shot("darts_second", space, options);
}

// The example of the DARTS paper (section 3.3): L_train = (w - alpha)^2, so that w*(alpha) = alpha,
// and L_val = alpha w - 2 alpha + 1, so that L_val(w*(alpha), alpha) = (alpha - 1)^2.
Variable paper_train_loss(const Variable& w, const Variable& alpha) {
  return w * w - affine(alpha * w, 2) + alpha * alpha;
}
Variable paper_validation_loss(const Variable& w, const Variable& alpha) {
  return affine(alpha * w - affine(alpha, 2), 1, 1);
}

SearchSpace paper_space() { return {.choices = {{.name = "alpha", .candidates = {"only"}}}}; }

struct Paper : Module {
  std::unique_ptr<Layer> choice;
  Variable alpha, w;

  explicit Paper(Builder& builder)
      : choice(builder.choose(
            "alpha", [](const std::string&, real) { return std::make_unique<Identity>(); })),
        alpha(dynamic_cast<MixedLayer&>(*choice).choice().alpha()),
        w(register_parameter("w", Tensor::full({1}, -2))) {
    register_module("choice", *choice);
    alpha.value().fill_(2);
  }
};

struct PaperProblem : Problem {
  SearchSpace searched = paper_space();
  Builder builder{searched};
  Paper net{builder};
  const SearchSpace& space() const override { return searched; }
  Module& supernet(const OneShot&) override { return net; }
  std::int64_t train_batches() const override { return 1; }
  LossFunction next_train_loss() override {
    return [this] { return paper_train_loss(net.w, net.alpha); };
  }
  LossFunction next_validation_loss() override {
    return [this] { return paper_validation_loss(net.w, net.alpha); };
  }
};

// A method of the library by plain gradient descent, whose step brings w to w*(alpha) at once.
class Descent : public OneShot {
 public:
  Descent(const std::string& name, const SearchSpace& space, const StrategyOptions& options)
      : OneShot(space, options), inner_(make_one_shot(name, space, options)) {}
  std::string name() const override { return "descent"; }
  StepGradient architecture_gradient(const ArchitectureStep& step) const override {
    return inner_->architecture_gradient(step);
  }
  std::unique_ptr<Optimizer> make_weight_optimizer(const NamedParameters& weights) const override {
    return std::make_unique<SGD>(weights, SGD::Options{.lr = 0.5});
  }
  std::unique_ptr<Optimizer> make_alpha_optimizer(const NamedParameters& alphas) const override {
    return std::make_unique<SGD>(alphas, SGD::Options{.lr = 0.1});
  }

 private:
  std::unique_ptr<OneShot> inner_;
};

void run(Strategy& strategy, Problem& problem) {
  while (strategy.advance(problem)) {
  }
}

// dL_val/dalpha as a method sees it, for losses of one w and one alpha.
struct Scalars {
  std::vector<Variable> weights, alphas;
  Scalars(real w, real alpha)
      : weights{Variable(Tensor::full({1}, w), true)},
        alphas{Variable(Tensor::full({1}, alpha), true)} {}

  double gradient(const OneShot& method, const LossFunction& train, const LossFunction& validation,
                  double xi) {
    const real w = weights[0].item(), alpha = alphas[0].item();
    const StepGradient gradient = method.architecture_gradient({.validation_loss = validation,
                                                                .train_loss = train,
                                                                .weights = weights,
                                                                .alphas = alphas,
                                                                .learning_rate = xi});
    CHECK(weights[0].item() == w);  // as found
    CHECK(alphas[0].item() == alpha);
    CHECK_FALSE(weights[0].grad().defined());
    REQUIRE(gradient.gradients.size() == 1);
    return static_cast<double>(gradient.gradients[0].item());
  }
};

}  // namespace

TEST_CASE("darts_second: first and second order on the example of the DARTS paper") {
  // At alpha = 2, w = -2. First order: dL_val/dalpha = w - 2 = -4. Second order with xi = 0.5:
  // w' = w - xi (2 w - 2 alpha) = 2, so dL_val/dalpha = w' - 2 = 0 and dL_val/dw' = alpha = 2; with
  // d2L_train/(dalpha dw) = -2 the gradient is 0 - xi (-2) 2 = 2.
  Scalars at(-2, 2);
  const LossFunction train = [&] { return paper_train_loss(at.weights[0], at.alphas[0]); };
  const LossFunction validation = [&] {
    return paper_validation_loss(at.weights[0], at.alphas[0]);
  };
  const auto first = make_one_shot("darts", paper_space(), {});
  const auto second = second_order(paper_space(), {});
  CHECK(at.gradient(*first, train, validation, 0.5) == doctest::Approx(-4));
  CHECK(at.gradient(*second, train, validation, 0.5) == doctest::Approx(2).epsilon(1e-3));
  // Without a rate, or a step to look ahead to, it is first order.
  CHECK(at.gradient(*second, train, validation, 0) == doctest::Approx(-4));
  CHECK(at.gradient(*second, {}, validation, 0.5) == doctest::Approx(-4));
}

TEST_CASE("darts_second: the differences are taken at w, not at w'") {
  // With alpha w^3 / 3 added to the training loss, d2L_train/(dalpha dw) = w^2 - 2 depends on w.
  // v = dL_val/dw' = alpha = 2, and with dL_train/dw = 2 w - 2 alpha + alpha w^2:
  //   w = -3: w' = -3 - 8 / 2 = -7,  g = (-7 - 2) - (9 - 2) 2 / 2 = -16  (at w': -9 - 47 = -56)
  //   w =  0: w' =  0 + 4 / 2 =  2,  g = ( 2 - 2) - (0 - 2) 2 / 2 =   2  (at w':  0 -  2 =  -2)
  //   w = -2: w' = -2 - 0 / 2 = -2,  g = (-2 - 2) - (4 - 2) 2 / 2 =  -6
  const auto second = second_order(paper_space(), {});
  for (const auto& [w, expected] : {std::pair{-3.0, -16.0}, {0.0, 2.0}, {-2.0, -6.0}}) {
    Scalars at(static_cast<real>(w), 2);
    const LossFunction train = [&] {
      const Variable &x = at.weights[0], &alpha = at.alphas[0];
      return paper_train_loss(x, alpha) + affine(alpha * x * x * x, real(1) / 3);
    };
    const LossFunction validation = [&] {
      return paper_validation_loss(at.weights[0], at.alphas[0]);
    };
    CHECK(at.gradient(*second, train, validation, 0.5) == doctest::Approx(expected).epsilon(2e-3));
  }
}

TEST_CASE("darts_second: a validation loss that is flat in the weights leaves first order") {
  Scalars at(-2, 2);
  const LossFunction train = [&] { return paper_train_loss(at.weights[0], at.alphas[0]); };
  const auto second = second_order(paper_space(), {});
  const auto without = [&] { return affine(at.alphas[0], 3); };
  CHECK(at.gradient(*second, train, without, 0.5) == doctest::Approx(3));
  const auto flat = [&] { return affine(at.alphas[0], 3) + affine(at.weights[0], 0); };
  CHECK(at.gradient(*second, train, flat, 0.5) == doctest::Approx(3));
}

TEST_CASE("darts_second: on the example only the second order finds the best alpha") {
  const StrategyOptions options{.epochs = 100};
  PaperProblem problem, other;
  Descent first("darts", paper_space(), options), second("darts_second", paper_space(), options);
  run(first, problem);
  run(second, other);
  CHECK(problem.net.alpha.value().at({0}) == doctest::Approx(2).epsilon(1e-3));
  CHECK(problem.net.w.value().at({0}) == doctest::Approx(2).epsilon(1e-3));
  CHECK(other.net.alpha.value().at({0}) == doctest::Approx(1).epsilon(1e-3));
  CHECK(other.net.w.value().at({0}) == doctest::Approx(1).epsilon(1e-3));
}

TEST_CASE("darts_second: the gradient of a supernet is that of gradients of gradients") {
  const auto method = second_order(toy_space(), {});
  const std::unique_ptr<Toy> net = toy_supernet(*method, 2);
  std::vector<Variable> weights, alphas;
  for (const auto& [name, parameter] : net->named_parameters()) {
    (contains(name, "alpha") ? alphas : weights).push_back(parameter);
  }
  REQUIRE(alphas.size() == 2);
  alphas[0].value().copy_(random_tensor({4}, 5));
  alphas[1].value().copy_(random_tensor({4}, 6));
  const LossFunction train = toy_train_loss(*net, 0, 1),
                     validation = toy_validation_loss(*net, 0, 2);
  const double xi = 0.1;
  const StateDict before = net->state_dict();
  std::map<std::string, std::vector<real>> numbers;
  for (const auto& [name, tensor] : before) numbers[name] = tensor.to_vector();
  const StepGradient got = method->architecture_gradient({.validation_loss = validation,
                                                          .train_loss = train,
                                                          .weights = weights,
                                                          .alphas = alphas,
                                                          .learning_rate = xi});
  for (const auto& [name, tensor] : net->state_dict()) CHECK(tensor.to_vector() == numbers[name]);

  // dL_val/dalpha and v at w' ..
  std::vector<Tensor> w;
  const std::vector<Variable> step = grad(train(), weights);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    w.push_back(weights[i].value().clone());
    const Variable moved = sub(w[i], affine(step[i], static_cast<real>(xi)));
    weights[i].value().copy_(moved.value());
  }
  const std::vector<Variable> direct = grad(validation(), alphas, {.retain_graph = true});
  const std::vector<Variable> v = grad(validation(), weights);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i].value().copy_(w[i]);
  // .. and h, the gradient by alpha of <dL_train/dw, v>, at w.
  const std::vector<Variable> d = grad(train(), weights, {.create_graph = true});
  Variable product;
  for (std::size_t i = 0; i < d.size(); ++i) {
    const Variable term = sum(mul(d[i], v[i].detach()));
    product = product.defined() ? add(product, term) : term;
  }
  const std::vector<Variable> h = grad(product, alphas);
  double largest = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    const Variable expected = sub(direct[i], affine(h[i], static_cast<real>(xi)));
    check_close(got.gradients[i].value(), expected.value(), "gradient", kDouble ? 1e-6 : 5e-3);
    for (const real x : h[i].value().to_vector()) {
      largest = std::max(largest, xi * std::abs(static_cast<double>(x)));
    }
  }
  CHECK(largest > 0.01);  // there is something to be right about
}

TEST_CASE("darts_second: an architecture step leaves the weights as they were") {
  const auto method = second_order(toy_space(), {});
  const std::unique_ptr<Toy> net = toy_supernet(*method, 2);
  SupernetSearch search(*net, *method);
  const LossFunction infinite = [&] {
    return affine(net->loss(0), std::numeric_limits<real>::infinity());
  };
  const auto interrupted = []() -> Variable { throw std::runtime_error("interrupted"); };
  for (const LossFunction& validation :
       {toy_validation_loss(*net, 0, 0), infinite, LossFunction(interrupted)}) {
    std::map<std::string, std::vector<real>> before, after;
    for (const auto& [name, tensor] : net->state_dict()) before[name] = tensor.to_vector();
    try {
      search.architecture_step(validation, toy_train_loss(*net, 0, 0));
    } catch (const std::runtime_error&) {
    }
    for (const auto& [name, tensor] : net->state_dict()) after[name] = tensor.to_vector();
    for (const char* alpha : {"across.alpha", "down.alpha"}) {
      before.erase(alpha);
      after.erase(alpha);
    }
    CHECK(after == before);
    for (const Variable& parameter : net->parameters()) CHECK_FALSE(parameter.grad().defined());
  }
}
