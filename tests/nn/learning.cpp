// Does it learn? Exclusive or: the smallest task that no single layer can do (Minsky & Papert
// 1969).

#include <doctest/doctest.h>

#include <memory>

#include "autograd/engine.h"
#include "nn/linear.h"
#include "nn/loss.h"
#include "nn/optim.h"

using namespace serenade;

namespace {

struct Net : Module {
  Linear hidden{{.in_features = 2, .out_features = 8}};
  Linear out{{.in_features = 8, .out_features = 2}};
  Net() {
    register_module("hidden", hidden);
    register_module("out", out);
  }
  Variable forward(const Variable& x) { return out.forward(serenade::tanh(hidden.forward(x))); }
};

const Indices kLabels = {0, 1, 1, 0};

Tensor inputs() { return Tensor::from({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2}); }

bool all_right(Net& net) {
  const Tensor scores = net.forward(inputs()).value();
  bool right = true;
  for (std::int64_t n = 0; n < 4; ++n) {
    const std::int64_t label = kLabels[static_cast<std::size_t>(n)];
    right = right && scores.at({n, label}) > scores.at({n, 1 - label});
  }
  return right;
}

/// The last loss of 200 steps.
double train(Net& net, Optimizer& optimizer) {
  const CrossEntropyLoss loss_of;
  double last = 0;
  for (int step = 0; step < 200; ++step) {
    optimizer.zero_grad();
    const Variable loss = loss_of.forward(net.forward(inputs()), kLabels);
    backward(loss);
    optimizer.step();
    last = loss.item();
  }
  return last;
}

}  // namespace

TEST_CASE("learning: a hidden layer learns exclusive or") {
  for (const bool adam : {true, false}) {
    manual_seed(11);
    Net net;
    std::unique_ptr<Optimizer> optimizer;
    if (adam) {
      optimizer = std::make_unique<Adam>(net.named_parameters(), Adam::Options{.lr = 0.05});
    } else {
      optimizer =
          std::make_unique<SGD>(net.named_parameters(), SGD::Options{.lr = 0.3, .momentum = 0.9});
    }
    CHECK(train(net, *optimizer) < 0.05);
    CHECK(all_right(net));
  }
}

TEST_CASE("learning: the same seed gives the same bits") {
  std::vector<std::vector<real>> weights;
  for (int run = 0; run < 2; ++run) {
    manual_seed(12);
    Net net;
    Adam optimizer(net.named_parameters(), {.lr = 0.05});
    train(net, optimizer);
    weights.push_back(net.hidden.weight.value().to_vector());
  }
  CHECK(weights[0] == weights[1]);
}

TEST_CASE("loss: the classes pass their settings on") {
  const Variable logits(Tensor::from({2, 0, 0, 1}, {2, 2}));
  const std::vector<real> weights = {1, 3};
  CHECK(CrossEntropyLoss({.class_weights = weights}).forward(logits, {0, 0}).item() ==
        cross_entropy(logits, {0, 0}, {.class_weights = weights}).item());
  CHECK(CrossEntropyLoss().forward(logits, {0, 1}).item() !=
        CrossEntropyLoss({.class_weights = weights}).forward(logits, {0, 1}).item());
  const Tensor shares = Tensor::from({1, 0, real(0.5), real(0.5)}, {2, 2});
  CHECK(CrossEntropyLoss({.label_smoothing = real(0.5)}).forward(logits, shares).item() ==
        cross_entropy(logits, shares, {.label_smoothing = real(0.5)}).item());
  CHECK(NLLLoss({.ignore_index = 1}).forward(logits, {0, 1}).item() == -2);
  const auto total = [&](auto loss) {
    return static_cast<double>(loss.forward(logits, shares).item());
  };
  constexpr Reduction sum = Reduction::sum;
  CHECK(total(MSELoss({.reduction = sum})) == doctest::Approx(1 + 0 + 0.25 + 0.25));
  CHECK(total(L1Loss({.reduction = sum})) == doctest::Approx(2));
  CHECK(total(SmoothL1Loss({.beta = 2, .reduction = sum})) == doctest::Approx(0.375));
  CHECK(total(HuberLoss({.delta = real(0.5), .reduction = sum})) == doctest::Approx(0.625));
  CHECK(total(KLDivLoss()) == kl_div(logits, shares).item());
  CHECK(total(BCEWithLogitsLoss({.reduction = sum})) ==
        binary_cross_entropy_with_logits(logits, shares, {.reduction = sum}).item());
  // lengths [0.5, 0.5], label 0: (0.9 - 0.5)^2 + lambda (0.5 - 0.1)^2
  const Variable lengths(Tensor::full({1, 2}, real(0.5)));
  CHECK(MarginLoss().forward(lengths, {0}).item() == doctest::Approx(0.16 + 0.5 * 0.16));
  CHECK(MarginLoss({.lambda = 1}).forward(lengths, {0}).item() == doctest::Approx(0.32));
}
