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

const BatchNormOptions kTraining = {.training = true};

}  // namespace

TEST_CASE("batch_norm: gradients, in training and after it, with and without parameters") {
  // Planes of several elements, of a few (which become one plane of all samples), of none.
  for (const Shape& shape :
       std::vector<Shape>{{3, 2, 4, 5}, {1, 3, 20}, {4, 3, 2}, {5, 4}, {2, 1, 3, 2, 3}}) {
    const std::int64_t C = shape[1];
    const Tensor x = random_tensor(shape, 1, 2), weight = random_tensor({C}, 2),
                 bias = random_tensor({C}, 3), mean = random_tensor({C}, 4),
                 var = exp(random_tensor({C}, 5)).value();
    check_op("batch_norm", {x, weight, bias},
             [](const Inputs& in) { return batch_norm(in[0], {}, {}, in[1], in[2], kTraining); });
    check_op("batch_norm", {x},
             [](const Inputs& in) { return batch_norm(in[0], {}, {}, {}, {}, kTraining); });
    check_op("batch_norm", {x, weight}, [&](const Inputs& in) {
      return batch_norm(in[0], mean.to(in[0].device()), var.to(in[0].device()), in[1]);
    });
    check_op("batch_norm", {x, bias}, [&](const Inputs& in) {
      return batch_norm(in[0], mean.to(in[0].device()), var.to(in[0].device()), {}, in[1]);
    });
  }
}

TEST_CASE("layer_norm, rms_norm, group_norm, instance_norm: gradients") {
  for (const auto& [shape, last] : std::vector<std::pair<Shape, Shape>>{
           {{3, 5}, {5}}, {{2, 3, 4}, {3, 4}}, {{40}, {40}}, {{2, 1, 6}, {6}}, {{70, 2}, {2}}}) {
    const Tensor x = random_tensor(shape, 1, 2), weight = random_tensor(last, 2),
                 bias = random_tensor(last, 3);
    const Shape sizes = last;
    check_op("layer_norm", {x, weight, bias},
             [=](const Inputs& in) { return layer_norm(in[0], sizes, in[1], in[2]); });
    check_op("layer_norm", {x}, [=](const Inputs& in) { return layer_norm(in[0], sizes); });
    check_op("rms_norm", {x, weight},
             [=](const Inputs& in) { return rms_norm(in[0], sizes, in[1]); });
    check_op("rms_norm", {x}, [=](const Inputs& in) { return rms_norm(in[0], sizes); });
  }
  for (const std::int64_t groups : {1, 2, 4}) {
    const Tensor x = random_tensor({2, 4, 3, 3}, 1, 2), weight = random_tensor({4}, 2),
                 bias = random_tensor({4}, 3);
    check_op("group_norm", {x, weight, bias},
             [=](const Inputs& in) { return group_norm(in[0], groups, in[1], in[2]); });
    check_op("group_norm", {x}, [=](const Inputs& in) { return group_norm(in[0], groups); });
    check_op("instance_norm", {x, weight, bias},
             [](const Inputs& in) { return instance_norm(in[0], in[1], in[2]); });
  }
}

