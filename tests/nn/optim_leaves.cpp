// Which tensors an optimiser takes: a rule writes to the numbers of its parameters, no others.

#include <doctest/doctest.h>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/optim.h"

using namespace serenade;

namespace {

void check_refused(const NamedParameters& parameters, const char* message) {
  CHECK_THROWS_WITH_AS(SGD(parameters, {}), doctest::Contains(message), std::invalid_argument);
  CHECK_THROWS_WITH_AS(Adam(parameters, {}), doctest::Contains(message), std::invalid_argument);
}

}  // namespace

TEST_CASE("optimisers refuse views that are not one block of their own") {
  const Tensor matrix = Tensor::ones({4, 3});
  check_refused({{"column", Variable(matrix.slice(1, 1, 1), true)}}, "'column'");
  check_refused({{"turned", Variable(matrix.transpose(0, 1), true)}}, "'turned'");
  check_refused({{"wide", Variable(Tensor::ones({1}).expand({5}), true)}}, "'wide'");
  check_refused({{"all", Variable(matrix, true)}, {"row", Variable(matrix.slice(0, 2, 1), true)}},
                "must not share numbers; 'all' and 'row' do");
  check_refused({{"upper", Variable(matrix.slice(0, 0, 3), true)},
                 {"lower", Variable(matrix.slice(0, 2, 2), true)}},
                "must not share numbers");
}

TEST_CASE("rows of one matrix that do not overlap are parameters of their own") {
  const Tensor matrix = Tensor::ones({4, 3});
  Variable first(matrix.slice(0, 0, 2), true), last(matrix.slice(0, 3, 1), true);
  SGD optimizer({{"first", first}, {"last", last}}, {.lr = 1});
  backward(sum(last));
  optimizer.step();
  CHECK(matrix.to_vector() == std::vector<real>{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0});
}

TEST_CASE("a parameter whose value is replaced by something else is refused at the step") {
  Variable weight(Tensor::ones({4}), true);
  Adam optimizer({{"weight", weight}}, {});
  backward(sum(weight));
  optimizer.step();
  backward(sum(weight));
  weight.value() = Tensor::ones({2});
  CHECK_THROWS_WITH_AS(optimizer.step(), doctest::Contains("'weight' is now [2]"),
                       std::invalid_argument);
  weight.value() = Tensor::ones({1}).expand({4});
  CHECK_THROWS_AS(optimizer.step(), std::invalid_argument);
  CHECK(optimizer.state_dict().steps.at("weight") == 1);
}
