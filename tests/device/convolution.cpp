// Branches of convolutions large enough to be written into one map, and their gradients, on the
// device as on the CPU.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

// The map, then the gradients of x and of the weight and bias of each branch.
std::vector<Tensor> map_and_gradients(Device device) {
  std::vector<Variable> in;
  for (const Shape& shape : {Shape{2, 1, 512, 33}, {8, 1, 2, 8}, {8}, {8, 1, 8, 2}, {8}}) {
    in.emplace_back(random_tensor(shape, in.size()).to(device), true);
  }
  const Variable y = conv2d_relu_maxpool_branches(in[0], {{in[1], in[2]}, {in[3], in[4]}}, {2, 1});
  const Variable dy(random_tensor(y.shape(), 9).to(device));
  std::vector<Tensor> results = {y.value().to(Device::cpu)};
  for (const Variable& gradient : grad(sum(y * dy), in)) {
    results.push_back(gradient.value().to(Device::cpu));
  }
  return results;
}

}  // namespace

TEST_CASE("device: branches of convolutions in one map") {
  const std::vector<Tensor> device = map_and_gradients(Device::cuda);
  const std::vector<Tensor> cpu = map_and_gradients(Device::cpu);
  REQUIRE(device.size() == cpu.size());
  for (std::size_t i = 0; i < cpu.size(); ++i) {
    check_close(device[i], cpu[i], "result " + std::to_string(i), 1e-5);
  }
}
