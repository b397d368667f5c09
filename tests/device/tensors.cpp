// Tensors and modules that live on the device.

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/checkpoint.h"
#include "nn/linear.h"
#include "nn/optim.h"
#include "tensor/random.h"
#include "tests/op_case.h"

using namespace serenade;

TEST_CASE("device: tensors go there and come back, views and single elements too") {
  const Tensor x = random_tensor({3, 4, 5}, 1);
  const Tensor there = x.to(Device::cuda);
  CHECK(there.device() == Device::cuda);
  CHECK(there.to_vector() == x.to_vector());
  CHECK(there.at({2, 1, 3}) == x.at({2, 1, 3}));
  CHECK(there.permute({2, 0, 1}).to_vector() == x.permute({2, 0, 1}).to_vector());
  CHECK(there.slice(1, 1, 2).clone().to_vector() == x.slice(1, 1, 2).to_vector());
  CHECK(Tensor::from({1, 2, 3}, {3}, Device::cuda).to_vector() == std::vector<real>{1, 2, 3});
  CHECK(Tensor({2, 2}, Device::cuda).to_vector() == std::vector<real>(4, 0));
  Tensor part = there.clone();
  Tensor row = part.slice(0, 1, 1);
  row.copy_(Tensor::ones({1, 4, 5}));
  CHECK(part.at({1, 2, 3}) == 1);
  CHECK(part.at({0, 2, 3}) == x.at({0, 2, 3}));
  CHECK(Tensor({0, 3}, Device::cuda).to_vector().empty());
}

TEST_CASE("device: inputs on two devices are refused in one line") {
  const Variable here(random_tensor({2, 2}, 1)), there(random_tensor({2, 2}, 2).to(Device::cuda));
  try {
    add(here, there);
    FAIL("must throw");
  } catch (const std::invalid_argument& error) {
    CHECK(std::string(error.what()) ==
          "add: all inputs must be on one device, and some are on the cpu, some on cuda; move them "
          "with to()");
  }
  CHECK_THROWS_AS(matmul(here, there), std::invalid_argument);
  CHECK_THROWS_AS(linear(there, here), std::invalid_argument);
  CHECK_THROWS_AS(concat({here, there}, 0), std::invalid_argument);
}

TEST_CASE("device: a module's weights move with it, and a file holds them wherever they are") {
  manual_seed(3);
  Linear layer({.in_features = 3, .out_features = 2});
  const Variable x(random_tensor({4, 3}, 5));
  const std::vector<real> expected = layer.forward(x).value().to_vector();
  CHECK(layer.device() == Device::cpu);
  layer.to(Device::cuda);
  CHECK(layer.device() == Device::cuda);
  const Tensor y = layer.forward(Variable(x.value().to(Device::cuda))).value();
  CHECK(all_close(y, Tensor::from(expected, {4, 2}), 1e-5, 1e-6));
  const std::string path =
      (std::filesystem::temp_directory_path() / "serenade_device_module.safetensors").string();
  save_model(path, layer);
  Linear other({.in_features = 3, .out_features = 2});
  load_model(path, other);
  std::filesystem::remove(path);
  CHECK(other.forward(x).value().to_vector() == expected);
}
