#include "autograd/engine.h"

#include <doctest/doctest.h>

#include "autograd/functions.h"
#include "autograd/gradcheck.h"
#include "tests/op_case.h"

using namespace serenade;

TEST_CASE("a node used twice gets its whole gradient before it passes it on") {
  const Variable a(Tensor::scalar(3), true);
  const Variable b = a + a;
  const Variable c = b + b;
  backward(c);
  CHECK(a.grad().item() == 4);
}

TEST_CASE("gradients add up over backwards until they are dropped") {
  Variable a(Tensor::scalar(3), true);
  backward(mul(a, a));
  backward(mul(a, a));
  CHECK(a.grad().item() == 12);
  a.zero_grad();
  CHECK_FALSE(a.grad().defined());
}

TEST_CASE("a chain of 100,000 operations builds, differentiates and is freed") {
  const Variable start(Tensor::scalar(1), true);
  Variable end = start;
  for (int i = 0; i < 100000; ++i) end = affine(end, 1, 1);
  CHECK(end.item() == 100001);
  backward(end);
  CHECK(start.grad().item() == 1);
  Variable unused = start;
  for (int i = 0; i < 100000; ++i) unused = affine(unused, 1, 1);
  unused = Variable();  // freed without ever being walked
}

TEST_CASE("grad returns gradients, of leaves and of results, and touches no .grad") {
  const Variable x(Tensor::scalar(2), true), w(Tensor::scalar(5), true), lone(Tensor({2}), true);
  const Variable h = mul(x, w);
  const Variable loss = mul(h, h);
  const auto gradients = grad(loss, {x, h, lone}, {.retain_graph = true});
  CHECK(gradients[0].item() == 100);
  CHECK(gradients[1].item() == 20);
  CHECK_FALSE(gradients[2].defined());
  CHECK_FALSE(x.grad().defined());
  CHECK_FALSE(w.grad().defined());
  backward(loss);
  CHECK(w.grad().item() == 40);
}

TEST_CASE("gradients that are passed on share their numbers, and nobody can tell") {
  const auto values = [](const Tensor& x) { return x.to_vector(); };
  const std::vector<real> ones = {1, 1}, threes = {3, 3};
  Variable a(Tensor({2}), true), b(Tensor({2}), true);
  SUBCASE("two leaves of one sum: what an optimiser writes into one gradient stays there") {
    backward(sum(a + b));
    CHECK_FALSE(a.grad().shares_storage_with(b.grad()));
    Tensor(a.grad()).fill_(5);
    CHECK(values(b.grad()) == ones);
  }
  SUBCASE("a gradient that grows after it was shared") {
    const Variable y = a + b;  // older than what else adds to a
    const Variable loss = sum(y) + sum(a * Tensor::full({2}, 2));
    backward(loss);
    CHECK(values(a.grad()) == threes);
    CHECK(values(b.grad()) == ones);
  }
  SUBCASE("the same node twice, and through a reshape") {
    backward(sum(a + reshape(reshape(a + a, {1, 2}), {2})));
    CHECK(values(a.grad()) == threes);
  }
  SUBCASE("results of grad are apart, and from what goes on") {
    const Variable y = a + b;
    const auto found = grad(sum(y) + sum(2 * a), {y, a, b});
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(values(found[i].value()) == (i == 1 ? threes : ones));
      for (std::size_t k = 0; k < i; ++k) {
        CHECK_FALSE(found[i].value().shares_storage_with(found[k].value()));
      }
    }
  }
  SUBCASE("gradients that add up over backwards") {
    for (int i = 0; i < 3; ++i) backward(sum(a + b));
    CHECK(values(a.grad()) == threes);
    CHECK(values(b.grad()) == threes);
  }
}

TEST_CASE("only the part of the graph that leads to the wanted variables is walked") {
  bool walked = false;
  const Variable x(Tensor::scalar(2), true), y(Tensor::scalar(3), true);
  const Variable side = make_result("side", Tensor::scalar(1), {y},
                                    [&](const Tensor&, Gradients&) { walked = true; });
  const Variable loss = mul(x, side);
  CHECK(grad(loss, {x})[0].item() == 1);
  CHECK_FALSE(walked);
}

TEST_CASE("a released graph cannot be walked again, and says so") {
  const Variable x(Tensor::scalar(2), true);
  const Variable loss = mul(x, x);
  backward(loss);
  CHECK_THROWS_WITH_AS(backward(loss),
                       doctest::Contains("released by an earlier backward at 'mul'"),
                       std::runtime_error);
}

TEST_CASE("NoGrad records nothing and nests") {
  const Variable x(Tensor::scalar(2), true);
  {
    const NoGrad outer;
    { const NoGrad inner; }
    CHECK_FALSE(mul(x, x).requires_grad());
  }
  CHECK(mul(x, x).requires_grad());
  CHECK_FALSE(mul(x.detach(), x.detach()).requires_grad());
}

