// The ladder of the recurrent layers: 32 sequences of 100 steps, 256 or 64 units and as many
// inputs, one direction.

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "kernels/lstm/lstm.h"
#include "tests/bench/table.h"

namespace {

using serenade::real;
using serenade::RecurrentCell;

/// Everything one call of the kernels needs, filled with small fixed values.
struct Problem {
  serenade::LstmSizes sizes;
  std::vector<real> x, y, saved, dx, dy;
  std::vector<std::vector<real>> weights, gradients;  // W_ih, W_hh, b_ih, b_hh

  explicit Problem(const serenade::LstmSizes& s) : sizes(s) {
    const auto small_values = [](std::int64_t count, double scale) {
      std::vector<real> values(count);
      for (std::int64_t i = 0; i < count; ++i) {
        values[i] = static_cast<real>(scale * std::sin(1.7 * static_cast<double>(i)));
      }
      return values;
    };
    const std::int64_t steps = s.batch * s.steps, H = s.hidden, wide = s.gates() * H;
    x = small_values(steps * s.inputs, 1);
    dy = small_values(steps * H, 1);
    y.resize(dy.size());
    dx.resize(x.size());
    saved.resize(steps * s.saved_rows() * H);
    for (const std::int64_t count : {wide * s.inputs, wide * H, wide, wide}) {
      weights.push_back(small_values(count, 0.1));
      gradients.emplace_back(count);
    }
  }

  serenade::LstmParameters parameters() const {
    return {weights[0].data(), weights[1].data(), weights[2].data(), weights[3].data()};
  }

  template <class Kernel>
  void forward(Kernel kernel) {
    const serenade::LstmParameters given = parameters();
    kernel(y.data(), {}, saved.data(), x.data(), {}, &given, nullptr, sizes);
  }

  template <class Kernel>
  void backward(Kernel kernel) {
    const serenade::LstmParameters given = parameters();
    const serenade::LstmParameterGradients wanted = {gradients[0].data(), gradients[1].data(),
                                                     gradients[2].data(), gradients[3].data()};
    kernel(dx.data(), {}, &wanted, dy.data(), {}, y.data(), saved.data(), x.data(), {}, &given,
           nullptr, sizes);
  }
};

/// Counted operations: the products with W_ih and W_hh; backward has two for each of them.
double flops(const serenade::LstmSizes& s, bool backward) {
  const double rows = double(s.batch * s.steps), wide = double(s.gates() * s.hidden);
  return (backward ? 4.0 : 2.0) * rows * wide * double(s.inputs + s.hidden);
}

void measure(serenade::bench::LadderTable& table, const std::string& name,
             const serenade::LstmSizes& sizes) {
  namespace cpu = serenade::cpu;
  Problem problem(sizes);
  const std::string shape = name + ", N = 32, T = 100, D = H = " + std::to_string(sizes.hidden);
  table.row(shape, "forward", flops(sizes, false),
            {[&] { problem.forward(cpu::lstm_forward_v0_definition); },
             [&] { problem.forward(cpu::lstm_forward); }},
            1);
  table.row(shape, "backward", flops(sizes, true),
            {[&] { problem.backward(cpu::lstm_backward_v0_definition); },
             [&] { problem.backward(cpu::lstm_backward); }},
            1);
}

}  // namespace

int main(int argc, char** argv) {
  serenade::bench::LadderTable table("lstm", {"v0 definition", "v1 two moves"},
                                     argc > 1 ? argv[1] : "");
  for (const std::int64_t units : {256, 64}) {
    for (const auto& [name, cell] :
         {std::pair("lstm", RecurrentCell::lstm), std::pair("rnn (tanh)", RecurrentCell::tanh)}) {
      measure(table, name,
              {.batch = 32, .steps = 100, .inputs = units, .hidden = units, .cell = cell});
    }
  }
  table.write_json();
}
