#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;

double worst_difference(const Variable& a, const Variable& b) {
  double worst = 0;
  const std::vector<real> left = a.value().to_vector(), right = b.value().to_vector();
  for (std::size_t i = 0; i < left.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(left[i] - right[i])));
  }
  return worst;
}

constexpr double kRounding = sizeof(real) == 8 ? 1e-12 : 1e-5;

}  // namespace

TEST_CASE("softmax and log_softmax: gradients along every axis") {
  for (const Shape& shape : std::vector<Shape>{{1}, {5}, {3, 1}, {2, 3, 5}, {2, 3, 67}}) {
    const Tensor x = random_tensor(shape, 1);
    for (std::int64_t axis = -1; axis < static_cast<std::int64_t>(shape.size()); ++axis) {
      check_op("softmax", {x}, [=](const Inputs& in) { return softmax(in[0], axis); });
      check_op("log_softmax", {x}, [=](const Inputs& in) { return log_softmax(in[0], axis); });
    }
  }
}

TEST_CASE("softmax and log_softmax: golden values") {
  check_golden_op("softmax", "softmax", {"x"}, [](const Inputs& in) { return softmax(in[0], -1); });
  check_golden_op("log_softmax", "log_softmax", {"x"},
                  [](const Inputs& in) { return log_softmax(in[0], 1); });
}

TEST_CASE("softmax: sums to 1, does not overflow, and the middle axis is the transposed last one") {
  const Variable x(random_tensor({2, 5, 70}, 2, 300));
  const Variable y = softmax(x, 1);
  CHECK(worst_difference(sum(y, 1), Variable(Tensor::ones({2, 70}))) < kRounding);
  CHECK(worst_difference(y, transpose(softmax(transpose(x, 1, 2), 2), 1, 2)) == 0);
  const Variable logs = log_softmax(x, 1);
  for (const real value : logs.value().to_vector()) CHECK(std::isfinite(value));
  CHECK(worst_difference(exp(logs), y) < kRounding);
}

TEST_CASE("cross_entropy: gradients, plain and weighted, with a class of weight 0") {
  const Indices labels = {2, 0, 1, 2, 3};
  const Tensor logits = random_tensor({5, 4}, 3);
  check_op("cross_entropy", {logits},
           [&](const Inputs& in) { return cross_entropy(in[0], labels); });
  check_op("cross_entropy", {logits}, [&](const Inputs& in) {
    return cross_entropy(in[0], labels, {.class_weights = {2, 0, 0.5, 1}});
  });
  check_op("cross_entropy", {random_tensor({1, 1})},
           [](const Inputs& in) { return cross_entropy(in[0], {0}); });
}

TEST_CASE("cross_entropy: golden values") {
  const Golden file = golden("cross_entropy");
  note_golden("cross_entropy", "cross_entropy");
  const Indices labels = file.integer("labels").values;
  const Variable logits(file.tensor("logits"), true);
  const Variable loss = cross_entropy(logits, labels);
  check_close(loss.value(), file.tensor("loss").reshape({}), "loss");
  backward(loss);
  check_close(logits.grad(), file.tensor("d_logits"), "d_logits");
  for (std::int64_t n = 0; n < logits.size(0); ++n) {
    const Variable one =
        cross_entropy(slice(logits, 0, n, 1), {labels[static_cast<std::size_t>(n)]});
    check_close(one.value(), file.tensor("per_sample").slice(0, n, 1).reshape({}), "per sample");
  }
}

