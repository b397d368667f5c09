// The hooks of one-shot strategies: the default, which is first-order DARTS, and a made-up strategy
// that fills in all it can: Gumbel-softmax, second-order gradients, projection.

#include "nas/one_shot.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "autograd/engine.h"
#include "nas/diagnostics.h"
#include "nas/supernet_search.h"
#include "nn/optim.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

// Nothing filled in but the name.
class Plain : public OneShot {
 public:
  using OneShot::OneShot;
  std::string name() const override { return "plain"; }
};

// Adds factor * deltas to the variables; an undefined delta is zero.
void shift(const std::vector<Variable>& variables, const std::vector<Variable>& deltas,
           double factor) {
  for (std::size_t i = 0; i < variables.size(); ++i) {
    if (!deltas[i].defined()) continue;
    const NoGrad no_graph;
    const Variable moved = add(variables[i].value(), affine(deltas[i], static_cast<real>(factor)));
    Variable(variables[i]).value().copy_(moved.value());
  }
}

std::vector<Tensor> values_of(const std::vector<Variable>& variables) {
  std::vector<Tensor> values;
  for (const Variable& variable : variables) values.push_back(variable.value().clone());
  return values;
}

void restore(const std::vector<Variable>& variables, const std::vector<Tensor>& values) {
  for (std::size_t i = 0; i < variables.size(); ++i) {
    Variable(variables[i]).value().copy_(values[i]);
  }
}

// DARTS, Eq. 7 and 8: the gradient at w' = w - xi dL_train/dw, and through it, by differences.
class SecondOrder : public Plain {
 public:
  using Plain::Plain;
  std::string name() const override { return "second_order"; }

  ArchitectureGradient architecture_gradient(const ArchitectureStep& step) const override {
    if (!step.train_loss) return OneShot::architecture_gradient(step);
    const std::vector<Tensor> w = values_of(step.weights);
    shift(step.weights, grad(step.train_loss(), step.weights), -step.learning_rate);
    std::vector<Variable> all = step.alphas;
    all.insert(all.end(), step.weights.begin(), step.weights.end());
    const Variable loss = step.validation_loss();
    std::vector<Variable> d_alpha = grad(loss, all);
    const std::vector<Variable> d_w(
        d_alpha.begin() + static_cast<std::ptrdiff_t>(step.alphas.size()), d_alpha.end());
    d_alpha.resize(step.alphas.size());
    double squares = 0;
    for (const Variable& d : d_w) {
      if (d.defined()) squares += static_cast<double>(sum(mul(d, d)).item());
    }
    const double epsilon = 0.01 / std::max(std::sqrt(squares), 1e-12);
    for (const double sign : {1.0, -1.0}) {
      restore(step.weights, w);
      shift(step.weights, d_w, sign * epsilon);
      const std::vector<Variable> d = grad(step.train_loss(), step.alphas);
      for (std::size_t i = 0; i < d.size(); ++i) {
        if (!d[i].defined()) continue;
        const real factor = static_cast<real>(-sign * step.learning_rate / (2 * epsilon));
        const Variable term = affine(d[i], factor);
        d_alpha[i] = d_alpha[i].defined() ? add(d_alpha[i], term) : term;
      }
    }
    restore(step.weights, w);
    return {loss, d_alpha};
  }
};

// Gumbel-softmax (Jang et al. 2017; in search: SNAS, Xie et al. 2019): noise from the step's number
// alone, a temperature that falls with the epochs; alphas held within a limit.
class Gumbel : public SecondOrder {
 public:
  static constexpr real kLimit = real(0.3);
  using SecondOrder::SecondOrder;
  std::string name() const override { return "gumbel"; }

  Path draw(const Draw& draw) const override {
    const double progress = static_cast<double>(draw.epoch) / static_cast<double>(draw.epochs);
    const auto temperature = static_cast<real>(2 - 1.5 * progress);
    const RandomKey key{draw.seed, Purpose::path, draw.step};
    std::vector<real> noise;
    for (std::int64_t i = 0; i < draw.candidates; ++i) {
      const double u = uniform(key, draw.choice << 16 | static_cast<std::uint64_t>(i));
      noise.push_back(static_cast<real>(-std::log(-std::log(u + 1e-8))));
    }
    Path path = full_path(draw.candidates);
    path.relax = [noise, temperature](const Variable& alpha) {
      const Tensor shifted = Tensor::from(noise, alpha.shape()).to(alpha.device());
      return softmax(affine(add(alpha, shifted), 1 / temperature), 0);
    };
    return path;
  }
  void project(std::vector<Variable>& alphas) const override {
    for (Variable& alpha : alphas) {
      std::vector<real> values = alpha.value().to_vector();
      for (real& x : values) x = std::clamp(x, -kLimit, kLimit);
      alpha.value().copy_(Tensor::from(values, alpha.shape()));
    }
  }
};

