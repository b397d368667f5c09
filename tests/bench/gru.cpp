// Times the GRU's ladder: v0, the definition, and v1, the version in use. Prints medians; times on
// a shared machine drift, so versions take turns and only ratios within one run mean something.
//
//   bench_gru [repetitions]

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "kernels/gru.h"

namespace {

using serenade::real;

/// Everything one call of the kernels needs, filled with small fixed numbers.
struct Problem {
  serenade::GruSizes sizes;
  std::vector<real> x, y, saved, dx, dy;
  std::vector<std::vector<real>> weights, gradients;  // per direction: W_ih, W_hh, b_ih
  std::vector<serenade::GruParameters> parameters;
  std::vector<serenade::GruParameterGradients> parameter_gradients;

  explicit Problem(const serenade::GruSizes& s) : sizes(s) {
    const auto numbers = [](std::int64_t count, double scale) {
      std::vector<real> values(count);
      for (std::int64_t i = 0; i < count; ++i) {
        values[i] = static_cast<real>(scale * std::sin(1.7 * static_cast<double>(i)));
      }
      return values;
    };
    const std::int64_t steps = s.batch * s.steps, H = s.hidden;
    x = numbers(steps * s.inputs, 1);
    dy = numbers(steps * s.directions * H, 1);
    y.resize(dy.size());
    dx.resize(x.size());
    saved.resize(s.directions * steps * 4 * H);
    for (std::int64_t k = 0; k < s.directions; ++k) {
      const std::int64_t counts[] = {3 * H * s.inputs, 3 * H * H, 3 * H};
      for (const std::int64_t count : counts) {
        weights.push_back(numbers(count, 0.1));
        gradients.emplace_back(count);
      }
    }
    for (std::int64_t k = 0; k < s.directions; ++k) {
      parameters.push_back({.weight_ih = weights[3 * k].data(),
                            .weight_hh = weights[3 * k + 1].data(),
                            .bias_ih = weights[3 * k + 2].data()});
      parameter_gradients.push_back({.weight_ih = gradients[3 * k].data(),
                                     .weight_hh = gradients[3 * k + 1].data(),
                                     .bias_ih = gradients[3 * k + 2].data()});
    }
  }

  template <class Kernel>
  void forward(Kernel kernel) {
    kernel(y.data(), saved.data(), x.data(), nullptr, parameters.data(), nullptr, sizes);
  }

  template <class Kernel>
  void backward(Kernel kernel) {
    kernel(dx.data(), nullptr, parameter_gradients.data(), dy.data(), y.data(), saved.data(),
           x.data(), nullptr, parameters.data(), nullptr, sizes);
  }
};

double milliseconds(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void time_ladder(const serenade::GruSizes& sizes, int repetitions) {
  namespace cpu = serenade::cpu;
  Problem problem(sizes);
  std::vector<double> forward_v0, backward_v0, forward_v1, backward_v1;
  for (int i = 0; i < repetitions; ++i) {
    if (i % 5 == 0) {  // v0 is so slow that a fifth of the repetitions will do
      forward_v0.push_back(milliseconds([&] { problem.forward(cpu::gru_forward_v0_definition); }));
      backward_v0.push_back(
          milliseconds([&] { problem.backward(cpu::gru_backward_v0_definition); }));
    }
    forward_v1.push_back(milliseconds([&] { problem.forward(cpu::gru_forward); }));
    backward_v1.push_back(milliseconds([&] { problem.backward(cpu::gru_backward); }));
  }
  std::printf("%4lld %4lld %5lld %4lld %11.2f %9.2f %12.2f %9.2f\n",
              static_cast<long long>(sizes.batch), static_cast<long long>(sizes.steps),
              static_cast<long long>(sizes.inputs), static_cast<long long>(sizes.hidden),
              median(forward_v0), median(forward_v1), median(backward_v0), median(backward_v1));
}

}  // namespace

int main(int argc, char** argv) {
  const int repetitions = argc > 1 ? std::max(1, std::atoi(argv[1])) : 25;
  std::printf("GRU, two directions, one bias; medians in ms\n");
  std::printf("   N    T     D    H  forward v0        v1  backward v0        v1\n");
  for (const std::int64_t inputs : {2048, 96}) {
    for (const std::int64_t batch : {16, 1}) {
      time_ladder({.batch = batch, .steps = 50, .inputs = inputs, .hidden = 64, .directions = 2},
                  repetitions);
    }
  }
  return 0;
}