TEST_CASE("cross_entropy: the weighted mean is what its definition says") {
  const Variable logits(random_tensor({3, 2}, 4));
  const std::vector<real> weights = {3, real(0.5)};
  const Indices labels = {1, 0, 1};
  const Tensor logs = log_softmax(logits, 1).value();
  const double expected =
      -(0.5 * static_cast<double>(logs.at({0, 1})) + 3 * static_cast<double>(logs.at({1, 0})) +
        0.5 * static_cast<double>(logs.at({2, 1}))) /
      4;
  CHECK(static_cast<double>(cross_entropy(logits, labels, {.class_weights = weights}).item()) ==
        doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("cross_entropy: a hopeless sample costs a finite amount") {
  const Variable logits(Tensor::from({1000, -1000}, {1, 2}), true);
  const Variable loss = cross_entropy(logits, {1});
  CHECK(loss.item() == 2000);
  backward(loss);
  CHECK(logits.grad().to_vector() == std::vector<real>{1, -1});
}

TEST_CASE("losses of numbers: gradients, away from the places where they bend") {
  const Tensor x = random_tensor({3, 4}, 1, 2), target = random_tensor({3, 4}, 2);
  const Tensor chance = sigmoid(random_tensor({3, 4}, 3)).value();
  const Tensor weight = exp(random_tensor({3, 1}, 4)).value();
  const Tensor pos_weight = exp(random_tensor({4}, 5)).value();
  for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
    const auto check = [&](const char* name, const Tensor& second, auto f) {
      check_op(name, {x, second}, [&](const Inputs& in) { return f(in[0], in[1]); });
    };
    using V = Variable;
    check("mse_loss", target, [&](const V& a, const V& b) { return mse_loss(a, b, reduction); });
    check("l1_loss", target, [&](const V& a, const V& b) { return l1_loss(a, b, reduction); });
    for (const real width : {real(0.5), real(3)}) {
      check("smooth_l1_loss", target,
            [&](const V& a, const V& b) { return smooth_l1_loss(a, b, width, reduction); });
      check("huber_loss", target,
            [&](const V& a, const V& b) { return huber_loss(a, b, width, reduction); });
    }
    check("binary_cross_entropy_with_logits", chance, [&](const V& a, const V& b) {
      return binary_cross_entropy_with_logits(a, b, {.reduction = reduction});
    });
    check("binary_cross_entropy_with_logits", chance, [&](const V& a, const V& b) {
      const Device device = a.device();
      return binary_cross_entropy_with_logits(
          a, b, {weight.to(device), pos_weight.to(device), reduction});
    });
    for (const bool log_target : {false, true}) {
      check("kl_div", log_target ? target : chance, [&](const V& a, const V& b) {
        return kl_div(a, b, {.log_target = log_target, .reduction = reduction});
      });
    }
  }
}

TEST_CASE("losses of classes: gradients, with places, ignored labels, smoothing and shares") {
  const Tensor rows = random_tensor({5, 4}, 1), image = random_tensor({2, 4, 3}, 2);
  const Tensor shares = softmax(random_tensor({2, 4, 3}, 3), 1).value();
  const Indices labels = {2, 0, 1, 2, 3}, places = {3, 0, 2, -100, 2, 2};
  const std::vector<real> weights = {2, 0, real(0.5), 1};
  for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
    for (const bool weighted : {false, true}) {
      const std::vector<real> class_weights = weighted ? weights : std::vector<real>();
      const NllOptions of_labels{class_weights, 2, reduction};
      const CrossEntropyOptions smooth{class_weights, -100, real(0.3), reduction};
      const CrossEntropyOptions plain{class_weights, 0, 0, reduction};
      check_op("nll_loss", {rows},
               [&](const Inputs& in) { return nll_loss(in[0], labels, of_labels); });
      check_op("cross_entropy", {rows},
               [&](const Inputs& in) { return cross_entropy(in[0], labels, plain); });
      check_op("cross_entropy", {image},
               [&](const Inputs& in) { return cross_entropy(in[0], places, smooth); });
      check_op("cross_entropy", {image, shares},
               [&](const Inputs& in) { return cross_entropy(in[0], in[1], smooth); });
    }
  }
}

TEST_CASE("losses: golden values") {
  const Golden file = golden("losses");
  const std::vector<real> weights = file.tensor("class_weights").to_vector();
  const Tensor weight = file.tensor("weight"), pos_weight = file.tensor("pos_weight");
  const Indices labels = {2, 0, 1, 3, 2}, places = {3, 0, 2, 1, 2, 2};
  for (const auto& [reduction, word] : enum_names(Reduction{})) {
    const auto pair = [&, ending = "_" + word](const std::string& function,
                                               const std::string& which, auto f) {
      check_golden_op(
          function, "losses", {"x", "target"}, [&](const Inputs& in) { return f(in[0], in[1]); },
          which + ending);
    };
    const auto one = [&, ending = "_" + word](const std::string& function, const std::string& which,
                                              auto f) {
      check_golden_op(
          function, "losses", {"x"}, [&](const Inputs& in) { return f(in[0]); }, which + ending);
    };
    using V = Variable;
    const Reduction r = reduction;
    pair("mse_loss", "mse", [&](const V& a, const V& b) { return mse_loss(a, b, r); });
    pair("l1_loss", "l1", [&](const V& a, const V& b) { return l1_loss(a, b, r); });
    pair("smooth_l1_loss", "smooth_l1",
         [&](const V& a, const V& b) { return smooth_l1_loss(a, b, 1, r); });
    pair("smooth_l1_loss", "smooth_l1_0.5",
         [&](const V& a, const V& b) { return smooth_l1_loss(a, b, 0.5, r); });
    pair("huber_loss", "huber_0.5",
         [&](const V& a, const V& b) { return huber_loss(a, b, 0.5, r); });
    pair("binary_cross_entropy_with_logits", "bce", [&](const V& a, const V& b) {
      return binary_cross_entropy_with_logits(a, b, {.reduction = r});
    });
    pair("binary_cross_entropy_with_logits", "bce_weighted", [&](const V& a, const V& b) {
      return binary_cross_entropy_with_logits(a, b, {weight, pos_weight, r});
    });
    pair("kl_div", "kl_div",
         [&](const V& a, const V& b) { return kl_div(a, b, {.reduction = r}); });
    pair("kl_div", "kl_div_log", [&](const V& a, const V& b) { return kl_div(a, b, {true, r}); });
    pair("cross_entropy", "shares", [&](const V& a, const V& b) {
      return cross_entropy(a, b, {weights, -100, real(0.2), r});
    });
    struct Variant {
      const char* tag;
      std::vector<real> weights;
      std::int64_t ignored;
      real smoothing;
    };
    for (const Variant& v : {Variant{"", {}, -100, 0}, Variant{"_ignored", weights, 2, 0},
                             Variant{"_smooth", weights, 0, real(0.1)}}) {
      const CrossEntropyOptions options{v.weights, v.ignored, v.smoothing, r};
      const std::string tag = v.tag;
      one("cross_entropy", "rows" + tag,
          [&](const V& a) { return cross_entropy(a, labels, options); });
      one("cross_entropy", "image" + tag,
          [&](const V& a) { return cross_entropy(a, places, options); });
      one("nll_loss", "nll" + tag, [&](const V& a) {
        return nll_loss(a, places, {v.weights, v.ignored, r});
      });
    }
  }
}