StrategyOptions options() {
  return {.seed = 4, .epochs = 3, .learning_rate = 0.02, .alpha_learning_rate = 0.02};
}

void run(Strategy& strategy, Problem& problem) {
  while (strategy.advance(problem)) {
  }
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

// Gradient descent, with the step that brings w to w*(alpha) at once.
template <class Method>
struct Descent : Method {
  using Method::Method;
  std::unique_ptr<Optimizer> make_weight_optimizer(const NamedParameters& weights) const override {
    return std::make_unique<SGD>(weights, SGD::Options{.lr = 0.5});
  }
  std::unique_ptr<Optimizer> make_alpha_optimizer(const NamedParameters& alphas) const override {
    return std::make_unique<SGD>(alphas, SGD::Options{.lr = 0.1});
  }
};

}  // namespace

TEST_CASE("one-shot: what a strategy does not say falls to the safe side") {
  const Plain plain(toy_space(), {});
  CHECK(plain.needs_supernet());
  CHECK_FALSE(plain.shares_training());
  CHECK_FALSE(plain.trains_jointly());
  CHECK(plain.initial_gain(6) == doctest::Approx(std::sqrt(6.0)));  // it averages
  CHECK_FALSE(plain.stops_early({}));
  CHECK(plain.fingerprint().empty());
  for (const Phase phase : {Phase::weights, Phase::architecture}) {
    const Path path = plain.draw({.phase = phase, .candidates = 5});
    CHECK(path.to_string() == "11111");
    CHECK(path.uses_alpha());
  }
  CHECK(plain.derive({{0, 1, 0, 0}, {0, 0, 0, 1}}).summary() == "across=1x1 down=2x2");
}

TEST_CASE("one-shot: the default is dropout without a masked candidate, bit for bit") {
  Plain plain(toy_space(), options());
  StrategyOptions without = options();
  without.num_masked = 0;
  const auto dropout = make_one_shot("dropout", toy_space(), without);
  ToyProblem problem, other;
  problem.net = toy_supernet(plain, 2);  // the same weights for both: their gains differ
  other.net = toy_supernet(plain, 2);
  run(plain, problem);
  run(*dropout, other);
  CHECK(problem.losses.size() == 3 * kToySteps);
  CHECK(problem.losses == other.losses);
  CHECK(plain.search()->alphas() == dropout->search()->alphas());
  CHECK(plain.search()->alphas() != std::vector<std::vector<double>>(2, {0, 0, 0, 0}));
  CHECK(history_json(plain.search()->history()) == history_json(dropout->search()->history()));
  CHECK(same_numbers(problem.net->state_dict(), other.net->state_dict()));
}

TEST_CASE("one-shot: first and second order on the example of the DARTS paper") {
  // At alpha = 2, w = -2. First order: dL_val/dalpha = w - 2 = -4. Second order with xi = 0.5:
  // w' = w - xi (2 w - 2 alpha) = 2, so dL_val/dalpha = w' - 2 = 0 and dL_val/dw' = alpha = 2; with
  // d2L_train/(dalpha dw) = -2 the gradient is 0 - xi (-2) 2 = 2.
  std::vector<Variable> weights = {Variable(Tensor::full({1}, -2), true)};
  std::vector<Variable> alphas = {Variable(Tensor::full({1}, 2), true)};
  const LossFunction train = [&] { return paper_train_loss(weights[0], alphas[0]); };
  const LossFunction validation = [&] { return paper_validation_loss(weights[0], alphas[0]); };
  const LossFunction none;
  const Plain first(paper_space(), {});
  const SecondOrder second(paper_space(), {});
  const auto gradient_of = [&](const OneShot& method, const LossFunction& train_loss, double loss) {
    const ArchitectureGradient gradient =
        method.architecture_gradient({.validation_loss = validation,
                                      .train_loss = train_loss,
                                      .weights = weights,
                                      .alphas = alphas,
                                      .learning_rate = 0.5});
    CHECK(gradient.loss.item() == doctest::Approx(loss));
    CHECK(weights[0].value().at({0}) == real(-2));  // as found
    CHECK(alphas[0].value().at({0}) == real(2));
    CHECK_FALSE(weights[0].grad().defined());
    REQUIRE(gradient.gradients.size() == 1);
    return static_cast<double>(gradient.gradients[0].item());
  };
  CHECK(gradient_of(first, train, -7) == doctest::Approx(-4));
  CHECK(gradient_of(second, train, 1) == doctest::Approx(2).epsilon(1e-3));
  CHECK(gradient_of(second, none, -7) == doctest::Approx(-4));  // there is nothing to look ahead to
}

