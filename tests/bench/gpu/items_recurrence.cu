// The ladder of the GRU's recurrence, without the products that come before and after it.

#include <string>
#include <vector>

#include "kernels/gru/cuda/recurrence.cuh"
#include "kernels/runtime/cuda/runtime.h"
#include "tests/bench/gpu/items.h"
#include "tests/bench/gpu/summary.h"

namespace serenade::bench {

namespace {

using cuda::DeviceArray;

constexpr int kBatch = 32, kSteps = 50, kHidden = 64, kDirections = 2, kGates = 3 * kHidden;

struct Version {
  const char* name;
  decltype(&cuda::recurrence_forward_v0_plain) forward;
  decltype(&cuda::recurrence_backward_v0_plain) backward;
};

const Version kLadder[] = {
    {"v0 plain", cuda::recurrence_forward_v0_plain, cuda::recurrence_backward_v0_plain},
    {"v1 registers", cuda::recurrence_forward_v1_registers, cuda::recurrence_backward_v1_registers},
    {"v2 split rows", cuda::recurrence_forward_v2_split_rows,
     cuda::recurrence_backward_v2_split_rows},
    {"v3 whole units", cuda::recurrence_forward_v3_whole_units,
     cuda::recurrence_backward_v3_whole_units}};

struct Filled {
  DeviceArray<real> array;
  explicit Filled(std::int64_t count, real value = 0) : array(count) {
    cuda::fill(array.data(), value, count);
  }
  real* data() const { return array.data(); }
};

// The arrays of all versions. Each run writes to `saved` what the next reads as projections:
// values between -1 and 1.
struct Problem {
  static constexpr std::int64_t kRows = std::int64_t{kDirections} * kBatch * kSteps;
  Filled y{kRows * kHidden}, saved{kRows * 4 * kHidden}, dy{kRows * kHidden, real(0.01)};
  Filled d_input{kRows * kGates}, d_recurrent{kRows * kGates}, previous{kRows * kHidden};
  Filled bias_sums{std::int64_t{kDirections} * kBatch * 4 * kHidden};
  Filled weight{std::int64_t{kGates} * kHidden, real(0.01)}, bias{kGates, real(0.1)};

  cuda::GruWeights weights() const { return {weight.data(), bias.data(), bias.data()}; }
  cuda::GruForwardArrays forward() const { return {y.data(), saved.data(), nullptr, nullptr}; }
  cuda::GruBackwardArrays backward() const {
    return {d_input.data(), d_recurrent.data(), previous.data(), bias_sums.data(), nullptr,
            dy.data(),      y.data(),           saved.data(),    nullptr,          nullptr};
  }
};

}  // namespace

void bench_recurrence(GpuReport& report) {
  const Problem p;
  const cuda::GruDimensions sizes{kBatch, kSteps, kHidden, kDirections, true, true};
  const double flops = 2.0 * Problem::kRows * kHidden * kGates;
  const double forward_bytes = sizeof(real) * Problem::kRows * kHidden * (4.0 + 4 + 1);
  const double backward_bytes = sizeof(real) * Problem::kRows * kHidden * (4.0 + 2 + 3 + 3 + 1);
  const std::string item = kRecurrenceItem;
  for (const Version& version : kLadder) {
    const bool last = &version == std::end(kLadder) - 1;  // the one in use
    const std::string suffix = last ? "" : std::string(", ") + version.name;
    report.row(
        item + ", forward" + suffix, kFloat32, flops, forward_bytes,
        device_microseconds([&] { version.forward(p.forward(), p.weights(), p.weights(), sizes); }),
        {});
    report.row(item + ", backward" + suffix, kFloat32, flops, backward_bytes,
               device_microseconds(
                   [&] { version.backward(p.backward(), p.weights(), p.weights(), sizes); }),
               {});
  }
}

}  // namespace serenade::bench
