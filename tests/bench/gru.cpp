// The ladder of the GRU at the sizes of the recogniser: 16 sequences or one, 2,048 inputs (the
// paper's spectrogram), 96 (200 bins) or 32 (64 mel bands), 64 hidden units, two directions.

#include <cmath>
#include <string>
#include <vector>

#include "kernels/gru/gru.h"
#include "tests/bench/table.h"

namespace {

using serenade::real;

/// Everything one call of the kernels needs, filled with small fixed values.
struct Problem {
  serenade::GruSizes sizes;
  std::vector<real> x, y, saved, dx, dy;
  std::vector<std::vector<real>> weights, gradients;  // per direction: W_ih, W_hh, b_ih
  std::vector<serenade::GruParameters> parameters;
  std::vector<serenade::GruParameterGradients> parameter_gradients;

  explicit Problem(const serenade::GruSizes& s) : sizes(s) {
    const auto small_values = [](std::int64_t count, double scale) {
      std::vector<real> values(count);
      for (std::int64_t i = 0; i < count; ++i) {
        values[i] = static_cast<real>(scale * std::sin(1.7 * static_cast<double>(i)));
      }
      return values;
    };
    const std::int64_t steps = s.batch * s.steps, H = s.hidden;
    x = small_values(steps * s.inputs, 1);
    dy = small_values(steps * s.directions * H, 1);
    y.resize(dy.size());
    dx.resize(x.size());
    saved.resize(s.directions * steps * 4 * H);
    for (std::int64_t k = 0; k < s.directions; ++k) {
      const std::int64_t counts[] = {3 * H * s.inputs, 3 * H * H, 3 * H};
      for (const std::int64_t count : counts) {
        weights.push_back(small_values(count, 0.1));
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

/// Counted operations: the products with W_ih and W_hh; backward has two for each of them.
double flops(const serenade::GruSizes& s, bool backward) {
  const double rows = double(s.batch * s.steps * s.directions);
  return (backward ? 4.0 : 2.0) * rows * double(3 * s.hidden) * double(s.inputs + s.hidden);
}

void measure(serenade::bench::LadderTable& table, const serenade::GruSizes& sizes) {
  namespace cpu = serenade::cpu;
  Problem problem(sizes);
  const std::string shape = "N = " + std::to_string(sizes.batch) +
                            ", T = " + std::to_string(sizes.steps) +
                            ", D = " + std::to_string(sizes.inputs) +
                            ", H = " + std::to_string(sizes.hidden) + ", two directions";
  table.row(shape, "forward", flops(sizes, false),
            {[&] { problem.forward(cpu::gru_forward_v0_definition); },
             [&] { problem.forward(cpu::gru_forward); }},
            1);
  table.row(shape, "backward", flops(sizes, true),
            {[&] { problem.backward(cpu::gru_backward_v0_definition); },
             [&] { problem.backward(cpu::gru_backward); }},
            1);
}

}  // namespace

int main(int argc, char** argv) {
  serenade::bench::LadderTable table("gru", {"v0 definition", "v1 three moves"},
                                     argc > 1 ? argv[1] : "");
  for (const std::int64_t inputs : {2048, 96, 32}) {
    for (const std::int64_t batch : {16, 1}) {
      measure(table,
              {.batch = batch, .steps = 50, .inputs = inputs, .hidden = 64, .directions = 2});
    }
  }
  table.write_json();
}
