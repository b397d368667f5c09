// Tutorial 2: train a classifier.
//
// Two spirals wind around each other. Which of the two does a point lie on? No straight line parts
// them, so the network needs hidden layers. The program shows the five things every training has:
// data, a model, a loss, an optimiser and a loop. It ends with exit code 1 if fewer than 95 % of
// points that it has never seen are put on the right spiral.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numbers>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/linear.h"
#include "nn/loss.h"
#include "nn/module.h"
#include "nn/optim.h"
#include "tensor/random.h"

using namespace serenade;

// 1. Data -----------------------------------------------------------------------------------------

struct Points {
  Tensor positions;  // [N, 2]
  Indices labels;    // N of 0 or 1: the spiral that the point lies on
};

// Random numbers are a function of (seed, purpose, step) and a position in that stream. Another
// step is another stream: that is how the test points differ from the training points.
Points two_spirals(std::int64_t count, std::uint64_t step) {
  const RandomKey key = {.seed = 1, .purpose = Purpose::data, .step = step};
  std::vector<real> values;
  Points points;
  for (std::int64_t n = 0; n < count; ++n) {
    const std::uint64_t element = 3 * static_cast<std::uint64_t>(n);
    const std::int64_t spiral = n % 2;
    const double radius = 0.2 + 0.8 * uniform(key, element);
    // One and a half turns from the inside out; the second spiral starts half a turn later.
    const double angle = std::numbers::pi * (3 * radius + static_cast<double>(spiral));
    const double noise = 0.02;
    values.push_back(real(radius * std::cos(angle) + noise * normal(key, element + 1)));
    values.push_back(real(radius * std::sin(angle) + noise * normal(key, element + 2)));
    points.labels.push_back(spiral);
  }
  points.positions = Tensor::from(values, {count, 2});
  return points;
}

// 2. A model --------------------------------------------------------------------------------------

// A module owns its layers as members and gives each a name; forward() is ordinary C++.
struct SpiralNet : Module {
  Linear first{{.in_features = 2, .out_features = 32}};
  Linear second{{.in_features = 32, .out_features = 32}};
  Linear out{{.in_features = 32, .out_features = 2}};

  SpiralNet() {
    register_module("first", first);
    register_module("second", second);
    register_module("out", out);
  }

  // x: [N, 2]; result: [N, 2], one score per spiral.
  Variable forward(const Variable& x) {
    return out.forward(relu(second.forward(relu(first.forward(x)))));
  }
};

double accuracy(SpiralNet& net, const Points& points) {
  const NoGrad no_grad;  // nothing to differentiate: record no graph
  const std::vector<real> scores = net.forward(points.positions).value().to_vector();
  std::size_t right = 0;
  for (std::size_t n = 0; n < points.labels.size(); ++n) {
    const std::int64_t guess = scores[2 * n + 1] > scores[2 * n] ? 1 : 0;
    right += guess == points.labels[n] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(points.labels.size());
}

int main() {
  manual_seed(1);  // fixes the initial weights
  const Points training = two_spirals(400, 0), test = two_spirals(400, 1);
  SpiralNet net;
  std::printf("%lld parameters\n", static_cast<long long>(net.parameter_count()));

  // 3. A loss, 4. an optimiser --------------------------------------------------------------------
  const CrossEntropyLoss loss_of;
  Adam optimizer(net.named_parameters(), {.lr = 1e-2});

  // 5. The loop -----------------------------------------------------------------------------------
  const int epochs = 300;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    optimizer.zero_grad();  // gradients add up, so drop the old ones
    const Variable loss = loss_of.forward(net.forward(training.positions), training.labels);
    backward(loss);    // d loss / d parameter, for every parameter
    optimizer.step();  // and a small step against it
    if (epoch == 1 || epoch % 50 == 0) {
      std::printf("epoch %3d   loss %.4f   accuracy on new points %5.1f %%\n", epoch,
                  static_cast<double>(loss.item()), 100 * accuracy(net, test));
    }
  }
  return accuracy(net, test) >= 0.95 ? 0 : 1;
}