TEST_CASE("one-shot: on that example only the second order finds the best alpha") {
  const StrategyOptions options{.epochs = 100};
  PaperProblem problem, other;
  Descent<Plain> first(paper_space(), options);
  Descent<SecondOrder> second(paper_space(), options);
  run(first, problem);
  run(second, other);
  CHECK(problem.net.alpha.value().at({0}) == doctest::Approx(2).epsilon(1e-3));
  CHECK(problem.net.w.value().at({0}) == doctest::Approx(2).epsilon(1e-3));
  CHECK(other.net.alpha.value().at({0}) == doctest::Approx(1).epsilon(1e-3));
  CHECK(other.net.w.value().at({0}) == doctest::Approx(1).epsilon(1e-3));
}

TEST_CASE("one-shot: a made-up strategy draws its own coefficients") {
  const Gumbel gumbel(toy_space(), options());
  const Variable alpha(Tensor({4}), true);
  const auto draw_of = [&](std::uint64_t step, std::uint64_t choice, std::int64_t epoch) {
    const Path path = gumbel.draw(
        {.candidates = 4, .choice = choice, .step = step, .epoch = epoch, .epochs = 10, .seed = 4});
    const std::vector<real> c = coefficients(path, alpha).value().to_vector();
    return std::vector<double>(c.begin(), c.end());
  };
  CHECK(draw_of(3, 0, 0) == draw_of(3, 0, 0));
  CHECK(draw_of(3, 0, 0) != draw_of(4, 0, 0));
  CHECK(draw_of(3, 0, 0) != draw_of(3, 1, 0));
  for (std::uint64_t step = 0; step < 20; ++step) {
    CHECK(entropy(draw_of(step, 0, 9)) < entropy(draw_of(step, 0, 0)));  // colder, so sharper
  }
}

TEST_CASE("one-shot: a made-up strategy with every hook searches, is projected and resumes") {
  StrategyOptions long_run = options();
  long_run.epochs = 40;
  Gumbel whole(toy_space(), long_run);
  ToyProblem problem(2);
  run(whole, problem);
  CHECK(whole.recommend().summary() == kToyAnswer);
  const std::vector<SearchRecord>& history = whole.search()->history();
  CHECK(history.back().architecture_loss < history.front().architecture_loss / 2);
  double largest = 0;
  for (const std::vector<double>& alphas : whole.search()->alphas()) {
    for (const double alpha : alphas) largest = std::max(largest, std::abs(alpha));
  }
  CHECK(largest == static_cast<double>(Gumbel::kLimit));  // held there

  Gumbel first(toy_space(), long_run), second(toy_space(), long_run);
  ToyProblem first_half(2), second_half(3);
  for (int epoch = 0; epoch < 17; ++epoch) first.advance(first_half);
  second.load_state(first.save_state());
  run(second, second_half);
  CHECK(same_numbers(second.save_state().tensors, whole.save_state().tensors));
  CHECK(second.save_state().metadata == whole.save_state().metadata);
  Plain other(toy_space(), long_run);
  CHECK_THROWS_AS(other.load_state(first.save_state()), std::invalid_argument);
}