TEST_CASE("losses: sure and wrong costs a finite amount, what does not count costs nothing") {
  const Variable x(Tensor::from({1000, -1000, 0}, {3}), true);
  const Variable loss = binary_cross_entropy_with_logits(x, Tensor::from({0, 1, 1}, {3}),
                                                         {.reduction = Reduction::none});
  CHECK(loss.value().at({0}) == 1000);
  CHECK(loss.value().at({1}) == 1000);
  CHECK(static_cast<double>(loss.value().at({2})) == doctest::Approx(std::log(2.0)));
  backward(sum(loss));
  CHECK(x.grad().to_vector() == std::vector<real>{1, -1, real(-0.5)});

  const Tensor sure = Tensor::from({0, 1}, {2}), halves = Tensor::from({-1, -2}, {2});
  const Variable divergence = kl_div(halves, sure, {.reduction = Reduction::none});
  CHECK(divergence.value().to_vector() == std::vector<real>{0, 2});

  const Variable log_p(Tensor::from({0, -INFINITY, -INFINITY, 0}, {2, 2}), true);
  const Variable ignored =
      nll_loss(log_p, {1, 1}, {.class_weights = {1, 0}, .reduction = Reduction::sum});
  CHECK(ignored.item() == 0);
  backward(ignored);
  CHECK(log_p.grad().to_vector() == std::vector<real>(4, 0));
}

TEST_CASE("margin_loss: gradients and values") {
  const Indices labels = {1, 0};
  const Tensor lengths =
      Tensor::from({real(0.3), real(0.7), real(0.05), real(0.95), real(0.2), real(0.6)}, {2, 3});
  check_op("margin_loss", {lengths}, [&](const Inputs& in) { return margin_loss(in[0], labels); });
  check_op("margin_loss", {lengths}, [&](const Inputs& in) {
    return margin_loss(in[0], labels, {real(0.8), real(0.25), real(0.9)});
  });
  // Sample 0: 0.2^2 + 0.5 (0.2^2 + 0); sample 1: 0 + 0.5 (0.1^2 + 0.5^2).
  const double expected = (0.04 + 0.5 * 0.04 + 0.5 * (0.01 + 0.25)) / 2;
  CHECK(static_cast<double>(margin_loss(Variable(lengths), labels).item()) ==
        doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("losses say which label or weight is wrong") {
  const Variable logits(Tensor({2, 3}));
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {0}), doctest::Contains("got 1 labels for [2, 3]"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {0, 3}),
                       "cross_entropy: labels must be 0 .. 2; got 3 for sample 1",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {0, 1}, {.class_weights = {1, 1}}),
                       doctest::Contains("one weight per class"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {0, 1}, {.class_weights = {1, -1, 1}}),
                       doctest::Contains("must not be negative"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {0, 1}, {.class_weights = {0, 0, 1}}),
                       doctest::Contains("positive weight"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {5, 5}, {.ignore_index = 5}),
                       doctest::Contains("not be ignored"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {0, 1}, {.label_smoothing = real(1.5)}),
                       doctest::Contains("label_smoothing must be in 0 .. 1; got 1.5"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(nll_loss(logits, {0, -100, 1}), doctest::Contains("got 3 labels for [2, 3]"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(mse_loss(Tensor({3, 1}), Tensor({3})),
                       "mse_loss: input and target must have one shape; got [3, 1] and [3]",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(huber_loss(logits, logits, 0), "huber_loss: delta must be positive; got 0",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      binary_cross_entropy_with_logits(logits, logits, {.weight = Tensor::ones({4, 2, 3})}),
      doctest::Contains("must broadcast"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(margin_loss(logits, {-1, 0}), doctest::Contains("margin_loss: labels"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(softmax(Variable(Tensor({2, 0})), 1), doctest::Contains("softmax: the axis"),
                       std::invalid_argument);
}
