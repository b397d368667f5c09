#include "kernels/elementwise/elementwise.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "autograd/functions/broadcast.h"
#include "kernels/elementwise/reduce.h"
#include "kernels/elementwise/softmax.h"
#include "kernels/runtime/threads.h"
#include "tensor/random.h"
#include "tests/golden.h"
#include "tests/kernels/isa.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

// Runs `work` on one thread and on three; both must give the same bits.
void check_threads(const std::function<std::vector<real>()>& work) {
  const int before = cpu::thread_count();
  cpu::set_threads(1);
  const std::vector<real> one = work();
  cpu::set_threads(3);
  const std::vector<real> three = work();
  cpu::set_threads(before);
  CHECK(one == three);
}

// The gradient of operand a by its definition: every element of dy goes to the element it came
// from.
Tensor repeated_sum(const Shape& shape, const Tensor& terms) {
  Tensor total(shape);
  const Tensor source = Tensor::from(
      [&] {
        std::vector<real> positions(static_cast<std::size_t>(total.numel()));
        for (std::size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<real>(i);
        return positions;
      }(),
      shape);
  const std::vector<real> where = source.expand(terms.shape()).to_vector();
  std::vector<double> sums(static_cast<std::size_t>(total.numel()));
  const std::vector<real> values = terms.to_vector();
  for (std::size_t i = 0; i < values.size(); ++i) {
    sums[static_cast<std::size_t>(where[i])] += static_cast<double>(values[i]);
  }
  for (std::size_t i = 0; i < sums.size(); ++i) total.data()[i] = static_cast<real>(sums[i]);
  return total;
}

struct Pair {
  Shape a, b;
};

// Every way to lie: inside, outside, both sides, scalars, long enough for several blocks.
const std::vector<Pair> kPairs = {{{5}, {5}},
                                  {{}, {}},
                                  {{}, {3, 4}},
                                  {{1, 1}, {3, 4}},
                                  {{4}, {3, 4}},
                                  {{3, 1}, {3, 4}},
                                  {{3, 1}, {1, 4}},
                                  {{2, 1, 5}, {1, 3, 1}},
                                  {{1, 3, 1, 5}, {2, 1, 4, 1}},
                                  {{7}, {5001, 7}},
                                  {{5001, 1}, {5001, 7}},
                                  {{}, {70001}},
                                  {{1, 1030}, {40, 1030}},
                                  {{3, 1, 2}, {3, 9000, 2}}};

}  // namespace

TEST_CASE("make_broadcast merges neighbours and drops sizes of 1") {
  const Broadcast same = make_broadcast({2, 3, 4}, {2, 3, 4});
  CHECK(same.dims == 1);
  CHECK(same.shape[0] == 24);
  const Broadcast bias = make_broadcast({8, 16, 1, 5}, {16, 1, 5});
  CHECK(bias.dims == 2);
  CHECK(bias.shape[0] == 8);
  CHECK(bias.shape[1] == 80);
  CHECK(bias.stride_a[0] == 80);
  CHECK(bias.stride_b[0] == 0);
  CHECK(bias.stride_b[1] == 1);
  const Broadcast scalar = make_broadcast({}, {1, 1});
  CHECK(scalar.dims == 1);
  CHECK(scalar.count() == 1);
}

TEST_CASE("broadcasting agrees with expanding the operands first, forward and backward") {
  for (const Pair& pair : kPairs) {
    CAPTURE(to_string(pair.a));
    CAPTURE(to_string(pair.b));
    const Tensor a = random_tensor(pair.a, 1), b = random_tensor(pair.b, 2);
    const Shape shape = broadcast_shapes("test", pair.a, pair.b);
    const Tensor wide_a = a.expand(shape).contiguous(), wide_b = b.expand(shape).contiguous();
    const Tensor dy = random_tensor(shape, 3);
    const Broadcast axes = make_broadcast(pair.a, pair.b);
    Tensor y = Tensor::empty(shape), expected = Tensor::empty(shape), term = Tensor::empty(shape);
    cpu::sub_forward(y.data(), a.data(), b.data(), axes);
    for (std::int64_t i = 0; i < y.numel(); ++i) {
      expected.data()[i] = wide_a.data()[i] - wide_b.data()[i];
    }
    check_close(y, expected, "a - b", 0);

    Tensor da(pair.a), db = Tensor::full(pair.b, 7);
    cpu::add_backward(da.data(), dy.data(), 1, axes, Write::add);
    check_close(da, repeated_sum(pair.a, dy), "sum of dy over a");
    cpu::mul_backward(db.data(), dy.data(), a.data(), axes.swapped(), Write::set);
    for (std::int64_t i = 0; i < y.numel(); ++i) {
      term.data()[i] = dy.data()[i] * wide_a.data()[i];
    }
    check_close(db, repeated_sum(pair.b, term), "sum of dy a over b");
    Tensor again = Tensor::full(pair.a, 7);
    cpu::add_backward(again.data(), dy.data(), 1, axes, Write::set);
    CHECK(again.to_vector() == da.to_vector());
    cpu::add_backward(again.data(), dy.data(), 1, axes, Write::add);
    for (std::int64_t i = 0; i < da.numel(); ++i) da.data()[i] *= 2;
    check_close(again, da, "accumulated");
  }
}