TEST_CASE("one-shot: an architecture step that looks ahead leaves the weights as they were") {
  const SecondOrder method(toy_space(), options());
  const std::unique_ptr<Toy> net = toy_supernet(method, 2);
  SupernetSearch search(*net, method);
  StateDict before = net->state_dict();
  search.architecture_step(toy_validation_loss(*net, 0, 0), toy_train_loss(*net, 0, 0));
  StateDict after = net->state_dict();
  for (const char* alpha : {"across.alpha", "down.alpha"}) {
    CHECK(after.at(alpha).to_vector() != before.at(alpha).to_vector());
    after.erase(alpha);
    before.erase(alpha);
  }
  CHECK(same_numbers(after, before));
  for (const Variable& parameter : net->parameters()) CHECK_FALSE(parameter.grad().defined());
}

TEST_CASE("one-shot: stopping early, options of its own, and an architecture of its own") {
  class Early : public Plain {
   public:
    Early(const StrategyOptions& options, std::string own)
        : Plain(toy_space(), options), own_(std::move(own)) {}
    bool stops_early(const std::vector<SearchRecord>& history) const override {
      return history.size() == 2;
    }
    std::string fingerprint() const override { return own_; }
    // The smallest alpha instead of the largest.
    Genotype derive(const std::vector<std::vector<double>>& alphas) const override {
      std::vector<std::int64_t> smallest;
      for (const std::vector<double>& alpha : alphas) {
        smallest.push_back(std::min_element(alpha.begin(), alpha.end()) - alpha.begin());
      }
      return make_genotype(space(), smallest);
    }

   private:
    std::string own_;
  };
  Early early(options(), "mine");
  ToyProblem problem;
  run(early, problem);
  CHECK(early.search()->epoch() == 2);
  CHECK(early.search()->finished());
  CHECK(early.recommend() == early.derive(early.search()->alphas()));
  CHECK(early.recommend() != Plain(toy_space(), options()).derive(early.search()->alphas()));
  Early same(options(), "mine"), other(options(), "yours");
  CHECK_NOTHROW(same.load_state(early.save_state()));
  CHECK(same.recommend() == early.recommend());
  CHECK_THROWS_WITH_AS(other.load_state(early.save_state()), doctest::Contains("yours"),
                       std::invalid_argument);
}

TEST_CASE("one-shot: a gradient for every alpha, or none of it is used") {
  class Short : public Plain {
   public:
    using Plain::Plain;
    ArchitectureGradient architecture_gradient(const ArchitectureStep& step) const override {
      ArchitectureGradient gradient = OneShot::architecture_gradient(step);
      gradient.gradients.pop_back();
      return gradient;
    }
  };
  const Short method(toy_space(), options());
  const std::unique_ptr<Toy> net = toy_supernet(method, 2);
  SupernetSearch search(*net, method);
  const StateDict before = net->state_dict();
  CHECK_THROWS_WITH_AS(search.architecture_step(toy_validation_loss(*net, 0, 0)),
                       doctest::Contains("a gradient for every alpha; got 1 for 2"),
                       std::invalid_argument);
  CHECK(same_numbers(net->state_dict(), before));
}

TEST_CASE("one-shot: a search goes on with the problem that it began with") {
  const auto method = make_one_shot("dropout", toy_space(), {.epochs = 3});
  ToyProblem first, second;
  CHECK(method->advance(first));
  CHECK_THROWS_WITH_AS(method->advance(second), doctest::Contains("the problem"),
                       std::invalid_argument);
  CHECK(method->advance(first));
}

TEST_CASE("one shot: gradients of the weights are clipped where a method says so") {
  struct Clipped : Plain {
    using Plain::Plain;
    double clip_norm() const override { return 1e-3; }
    std::unique_ptr<Optimizer> make_weight_optimizer(const NamedParameters& w) const override {
      return std::make_unique<SGD>(w, SGD::Options{.lr = 1});
    }
  };
  const Clipped method(toy_space(), {.epochs = 1});
  const std::unique_ptr<Toy> net = toy_supernet(method, 2);
  SupernetSearch search(*net, method);
  const StateDict before = net->state_dict();
  search.weight_step(toy_train_loss(*net, 0, 0));
  double squares = 0;  // of the step, which is the gradient: at a rate of 1
  for (const auto& [name, value] : net->state_dict()) {
    const std::vector<real> now = value.to_vector(), then = before.at(name).to_vector();
    for (std::size_t i = 0; i < now.size(); ++i) squares += std::pow(double(now[i] - then[i]), 2);
  }
  CHECK(std::sqrt(squares) == doctest::Approx(1e-3).epsilon(1e-3));
}
