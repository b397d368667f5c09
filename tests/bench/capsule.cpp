// How fast is the capsule layer? Prints the ladder, forward and backward, at the sizes of the
// window capsules: 16 utterances of 2 seconds are 144 windows.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

#include "kernels/capsule.h"
#include "tensor/random.h"
#include "tensor/tensor.h"

using namespace serenade;

namespace {

/// Median of the times of `repetitions` runs in milliseconds, after one that is not counted.
double median_ms(int repetitions, const std::function<void()>& run) {
  run();
  std::vector<double> times;
  for (int i = 0; i < repetitions; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double, std::milli> taken =
        std::chrono::steady_clock::now() - start;
    times.push_back(taken.count());
  }
  std::nth_element(times.begin(), times.begin() + repetitions / 2, times.end());
  return times[static_cast<std::size_t>(repetitions / 2)];
}

Tensor random(Shape shape, std::uint64_t step) {
  Tensor tensor = Tensor::empty(std::move(shape));
  fill_normal_(tensor, 0, real(0.3), {1, Purpose::test, step});
  return tensor;
}

void measure(std::int64_t in_capsules) {
  const CapsuleShape p{.N = 144, .I = in_capsules, .D = 8, .J = 8, .O = 8};
  const Tensor u = random({p.N, p.I, p.D}, 1), weight = random({p.I, p.J, p.D, p.O}, 2);
  const Tensor bias = random({p.J, p.O}, 3), dv = random({p.N, p.J, p.O}, 4);
  Tensor v({p.N, p.J, p.O}), s({p.N, p.iterations, p.J, p.O});
  Tensor du(u.shape()), dweight(weight.shape()), dbias(bias.shape());
  const auto forward = [&](auto kernel) {
    return [&, kernel] { kernel(v.data(), s.data(), u.data(), weight.data(), bias.data(), p); };
  };
  const auto backward = [&](auto kernel) {
    return [&, kernel] {
      kernel(du.data(), dweight.data(), dbias.data(), dv.data(), s.data(), u.data(), weight.data(),
             p);
    };
  };
  const double forward_v0 = median_ms(5, forward(cpu::capsule_layer_forward_v0_stored_votes));
  const double backward_v0 = median_ms(5, backward(cpu::capsule_layer_backward_v0_stored_votes));
  const double forward_v1 = median_ms(21, forward(cpu::capsule_layer_forward));
  const double backward_v1 = median_ms(21, backward(cpu::capsule_layer_backward));
  std::printf("144 x %4lld x 8 -> 8 x 8, 3 iterations, ms (median)\n",
              static_cast<long long>(in_capsules));
  std::printf("  %-18s forward %8.2f   backward %8.2f\n", "v0 stored votes", forward_v0,
              backward_v0);
  std::printf("  %-18s forward %8.2f   backward %8.2f\n", "v1 in use", forward_v1, backward_v1);
  std::printf("  %-18s         %8.1f            %8.1f\n", "ratio", forward_v0 / forward_v1,
              backward_v0 / backward_v1);
}

}  // namespace

int main() {
  measure(1280);
  measure(80);
}
