// Tutorial 9: second-order DARTS.
//
// DARTS (Liu, Simonyan & Yang, ICLR 2019) wants the alpha that is best with the weights that are
// best for it: min L_val(w*(alpha), alpha), where w*(alpha) makes L_train smallest. The paper's
// Figure 2 has an example with one alpha and one weight:
//
//   L_train = w^2 - 2 alpha w + alpha^2    so w*(alpha) = alpha
//   L_val   = alpha w - 2 alpha + 1        so L_val(w*(alpha), alpha) = (alpha - 1)^2
//
// The best is alpha = w = 1.
//
// First order (xi = 0) takes w as it is: dL_val/dalpha = w - 2, which is 0 at w = 2. Second order
// looks at w' = w - xi dL_train/dw, and knows that w' moves with alpha as well (Eq. 7):
//
//   dL_val(w', alpha)/dalpha - xi d2L_train/(dalpha dw) dL_val/dw'
//
// A gradient of a gradient, times a vector v = dL_val/dw'. There are two ways to it: the engine
// walks back through the gradient (create_graph), which is exact, and keeps a gradient's graph; or
// two plain gradients are taken at w + eps v and w - eps v (Eq. 8), which nas/ does. Both are here,
// then nas/. Read tutorials 3 and 5 before this.

#include <cmath>
#include <cstdio>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/builder.h"
#include "nas/one_shot.h"

using namespace serenade;

namespace {

Variable train_loss(const Variable& w, const Variable& alpha) {
  return w * w - real(2) * alpha * w + alpha * alpha;
}
Variable validation_loss(const Variable& w, const Variable& alpha) {
  return alpha * w - real(2) * alpha + real(1);
}
Variable number(double value) {
  return Variable(Tensor::full({1}, static_cast<real>(value)), true);
}

// The step to w' is itself a function of alpha: its graph is kept, and the engine does the rest.
double through_the_step(const Variable& w, const Variable& alpha, double xi) {
  const Variable down = grad(train_loss(w, alpha), {w}, {.create_graph = true})[0];
  const Variable ahead = w - static_cast<real>(xi) * down;
  return double(grad(validation_loss(ahead, alpha), {alpha})[0].item());
}

// Eq. 8: four plain gradients.
double by_difference(const Variable& w, const Variable& alpha, double xi) {
  const double down = double(grad(train_loss(w, alpha), {w})[0].item());
  const Variable ahead = number(double(w.item()) - xi * down);
  const std::vector<Variable> g = grad(validation_loss(ahead, alpha), {alpha, ahead});
  const double v = double(g[1].item()), eps = 0.01 / std::fmax(std::fabs(v), 1e-12);
  double side[2];
  for (const int sign : {-1, 1}) {  // around w, not around w'
    const Variable near = number(double(w.item()) + sign * eps * v);
    side[(sign + 1) / 2] = double(grad(train_loss(near, alpha), {alpha})[0].item());
  }
  return double(g[0].item()) - xi * (side[1] - side[0]) / (2 * eps);
}

struct Point {
  double alpha = 2, w = -2;  // where Figure 2 begins
};

// An alpha step at a rate of 0.1, then a weight step at 0.5, which brings w to w*(alpha) at once.
// Returns the difference between the two ways.
double iterate(Point& at, double xi) {
  const Variable alpha = number(at.alpha), w = number(at.w);
  const double exact = through_the_step(w, alpha, xi), difference = by_difference(w, alpha, xi);
  const Variable moved = number(at.alpha - 0.1 * exact);
  at.w -= 0.5 * double(grad(train_loss(w, moved), {w})[0].item());
  at.alpha = double(moved.item());
  return std::fabs(exact - difference);
}

// The same with nas/ ------------------------------------------------------------------------------

// A choice of one candidate, whose alpha is the example's: the losses have it as a number, where
// those of a supernet have its softmax.
struct Net : Module {
  std::unique_ptr<Layer> choice;
  Variable alpha, w;
  explicit Net(Builder& builder)
      : choice(builder.choose(
            "alpha", [](const std::string&, real) { return std::make_unique<Identity>(); })),
        alpha(dynamic_cast<MixedLayer&>(*choice).choice().alpha()),
        w(register_parameter("w", Tensor::full({1}, -2))) {
    register_module("choice", *choice);
    alpha.value().fill_(2);
  }
};

struct Example : Problem {
  SearchSpace one_choice{.choices = {{.name = "alpha", .candidates = {"only"}}}};
  Builder builder{one_choice};
  Net net{builder};
  const SearchSpace& space() const override { return one_choice; }
  Module& supernet(const OneShot&) override { return net; }
  std::int64_t train_batches() const override { return 1; }
  LossFunction next_train_loss() override {
    return [this] { return train_loss(net.w, net.alpha); };
  }
  LossFunction next_validation_loss() override {
    return [this] { return validation_loss(net.w, net.alpha); };
  }
};

}  // namespace

int main() {
  double difference = 0;
  Point first, second;
  std::printf(
      "By hand, a step on alpha and one on w per iteration:\n"
      "iteration |  xi = 0: alpha       w |  xi = 0.5: alpha       w\n");
  for (int iteration = 0; iteration <= 50; ++iteration) {
    if (iteration < 4 || iteration % 10 == 0) {
      std::printf("%9d | %14.4f %7.4f | %16.4f %7.4f\n", iteration, first.alpha, first.w,
                  second.alpha, second.w);
    }
    iterate(first, 0);
    difference = std::fmax(difference, iterate(second, 0.5));
  }
  std::printf("Eq. 8 and the gradient of the gradient differ by %.0e at most.\n\n", difference);
  bool right = difference < 1e-3;

  // Where the gradient is 0 with w = alpha: (alpha - 2) + 2 xi alpha = 0. xi = 0.5 is right because
  // w' is w*(alpha) then. The second term corrects as far as xi looks ahead, not farther.
  std::printf("Where it ends     alpha   2 / (1 + 2 xi)   L_val(w*(alpha), alpha)\n");
  for (const double xi : {0.0, 0.1, 0.25, 0.5}) {
    Point at;
    for (int iteration = 0; iteration < 100; ++iteration) iterate(at, xi);
    const double expected = 2 / (1 + 2 * xi), loss = (at.alpha - 1) * (at.alpha - 1);
    std::printf("xi = %4.2f        %6.4f   %14.4f   %23.4f\n", xi, at.alpha, expected, loss);
    right = right && std::fabs(at.alpha - expected) < 1e-3;
  }

  // nas/ takes Adam for both. Its xi is the rate of w; it ends where the gradient is 0, too.
  std::printf("\n");
  for (const char* name : {"darts", "darts_second"}) {
    Example example;
    const auto method = make_one_shot(
        name, example.space(), {.epochs = 300, .learning_rate = 0.5, .alpha_learning_rate = 0.1});
    while (method->advance(example)) {
    }
    const double alpha = double(example.net.alpha.item()), w = double(example.net.w.item());
    std::printf("With nas/, %-12s: alpha %.4f, w %.4f\n", name, alpha, w);
    const double expected = method->name() == "darts" ? 2 : 1;
    right = right && std::fabs(alpha - expected) < 1e-3 && std::fabs(w - expected) < 1e-3;
  }
  if (!right) std::printf("Unexpected: see above.\n");
  return right ? 0 : 1;
}
