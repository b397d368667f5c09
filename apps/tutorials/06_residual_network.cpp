// Tutorial 6: a residual network on pictures.
//
// Stripes in a noisy picture run across, down, or along a diagonal. The network has convolutions,
// batch normalisation, shortcuts, and a mean over all places at the end. A loader shuffles and
// shifts the pictures; what is judged is the average of the weights. The program fails if fewer
// than 90 % of new pictures are told right, or if normalisation does not do what it says.

#include <array>
#include <cmath>
#include <cstdio>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/conv.h"
#include "nn/data/data_loader.h"
#include "nn/linear.h"
#include "nn/moving_average.h"
#include "nn/normalisation.h"
#include "nn/optim.h"
#include "nn/schedule.h"

using namespace serenade;
constexpr std::int64_t kSide = 12, kEpochs = 6;

// Pictures [N, 1, 12, 12]: a wave along one of four directions, and as much noise.
TensorDataset stripes(std::int64_t count, std::uint64_t step) {
  const RandomKey key = {.seed = 1, .purpose = Purpose::data, .step = step};
  constexpr std::array<std::array<double, 2>, 4> kDirections = {{{0, 1}, {1, 0}, {1, 1}, {1, -1}}};
  Tensor pictures({count, 1, kSide, kSide});
  Indices labels;
  std::uint64_t drawn = 0;
  for (std::int64_t n = 0; n < count; ++n) {
    labels.push_back(n % 4);
    const auto [down, right] = kDirections[static_cast<std::size_t>(n % 4)];
    const double phase = 6.3 * uniform(key, drawn++);
    for (std::int64_t i = 0; i < kSide * kSide; ++i) {
      const std::int64_t row = i / kSide, column = i % kSide;
      const double place = down * double(row) + right * double(column);
      const double wave = std::sin(1.6 * place / std::hypot(down, right) + phase);
      pictures.data()[n * kSide * kSide + i] = real(wave + normal(key, drawn++));
    }
  }
  return TensorDataset(pictures, labels);
}

// relu(x + f(x)): f learns a correction, and gradients pass by it unchanged (He et al. 2016).
struct Block : Module {
  Sequential way;
  explicit Block(std::int64_t channels) {
    const Conv2d::Options conv{channels, channels, {3, 3}};
    const BatchNorm2d::Options norm = {.num_features = channels};
    way.add(std::make_unique<Conv2d>(conv)), way.add(std::make_unique<BatchNorm2d>(norm));
    way.add(std::make_unique<ReLU>());
    way.add(std::make_unique<Conv2d>(conv)), way.add(std::make_unique<BatchNorm2d>(norm));
    register_module("way", way);
  }
  Variable forward(const Variable& x) { return relu(x + way.forward(x)); }
};

struct ResidualNet : Module {
  Conv2d first{{.in_channels = 1, .out_channels = 8, .kernel_size = {3, 3}}};
  Block block1{8}, block2{8};
  Linear out{{.in_features = 8, .out_features = 4}};
  ResidualNet() {
    register_module("first", first), register_module("block1", block1);
    register_module("block2", block2), register_module("out", out);
  }
  Variable forward(const Variable& x) {
    const Variable y = block2.forward(max_pool2d(block1.forward(first.forward(x)), {2, 2}));
    return out.forward(mean(y, {2, 3}));  // [N, 8]: each channel's mean over all places
  }
};

double accuracy(ResidualNet& net, const TensorDataset& set) {
  const NoGrad no_grad;
  net.eval();  // batch normalisation takes its running statistics: a picture's score is its own
  const Indices guesses = argmax(net.forward(set.inputs()), 1);
  net.train();
  double right = 0;
  for (std::size_t n = 0; n < guesses.size(); ++n) right += guesses[n] == set.labels()[n] ? 1 : 0;
  return right / double(set.size());
}

int main() {
  manual_seed(1);
  const TensorDataset training = stripes(512, 0), test = stripes(256, 1);
  ResidualNet net;
  const Transform shift = random_crop({.size = {kSide, kSide}, .padding = 2});
  const DataLoader loader(
      training, {.batch_size = 32, .shuffle = true, .num_workers = 1, .transform = shift});
  SGD optimizer(net.named_parameters(), {.momentum = 0.9, .nesterov = true, .weight_decay = 1e-4});
  OneCycleSchedule schedule({.max_rate = 0.05, .epochs = kEpochs * loader.size()});
  ExponentialMovingAverage average(net.named_parameters(), {.decay = 0.9});
  for (std::int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    double last = 0;
    for (const Batch& batch : loader.epoch(epoch)) {
      optimizer.set_learning_rate(schedule.learning_rate());
      optimizer.zero_grad();
      const Variable loss = cross_entropy(net.forward(batch.input), batch.labels);
      backward(loss);
      optimizer.step();
      average.update();
      last = double(loss.item());
      schedule.end_epoch(last);  // its unit is a step here
    }
    std::printf("epoch %d   loss %.3f   new pictures told right: %.1f %%\n", int(epoch) + 1, last,
                100 * accuracy(net, test));
  }
  const auto in_use = average.swap_in();
  const double right = accuracy(net, test);
  std::printf("with averaged weights: %.1f %%\n", 100 * right);
  // In training, each channel of a batch has mean 0 and variance 1 after normalisation.
  BatchNorm2d norm({.num_features = 1});
  const Variable normal_now = norm.forward(test.inputs() * real(3) + real(7));
  const double middle = double(mean(normal_now).item());
  const double spread = double(var(normal_now, {0, 1, 2, 3}).item());
  std::printf("after normalisation: mean %.4f, variance %.4f\n", middle, spread);
  return right >= 0.9 && std::abs(middle) < 1e-4 && std::abs(spread - 1) < 1e-2 ? 0 : 1;
}