TEST_CASE("backward refuses what is not a loss") {
  const Variable x(Tensor({2}), true);
  CHECK_THROWS_WITH_AS(backward(x), "backward: the loss must have exactly one element; got [2]",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(backward(Variable(Tensor::scalar(1))), doctest::Contains("does not depend"),
                       std::invalid_argument);
  CHECK_THROWS_AS(
      mul(x, x).node() == nullptr ? void() : Variable(mul(x, x)).set_requires_grad(false),
      std::invalid_argument);
}

TEST_CASE("an input that takes no part keeps an undefined gradient") {
  const Variable a(Tensor::scalar(1), true), b(Tensor::scalar(2), true);
  const Variable y = make_result("first", Tensor::scalar(1), {a, b},
                                 [](const Tensor&, Gradients& d) { d[0].fill_(1); });
  backward(y);
  CHECK(a.grad().item() == 1);
  CHECK_FALSE(b.grad().defined());
}

TEST_CASE("a value changed in place before its gradient is noticed, and the function named") {
  const auto leaf = [](real value) { return Variable(Tensor::full({2}, value), true); };
  const auto refused = [](const Variable& loss, const std::string& words) {
    CHECK_THROWS_WITH_AS(backward(loss), doctest::Contains(words.c_str()), std::runtime_error);
  };
  {
    Variable w = leaf(3), x = leaf(2);
    const Variable loss = sum(w * x);
    w.value().fill_(100);
    refused(loss, "backward: input 0 of 'mul' was changed in place");
  }
  {
    Variable w = leaf(3), x = leaf(2);
    const Variable loss = sum(w * x);
    x.value().copy_(w.value());
    refused(loss, "input 1 of 'mul'");
  }
  {
    Variable w = leaf(3);
    Variable y = exp(w);
    const Variable loss = sum(y);
    y.value().add_(w.value());
    refused(loss, "the result of 'exp'");
  }
  {  // through a view
    Variable w = leaf(3);
    const Variable loss = sum(w * w);
    w.value().slice(0, 1, 1).fill_(7);
    refused(loss, "'mul'");
  }
  {  // written by other means, and said so
    Variable w = leaf(3);
    const Variable loss = sum(w * w);
    w.value().data()[0] = 7;
    w.value().mark_changed();
    refused(loss, "'mul'");
  }
  {  // a mask
    Variable w = leaf(3);
    Tensor mask = Tensor::ones({2});
    const Variable loss = sum(where(mask, w, Tensor::full({2}, 1)));
    mask.zero_();
    refused(loss, "input 2 of 'where'");
  }
  {  // a bias of attention
    const Variable q(Tensor::ones({1, 2, 4}), true);
    Tensor bias = Tensor::ones({2, 2});
    const Variable loss = sum(scaled_dot_product_attention(q, q, q, {.bias = bias}));
    bias.zero_();
    refused(loss, "input 3 of 'scaled_dot_product_attention'");
  }
  {  // a gradient that a second loss was computed with, and that backward adds to
    Variable w = leaf(3);
    backward(sum(w * w));
    const Variable second = sum(Variable(w.grad()) * w * w);
    CHECK_NOTHROW(backward(second));
    const Variable third = sum(w * Variable(w.grad()));
    backward(sum(w * w));
    refused(third, "'mul'");
  }
}

TEST_CASE("a value changed in place may be where no gradient needs it") {
  Variable w(Tensor::full({2}, 3), true), b(Tensor::full({2}, 1), true);
  w.value().fill_(5);  // before
  Variable moved = w + b;
  const Variable loss = sum(moved * real(2));
  b.value().fill_(9);
  moved.value().fill_(0);  // a factor is not saved
  backward(loss);
  CHECK(w.grad().to_vector() == std::vector<real>{2, 2});
  {
    const Variable kept = sum(w * w);
    backward(kept, {.retain_graph = true});
    w.value().fill_(1);
    CHECK_THROWS_AS(backward(kept), std::runtime_error);
  }
  {  // another tensor in its place: what was saved is still there
    w.zero_grad();
    const Variable square = sum(w * w);
    w.value() = Tensor::full({2}, 8);
    backward(square);
    CHECK(w.grad().to_vector() == std::vector<real>{2, 2});
  }
}

TEST_CASE("leaves of a loss") {
  const Variable a(Tensor::scalar(1), true), b(Tensor::scalar(2), true), c(Tensor::scalar(3));
  const auto found = leaves(a * b * c + a);
  REQUIRE(found.size() == 2);
  CHECK(((found[0] == a.node() && found[1] == b.node()) ||
         (found[0] == b.node() && found[1] == a.node())));
}