TEST_CASE("normalisation: golden values, and the statistics that training leaves") {
  const Golden file = golden("norms");
  const std::vector<std::string> all = {"x", "weight", "bias"};
  const auto same = [](const std::string& function, const std::string& which,
                       const std::vector<std::string>& inputs,
                       auto f) { check_golden_op(function, "norms", inputs, f, which); };
  for (const std::string which : {"batch", "batch_matrix"}) {
    Tensor mean = file.tensor(which + ".mean_before").clone();
    Tensor var = file.tensor(which + ".var_before").clone();
    const auto batch = [&](const Inputs& in, bool training) {
      return batch_norm(in[0], mean, var, in[1], in[2], {training, real(0.3), real(1e-3)});
    };
    same("batch_norm", which + "_given", all, [&](const Inputs& in) { return batch(in, false); });
    same("batch_norm", which, all, [&](const Inputs& in) { return batch(in, true); });
    check_close(mean, file.tensor(which + ".mean_after"), "running mean");
    check_close(var, file.tensor(which + ".var_after"), "running variance");
  }
  same("batch_norm", "batch_plain", {"x"},
       [](const Inputs& in) { return batch_norm(in[0], {}, {}, {}, {}, kTraining); });
  same("layer_norm", "layer", all, [](const Inputs& in) {
    return layer_norm(in[0], {2, 3}, in[1], in[2]);
  });
  same("layer_norm", "layer_plain", {"x"}, [](const Inputs& in) { return layer_norm(in[0], {3}); });
  same("rms_norm", "rms", {"x", "weight"}, [](const Inputs& in) {
    return rms_norm(in[0], {2, 3}, in[1], real(1e-6));
  });
  same("group_norm", "group", all,
       [](const Inputs& in) { return group_norm(in[0], 2, in[1], in[2]); });
  same("group_norm", "group_one", {"x"}, [](const Inputs& in) { return group_norm(in[0], 1); });
  same("instance_norm", "instance", all,
       [](const Inputs& in) { return instance_norm(in[0], in[1], in[2]); });
}

TEST_CASE("batch_norm: what is kept for the backward pass is not what training moves") {
  Tensor mean = Tensor::from({1, 2}, {2}), var = Tensor::from({1, 4}, {2});
  const Variable x(random_tensor({3, 2}, 1), true);
  const Variable y = batch_norm(x, mean, var);
  batch_norm(x, mean, var, {}, {}, kTraining);
  CHECK(mean.to_vector() != std::vector<real>{1, 2});
  backward(sum(y));
  const double expected = 1 / std::sqrt(4 + 1e-5);
  CHECK(static_cast<double>(x.grad().at({0, 1})) == doctest::Approx(expected));
}

TEST_CASE("normalisation of equal values is the bias, of an empty batch nothing") {
  const Variable flat(Tensor::full({2, 3, 4}, 7), true);
  const Variable y = batch_norm(flat, {}, {}, {}, Tensor::ones({3}), kTraining);
  CHECK(y.value().to_vector() == std::vector<real>(24, 1));
  backward(sum(y));
  CHECK(flat.grad().to_vector() == std::vector<real>(24, 0));
  CHECK(layer_norm(Tensor({0, 3}), {3}).shape() == Shape{0, 3});
}

TEST_CASE("normalisation refuses what it cannot do") {
  const auto refused = [](const char* message, auto f) {
    CHECK_THROWS_WITH_AS(f(), message, std::invalid_argument);
  };
  const Tensor x({2, 3, 4}), three({3}), four({4});
  refused("batch_norm: must be [N, C, ..] and hold an element; got [3]",
          [&] { batch_norm(three, {}, {}); });
  refused("batch_norm: outside of training, running_mean and running_var must be defined",
          [&] { batch_norm(x, {}, {}); });
  refused("batch_norm: running_var must be [3]; got [4]", [&] { batch_norm(x, three, four); });
  refused("batch_norm: in training a channel must have two elements; got [1, 3]", [&] {
    batch_norm(Tensor({1, 3}), {}, {}, {}, {}, kTraining);
  });
  refused("batch_norm: momentum must be in 0 .. 1; got 2",
          [&] { batch_norm(x, {}, {}, {}, {}, {.training = true, .momentum = 2}); });
  refused("layer_norm: the last sizes of the input must be [3], and hold an element; got [2, 3, 4]",
          [&] { layer_norm(x, {3}); });
  refused("layer_norm: weight must be [4]; got [3]", [&] { layer_norm(x, {4}, three); });
  refused("rms_norm: epsilon must not be negative; got -1", [&] { rms_norm(x, {4}, {}, -1); });
  refused("group_norm: groups must divide the 3 channels; got 2", [&] { group_norm(x, 2); });
  refused("group_norm: bias must be [3]; got [4]", [&] { group_norm(x, 3, {}, four); });
  refused("instance_norm: a channel must have two elements; got [2, 3]", [&] {
    instance_norm(Tensor({2, 3}));
  });
}