TEST_CASE("sums over repeated axes have the same bits for any number of threads") {
  for (const Pair& pair : kPairs) {
    const Shape shape = broadcast_shapes("test", pair.a, pair.b);
    const Tensor dy = random_tensor(shape, 3), b = random_tensor(pair.b, 2);
    check_threads([&] {
      Tensor da(pair.a);
      cpu::mul_backward(da.data(), dy.data(), b.data(), make_broadcast(pair.a, pair.b), Write::add);
      return da.to_vector();
    });
  }
  const Tensor x = random_tensor({33, 1500, 3}, 4);
  check_threads([&] {
    Tensor y = Tensor::empty({33, 3}), total = Tensor::empty({});
    cpu::sum_forward(y.data(), x.data(), 1, 33, 1500, 3);
    cpu::sum_forward(total.data(), x.data(), 1, 1, x.numel(), 1);
    std::vector<real> found = y.to_vector();
    found.push_back(total.item());
    return found;
  });
}

TEST_CASE("sums along a row are those of double, with the same bits on every instruction set") {
  for (const std::int64_t count : {1, 15, 16, 17, 47, 1000}) {
    CAPTURE(count);
    const Tensor x = random_tensor({count}, 5), w = random_tensor({count}, 6);
    double sum = 0, products = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      sum += static_cast<double>(x.data()[i]);
      products += static_cast<double>(x.data()[i] * w.data()[i]);
    }
    std::vector<real> first;
    for_each_isa([&] {
      Tensor found = Tensor::scalar(0), dot = Tensor::scalar(7);
      cpu::add_backward(found.data(), x.data(), 1, make_broadcast({}, {count}), Write::add);
      cpu::mul_backward(dot.data(), x.data(), w.data(), make_broadcast({}, {count}), Write::set);
      CHECK(found.item() == doctest::Approx(sum).epsilon(1e-6));
      CHECK(dot.item() == doctest::Approx(products).epsilon(1e-6));
      const std::vector<real> both = {found.item(), dot.item()};
      if (first.empty()) first = both;
      if (sizeof(real) == sizeof(float)) CHECK(both == first);
    });
  }
}

TEST_CASE("the gradient of a divisor whose square is no number of its own") {
  const real tiny = sizeof(real) == 4 ? real(1e-30) : real(1e-200);
  const Tensor a = Tensor::full({1}, tiny), dy = Tensor::full({1}, 1);
  Tensor db({1});
  cpu::div_backward_denominator(db.data(), dy.data(), a.data(), a.data(), make_broadcast({1}, {1}),
                                Write::add);
  CHECK(db.item() * tiny == doctest::Approx(-1).epsilon(1e-6));
}

TEST_CASE("a long sum loses far less than adding one value after the other") {
  const std::int64_t count = 3'000'000;
  const Tensor x = Tensor::full({count}, real(0.1));
  Tensor y = Tensor::empty({});
  cpu::sum_forward(y.data(), x.data(), 1, 1, count, 1);
  real naive = 0;
  for (std::int64_t i = 0; i < count; ++i) naive += x.data()[i];
  const double expected = static_cast<double>(real(0.1)) * static_cast<double>(count);
  const double error = std::abs(static_cast<double>(y.item()) - expected) / expected;
  CHECK(error < 1e-6);
  CHECK(std::abs(static_cast<double>(naive) - expected) / expected > 10 * error);
}

TEST_CASE("relu keeps NaN, so that a diverged run is seen") {
  const Tensor x = Tensor::from({NAN, -1, 0, 2}, {4});
  Tensor y = Tensor::empty({4});
  cpu::relu_forward(y.data(), x.data(), 4);
  CHECK(std::isnan(y.data()[0]));
  CHECK(y.data()[1] == 0);
  CHECK(y.data()[3] == 2);
}

TEST_CASE("max lets NaN through wherever it stands") {
  const Tensor x = Tensor::from({1, NAN, 3, NAN, 5, 2}, {2, 3});
  Tensor y = Tensor::empty({2});
  cpu::max_forward(y.data(), x.data(), 2, 3, 1);
  CHECK(std::isnan(y.data()[0]));
  CHECK(std::isnan(y.data()[1]));
}

TEST_CASE("the dropout mask is the key's stream: reproducible, and of the asked probability") {
  const std::int64_t count = 100'003;
  const Tensor ones = Tensor::ones({count});
  const RandomKey key{5, Purpose::dropout, 9};
  const DropoutKey stream{key.seed, static_cast<std::uint32_t>(key.purpose), key.step};
  Tensor y = Tensor::empty({count}), dx(Shape{count});
  cpu::dropout_forward(y.data(), ones.data(), 0.3, stream, count);
  cpu::dropout_backward(dx.data(), ones.data(), 0.3, stream, count, Write::add);
  CHECK(y.to_vector() == dx.to_vector());
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const bool keeps = uniform(key, static_cast<std::uint64_t>(i)) >= 0.3;
    kept += keeps ? 1 : 0;
    REQUIRE(y.data()[i] == (keeps ? static_cast<real>(1 / 0.7) : real(0)));
  }
  // Five standard deviations of a binomial count.
  CHECK(std::abs(static_cast<double>(kept) / count - 0.7) < 5 * std::sqrt(0.3 * 0.7 / count));
  check_threads([&] {
    cpu::dropout_forward(y.data(), ones.data(), 0.3, stream, count);
    return y.to_vector();
  });
}

TEST_CASE("softmax along any axis has the same bits for any number of threads") {
  const Tensor x = random_tensor({9, 11, 700}, 6);
  check_threads([&] {
    Tensor y = Tensor::empty(x.shape()), dx(x.shape());
    cpu::softmax_forward(y.data(), x.data(), 9, 11, 700);
    cpu::softmax_backward(dx.data(), x.data(), y.data(), 9, 11, 700);
    return dx.to_vector();
  });
}
