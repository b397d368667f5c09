#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;
using Pair = std::array<std::int64_t, 2>;
using Values = std::vector<real>;

struct Windows {
  Pair window, stride, padding, dilation = {1, 1};
};

// Overlapping, apart, beyond the image, longer than it, with gaps; one element; a single row.
const std::vector<Windows> kWindows = {{{3, 3}, {1, 1}, {1, 1}}, {{3, 3}, {2, 2}, {1, 1}},
                                       {{2, 3}, {3, 1}, {0, 1}}, {{1, 1}, {2, 3}, {0, 0}},
                                       {{5, 4}, {1, 2}, {2, 2}}, {{1, 5}, {1, 1}, {0, 2}}};
const std::vector<Windows> kDilated = {{{3, 3}, {1, 1}, {2, 2}, {2, 2}},
                                       {{2, 2}, {2, 1}, {1, 0}, {3, 2}}};

}  // namespace

TEST_CASE("pooling: gradient checks with windows of every kind") {
  const Tensor x = random_tensor({2, 2, 5, 7}, 1);
  std::vector<Windows> all = kWindows;
  all.insert(all.end(), kDilated.begin(), kDilated.end());
  for (const Windows& w : all) {
    check_op("max_pool2d", {x}, [=](const Inputs& in) {
      return max_pool2d(in[0], w.window, {w.stride, w.padding, w.dilation});
    });
  }
  for (const Windows& w : kWindows) {
    for (const bool with_padding : {true, false}) {
      check_op("avg_pool2d", {x}, [=](const Inputs& in) {
        return avg_pool2d(in[0], w.window, {w.stride, w.padding, with_padding});
      });
    }
  }
  for (const Pair& size : {Pair{1, 1}, {2, 3}, {5, 7}, {3, 9}}) {  // as large, and larger
    check_op("adaptive_avg_pool2d", {x},
             [=](const Inputs& in) { return adaptive_avg_pool2d(in[0], size); });
    check_op("adaptive_max_pool2d", {x},
             [=](const Inputs& in) { return adaptive_max_pool2d(in[0], size); });
  }
}

TEST_CASE("pooling: golden values") {
  const auto same = [](const std::string& function, const std::string& which, auto f) {
    check_golden_op(
        function, "pools", {"x"}, [=](const Inputs& in) { return f(in[0]); }, which);
  };
  using V = Variable;
  same("max_pool2d", "max", [](const V& x) { return max_pool2d(x, {3, 3}, {{1, 1}, {1, 1}}); });
  same("max_pool2d", "max_stride", [](const V& x) {
    return max_pool2d(x, {3, 2}, {{2, 1}, {1, 0}});
  });
  same("max_pool2d", "max_dilation", [](const V& x) {
    return max_pool2d(x, {2, 3}, {{1, 2}, {1, 1}, {2, 2}});
  });
  same("avg_pool2d", "avg", [](const V& x) { return avg_pool2d(x, {3, 3}, {{1, 1}, {1, 1}}); });
  same("avg_pool2d", "avg_inside", [](const V& x) {
    return avg_pool2d(x, {3, 2}, {{2, 2}, {1, 1}, false});
  });
  same("avg_pool2d", "avg_blocks", [](const V& x) { return avg_pool2d(x, {2, 3}); });
  same("adaptive_avg_pool2d", "adaptive_avg", [](const V& x) {
    return adaptive_avg_pool2d(x, {3, 4});
  });
  same("adaptive_max_pool2d", "adaptive_max", [](const V& x) {
    return adaptive_max_pool2d(x, {4, 3});
  });
}

TEST_CASE("pooling: ties, infinities and NaN") {
  const Variable ties(Tensor::ones({1, 1, 3, 3}), true);
  backward(sum(max_pool2d(ties, {2, 2}, {.stride = {1, 1}})));
  CHECK(ties.grad().to_vector() == Values{1, 1, 0, 1, 1, 0, 0, 0, 0});

  const real low = -INFINITY;
  const Variable lowest(Tensor::from({low, low, low, 2}, {1, 1, 1, 4}), true);
  const Variable y = max_pool2d(lowest, {1, 3}, {.stride = {1, 1}, .padding = {0, 1}});
  CHECK(y.value().to_vector() == Values{low, low, 2, 2});
  backward(sum(y));
  CHECK(lowest.grad().to_vector() == Values{2, 0, 0, 2});

  const Variable holed(Tensor::from({1, NAN, 3, 4}, {1, 1, 1, 4}), true);
  const Variable spread = max_pool2d(holed, {1, 2}, {.stride = {1, 1}});
  CHECK(std::isnan(spread.value().data()[0]));
  CHECK(std::isnan(spread.value().data()[1]));
  backward(sum(spread));
  CHECK(holed.grad().to_vector() == Values{0, 2, 0, 1});
}

TEST_CASE("pooling over all of a map is the mean and the maximum of it") {
  const Variable x(random_tensor({2, 3, 4, 5}, 2));
  CHECK(adaptive_max_pool2d(x, {1, 1}).value().to_vector() == max(x, {2, 3}).value().to_vector());
  check_close(adaptive_avg_pool2d(x, {1, 1}).value(), mean(x, {2, 3}, true).value(), "mean",
              sizeof(real) == 8 ? 1e-14 : 1e-6);
}

TEST_CASE("pooling refuses what it cannot do") {
  const auto refused = [](const char* message, auto f) {
    CHECK_THROWS_WITH_AS(f(), message, std::invalid_argument);
  };
  const Tensor x({1, 2, 5, 6});
  refused("avg_pool2d: input must be [N, C, H, W]; got [5, 6]", [] {
    avg_pool2d(Tensor({5, 6}), {2, 2});
  });
  refused("max_pool2d: padding must be between 0 and half of what a window reaches over, 1; got 2",
          [&] {
            max_pool2d(x, {3, 3}, {.padding = {2, 0}});
          });
  refused("max_pool2d: a window with gaps must hold an element of the input; window 0 does not",
          [&] {
            max_pool2d(Tensor({1, 1, 2, 2}), {1, 2}, {{1, 1}, {0, 1}, {1, 3}});
          });
  refused("max_pool2d: a window with gaps must hold an element of the input; window 1 does not",
          [&] {
            max_pool2d(Tensor({1, 1, 1, 3}), {1, 2}, {{1, 1}, {0, 2}, {1, 4}});
          });
  refused("avg_pool2d: padding must not be wider than the input, 5; got 6", [&] {
    avg_pool2d(x, {12, 1}, {.padding = {6, 0}});
  });
  refused("avg_pool2d: the window must fit the padded input; it reaches over 7 of 6", [&] {
    avg_pool2d(x, {1, 7});
  });
  refused("max_pool2d: strides must be at least 1; got 1 and 0", [&] {
    max_pool2d(x, {2, 2}, {.stride = {1, 0}});
  });
  refused("adaptive_avg_pool2d: sizes must be at least 1; got 0 x 1 of input [1, 2, 5, 6]", [&] {
    adaptive_avg_pool2d(x, {0, 1});
  });
}
