// Tutorial 3: differentiable architecture search by hand.
//
// Two operations compete for one place in a network: op_0(x) = w_0 x and op_1(x) = w_1 x^2. The
// data are y = 0.8 x^2 with noise, so op_1 is the better one. Equations are those of Wu et al.
// (ICASSP 2022), after DARTS (Liu, Simonyan & Yang, ICLR 2019).
//
//   Eq. 1     h = sum_i a_i op_i(x),  a = softmax(alpha)
//   Eq. 2     joint: W and alpha both follow the gradient of the training loss
//   Eq. 3-4   bi-level: alpha follows the validation loss, W the training loss, in turn (first
//             order: the best W for an alpha is taken to be the W of the moment)
// Read tutorials 1 and 2 before this, nas/README.md and tutorial 5 after it.

#include <cmath>
#include <cstdio>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"

using namespace serenade;

namespace {
// Everything that is trained: one weight per operation, one alpha per operation.
struct Supernet {
  Variable w0{Tensor::from({real(0.5)}, {1}), true};
  Variable w1{Tensor::from({real(0.5)}, {1}), true};
  Variable alpha{Tensor({2}), true};
};

struct Data {
  Tensor x, y;
};

Data make_data(std::uint64_t step) {
  const RandomKey key{2026, Purpose::data, step};
  Tensor x({64}), y({64});
  for (std::uint64_t i = 0; i < 64; ++i) {
    const double value = 3 * uniform(key, i) - 1;  // -1 .. 2, so that x alone explains a part of y
    x.data()[i] = static_cast<real>(value);
    y.data()[i] = static_cast<real>(0.8 * value * value + 0.1 * normal(key, 1000 + i));
  }
  return {x, y};
}

// Eq. 1 and the mean square error.
Variable loss_of(const Supernet& net, const Data& data) {
  const Variable x = data.x;
  const Variable a = softmax(net.alpha, 0);
  const Variable h = slice(a, 0, 0, 1) * (net.w0 * x) + slice(a, 0, 1, 1) * (net.w1 * (x * x));
  const Variable error = h - data.y;
  return mean(error * error);
}

// One step of gradient descent on one variable.
void descend(Variable& variable, const Variable& gradient, real rate) {
  const NoGrad no_graph;
  variable.value().add_((-rate * gradient).value());
}

void train_weights(Supernet& net, const Data& data) {
  const std::vector<Variable> g = grad(loss_of(net, data), {net.w0, net.w1});
  descend(net.w0, g[0], real(0.1));
  descend(net.w1, g[1], real(0.1));
}

void train_alpha(Supernet& net, const Data& data) {
  descend(net.alpha, grad(loss_of(net, data), {net.alpha})[0], real(0.5));
}

// Eq. 2: both gradients at the same point, from the same batch.
void train_jointly(Supernet& net, const Data& data) {
  const std::vector<Variable> g = grad(loss_of(net, data), {net.w0, net.w1, net.alpha});
  descend(net.w0, g[0], real(0.1));
  descend(net.w1, g[1], real(0.1));
  descend(net.alpha, g[2], real(0.5));
}

// The gradient of alpha_j is a_j (d_j - sum_i a_i d_i), d_i = sum_n dL/dh_n op_i(x_n): an operation
// gains when it points against the error more than the mixture does. Compares that formula, the
// engine and finite differences; returns the largest difference.
double check_alpha_gradient(Supernet& net, const Data& data) {
  const std::vector<real> engine = grad(loss_of(net, data), {net.alpha})[0].value().to_vector();
  const std::vector<real> a = softmax(net.alpha, 0).value().to_vector();
  const std::vector<real> x = data.x.to_vector(), y = data.y.to_vector();
  double d[2] = {0, 0};
  for (std::size_t n = 0; n < x.size(); ++n) {
    const double op[2] = {double(net.w0.item()) * x[n], double(net.w1.item()) * x[n] * x[n]};
    const double dl_dh = 2 * (a[0] * op[0] + a[1] * op[1] - y[n]) / double(x.size());
    for (int i = 0; i < 2; ++i) d[i] += dl_dh * op[i];
  }
  double largest = 0;
  for (std::size_t j = 0; j < 2; ++j) {
    const double formula = a[j] * (d[j] - (a[0] * d[0] + a[1] * d[1]));
    const real step = real(0.01), before = net.alpha.value().data()[j];
    double side[2];
    for (const int sign : {-1, 1}) {
      net.alpha.value().data()[j] = before + static_cast<real>(sign) * step;
      side[(sign + 1) / 2] = double(loss_of(net, data).item());
    }
    net.alpha.value().data()[j] = before;
    const double difference = (side[1] - side[0]) / (2 * double(step));
    std::printf("  d loss / d alpha_%zu: formula %9.6f  engine %9.6f  finite difference %9.6f\n", j,
                formula, double(engine[j]), difference);
    largest = std::fmax(largest, std::fmax(std::fabs(formula - double(engine[j])),
                                           std::fabs(formula - difference)));
  }
  return largest;
}
}  // namespace

int main() {
  std::printf("The gradient of alpha at the start:\n");
  Supernet joint, bilevel;
  const double difference = check_alpha_gradient(joint, make_data(0));
  std::printf(
      "\nalpha and a = softmax(alpha) of (w x, w x^2); the truth is 0.8 x^2\n"
      "step | joint: alpha            a       | bi-level: alpha         a\n");
  for (std::uint64_t step = 0; step < 200; ++step) {
    const Data training = make_data(2 * step), validation = make_data(2 * step + 1);
    train_jointly(joint, training);
    train_alpha(bilevel, validation);
    train_weights(bilevel, training);
    if (step % 20 != 19) continue;
    std::printf("%4d |", static_cast<int>(step + 1));
    for (const Supernet* net : {&joint, &bilevel}) {
      const Tensor alpha = net->alpha.value(), a = softmax(net->alpha, 0).value();
      std::printf(" %7.3f %7.3f  %.3f %.3f |", double(alpha.at({0})), double(alpha.at({1})),
                  double(a.at({0})), double(a.at({1})));
    }
    std::printf("\n");
  }
  bool right = difference < 2e-4;
  for (const Supernet* net : {&joint, &bilevel}) {
    right = right && net->alpha.value().at({1}) > net->alpha.value().at({0}) + 1;
  }
  // W makes up for a small a_i by growing, so alpha slows down: its order counts, not its size.
  std::printf(right ? "\nBoth chose w x^2.\n" : "\nUnexpected: see above.\n");
  return right ? 0 : 1;
}
