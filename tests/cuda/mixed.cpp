#include "kernels/mixed/mixed.h"

#include <algorithm>
#include <memory>

#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

struct Kernel {
  std::int64_t height, width, offset_h, offset_w, coefficient;
  bool wants_gradient = true;
};

struct Layer {
  const char* what;
  std::int64_t planes, height, width;
  std::vector<Kernel> kernels;
};

const Layer kLayers[] = {
    {"one candidate that fills its box", 1, 1, 1, {{1, 1, 0, 0, 0}}},
    {"two crossed ones", 3, 8, 8, {{2, 8, 3, 0, 1}, {8, 2, 0, 3, 0}}},
    {"several blocks, one without a gradient",
     70,
     6,
     6,
     {{6, 6, 0, 0, 2}, {3, 3, 1, 1, 0, false}, {5, 5, 0, 0, 3}, {1, 1, 2, 2, 1}}},
    {"two that share a coefficient", 4, 3, 5, {{3, 3, 0, 1, 1}, {1, 5, 1, 0, 0}, {3, 1, 0, 2, 1}}},
    {"none", 2, 3, 3, {}},
};

constexpr std::int64_t kCoefficients = 5;  // one more than any layer uses

// The same layer's candidates in memory of the host or of the device.
struct Candidates {
  std::vector<MixedCandidate> table;
  std::vector<Values> weights, dweights;  // values to begin with

  explicit Candidates(const Layer& layer) {
    std::uint64_t seed = 10;
    for (const Kernel& k : layer.kernels) {
      const std::int64_t count = layer.planes * k.height * k.width;
      weights.push_back(random_values(count, seed++));
      dweights.push_back(random_values(count, seed++));
      table.push_back({.kernel_h = k.height,
                       .kernel_w = k.width,
                       .offset_h = k.offset_h,
                       .offset_w = k.offset_w,
                       .coefficient = k.coefficient});
    }
  }
};

std::int64_t count_of(const Layer& layer) {
  return static_cast<std::int64_t>(layer.kernels.size());
}

void append(Values& all, const Values& more) { all.insert(all.end(), more.begin(), more.end()); }

}  // namespace

TEST_CASE("cuda mixed: merging the kernels of candidates") {
  for (const Layer& layer : kLayers) {
    CAPTURE(layer.what);
    const Candidates candidates(layer);
    const Values coefficients = random_values(kCoefficients, 1);
    Values expected(static_cast<std::size_t>(layer.planes * layer.height * layer.width));
    std::vector<MixedCandidate> table = candidates.table;
    for (std::size_t q = 0; q < table.size(); ++q) table[q].weight = candidates.weights[q].data();
    cpu::mixed_kernel_forward(expected.data(), table.data(), count_of(layer), coefficients.data(),
                              layer.planes, layer.height, layer.width);
    const Values merged = run_repeatedly([&] {
      std::vector<std::unique_ptr<DeviceValues>> weights;
      for (std::size_t q = 0; q < table.size(); ++q) {
        weights.push_back(std::make_unique<DeviceValues>(candidates.weights[q]));
        table[q].weight = weights[q]->data();
      }
      const DeviceValues result(expected.size()), c(coefficients);
      cuda::mixed_kernel_forward(result.data(), table.data(), count_of(layer), c.data(),
                                 layer.planes, layer.height, layer.width);
      return result.values();
    });
    CHECK(relative_error(merged, expected) < kForwardTolerance);
  }
}

TEST_CASE("cuda mixed: gradients of candidates and coefficients") {
  for (const Layer& layer : kLayers) {
    for (const bool wants_coefficients : {true, false}) {
      CAPTURE(layer.what);
      CAPTURE(wants_coefficients);
      const Candidates candidates(layer);
      const Values coefficients = random_values(kCoefficients, 1);
      const Values before = random_values(kCoefficients, 2);
      const Values dmerged = random_values(layer.planes * layer.height * layer.width, 3);

      std::vector<MixedCandidate> table = candidates.table;
      std::vector<Values> dweights = candidates.dweights;
      Values dcoefficients = before;
      for (std::size_t q = 0; q < table.size(); ++q) {
        table[q].weight = candidates.weights[q].data();
        table[q].dweight = layer.kernels[q].wants_gradient ? dweights[q].data() : nullptr;
      }
      cpu::mixed_kernel_backward(wants_coefficients ? dcoefficients.data() : nullptr, table.data(),
                                 count_of(layer), dmerged.data(), coefficients.data(), layer.planes,
                                 layer.height, layer.width);
      Values expected = dcoefficients;
      for (const Values& dweight : dweights) append(expected, dweight);

      const Values actual = run_repeatedly([&] {
        std::vector<std::unique_ptr<DeviceValues>> on_device;  // weight, dweight, weight, ...
        for (std::size_t q = 0; q < table.size(); ++q) {
          on_device.push_back(std::make_unique<DeviceValues>(candidates.weights[q]));
          table[q].weight = on_device.back()->data();
          on_device.push_back(std::make_unique<DeviceValues>(candidates.dweights[q]));
          table[q].dweight = layer.kernels[q].wants_gradient ? on_device.back()->data() : nullptr;
        }
        const DeviceValues d(before), c(coefficients), du(dmerged);
        cuda::mixed_kernel_backward(wants_coefficients ? d.data() : nullptr, table.data(),
                                    count_of(layer), du.data(), c.data(), layer.planes,
                                    layer.height, layer.width);
        Values all = d.values();
        for (std::size_t q = 0; q < table.size(); ++q) append(all, on_device[2 * q + 1]->values());
        return all;
      });
      CHECK(relative_error(actual, expected) < kGradientTolerance);
    }
  }
}
