// The recurrent layers in use against their definition, for all cells, instruction sets and thread
// counts.

#include "kernels/lstm/lstm.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/threads.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

struct Case {
  std::string name;
  LstmSizes sizes;
  std::vector<std::int64_t> lengths = {};
  bool biases = true;
  bool states = false;  ///< with states before, and gradients of those after
  real scale = real(0.5);
};

const std::vector<Case> kCases = {
    {"all sizes 1", {}},
    {"one direction", {.batch = 3, .steps = 5, .inputs = 4, .hidden = 7}, {}, false},
    {"two directions, states",
     {.batch = 5, .steps = 6, .inputs = 3, .hidden = 9, .directions = 2},
     {},
     true,
     true},
    {"lengths, states",
     {.batch = 11, .steps = 7, .inputs = 5, .hidden = 4, .directions = 2},
     {7, 1, 4, 6, 2, 7, 3, 3, 5, 1, 7},
     true,
     true},
    // Weights small enough that gradients do not explode, which would amplify rounding.
    {"full panels",
     {.batch = 9, .steps = 12, .inputs = 33, .hidden = 64, .directions = 2},
     {},
     true,
     false,
     real(0.1)},
    {"weights that fill a cache, groups of sixteen",
     {.batch = 131, .steps = 2, .inputs = 3, .hidden = 183},
     {},
     true,
     true,
     real(0.05)},
    {"saturated gates",
     {.batch = 4, .steps = 6, .inputs = 8, .hidden = 6, .directions = 2},
     {},
     true,
     true,
     real(40)},
};

/// All cases with all cells, but for a relu that grows without bound.
std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const RecurrentCell cell : {RecurrentCell::lstm, RecurrentCell::tanh, RecurrentCell::relu}) {
    for (Case c : kCases) {
      if (cell == RecurrentCell::relu && c.scale > 1) continue;
      c.sizes.cell = cell;
      c.name += ", cell " + std::to_string(static_cast<int>(cell));
      all.push_back(c);
    }
  }
  return all;
}

/// All buffers of one forward and backward pass.
struct Pass {
  std::vector<real> y, saved, last, dx, d_start;  // last, d_start: of h, then of c
  std::vector<std::vector<real>> gradients;       // W_ih, W_hh, b_ih, b_hh per direction
};

std::vector<real> numbers(std::int64_t count, std::uint64_t seed, real scale) {
  return random_tensor({count}, seed, scale).to_vector();
}

template <class Pointer>
StatePointers<Pointer> halves(Pointer states, const LstmSizes& s) {
  const std::int64_t half = s.directions * s.batch * s.hidden;
  return {states, s.has_cell_state() ? states + half : nullptr};
}

/// Runs a pair of kernels. Gradient buffers start at 1, since kernels must add to what is there;
/// results start at NaN, since they must be written whole.
template <class Forward, class Backward>
Pass run(const Case& c, Forward forward, Backward backward) {
  const LstmSizes& s = c.sizes;
  const std::int64_t rows = s.batch * s.steps, H = s.hidden, wide = s.gates() * H;
  const std::int64_t states = (s.has_cell_state() ? 2 : 1) * s.directions * s.batch * H;
  const std::vector<real> x = numbers(rows * s.inputs, 1, c.scale);
  const std::vector<real> dy = numbers(rows * s.directions * H, 2, 1);
  const std::vector<real> start = numbers(states, 3, 1), d_last = numbers(states, 4, 1);
  std::vector<std::vector<real>> weights;
  Pass pass;
  for (std::int64_t k = 0; k < s.directions; ++k) {
    for (const std::int64_t count : {wide * s.inputs, wide * H, wide, wide}) {
      weights.push_back(numbers(count, 10 + weights.size(), c.scale));
      pass.gradients.emplace_back(count, real(1));
    }
  }
  std::vector<LstmParameters> parameters;
  std::vector<LstmParameterGradients> gradients;
  for (std::int64_t k = 0; k < s.directions; ++k) {
    const auto* w = &weights[4 * k];
    auto* g = &pass.gradients[4 * k];
    parameters.push_back({w[0].data(), w[1].data(), c.biases ? w[2].data() : nullptr,
                          c.biases ? w[3].data() : nullptr});
    gradients.push_back({g[0].data(), g[1].data(), c.biases ? g[2].data() : nullptr,
                         c.biases ? g[3].data() : nullptr});
  }
  const std::int64_t* lengths = c.lengths.empty() ? nullptr : c.lengths.data();
  pass.y.assign(dy.size(), NAN);
  pass.saved.assign(s.directions * rows * s.saved_rows() * H, NAN);
  pass.last.assign(c.states ? states : 0, NAN);
  pass.dx.assign(x.size(), real(1));
  pass.d_start.assign(c.states ? states : 0, real(1));
  StatePointers<const real*> given, d_given;
  StatePointers<real*> last, d_start;
  if (c.states) {
    given = halves(start.data(), s);
    d_given = halves(d_last.data(), s);
    last = halves(pass.last.data(), s);
    d_start = halves(pass.d_start.data(), s);
  }
  forward(pass.y.data(), last, pass.saved.data(), x.data(), given, parameters.data(), lengths, s);
  backward(pass.dx.data(), d_start, gradients.data(), dy.data(), d_given, pass.y.data(),
           pass.saved.data(), x.data(), given, parameters.data(), lengths, s);
  return pass;
}

Pass run_v0(const Case& c) {
  return run(c, cpu::lstm_forward_v0_definition, cpu::lstm_backward_v0_definition);
}

Pass run_v1(const Case& c) { return run(c, cpu::lstm_forward, cpu::lstm_backward); }

void check_near(const std::string& what, const std::vector<real>& got,
                const std::vector<real>& wanted) {
  INFO(what);
  const double tolerance = sizeof(real) == 8 ? 1e-12 : 2e-5;
  double scale = 1, worst = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    scale = std::max(scale, std::abs(static_cast<double>(wanted[i])));
    const double error = std::abs(static_cast<double>(got[i]) - static_cast<double>(wanted[i]));
    worst = error <= worst ? worst : error;  // keeps a NaN
  }
  CHECK(worst <= tolerance * scale);
}

void check_same(const Pass& got, const Pass& wanted) {
  check_near("y", got.y, wanted.y);
  check_near("saved", got.saved, wanted.saved);
  check_near("last", got.last, wanted.last);
  check_near("dx", got.dx, wanted.dx);
  check_near("d_start", got.d_start, wanted.d_start);
  for (std::size_t i = 0; i < wanted.gradients.size(); ++i) {
    check_near("parameter " + std::to_string(i), got.gradients[i], wanted.gradients[i]);
  }
}

/// Puts the chosen instruction set back.
struct RestoreIsa {
  cpu::Isa before = cpu::active_isa();
  ~RestoreIsa() { cpu::set_active_isa(before); }
};

/// Puts the number of threads back.
struct RestoreThreads {
  int before = cpu::thread_count();
  ~RestoreThreads() { cpu::set_threads(before); }
};

}  // namespace

TEST_CASE("lstm: the version in use equals the definition, on every instruction set") {
  const RestoreIsa restore;
  for (const cpu::Isa isa : {cpu::Isa::baseline, cpu::Isa::avx2, cpu::Isa::avx512}) {
    if (!cpu::isa_supported(isa)) continue;
    cpu::set_active_isa(isa);
    for (const Case& c : all_cases()) {
      INFO(std::string(cpu::to_string(isa)), ": ", c.name);
      check_same(run_v1(c), run_v0(c));
    }
  }
}

TEST_CASE("lstm: the same bits with one, two and three threads") {
  const RestoreThreads restore;
  for (const Case& c : all_cases()) {
    INFO(c.name);
    cpu::set_threads(1);
    const Pass one = run_v1(c);
    for (const int threads : {2, 3}) {
      cpu::set_threads(threads);
      const Pass many = run_v1(c);
      CHECK(many.y == one.y);
      CHECK(many.last == one.last);
      CHECK(many.dx == one.dx);
      CHECK(many.d_start == one.d_start);
      CHECK(many.gradients == one.gradients);
    }
  }
}

TEST_CASE("lstm: padded steps give zero and send nothing back; the last state is the last valid") {
  const Case& padded = kCases[3];
  const Pass batch = run_v1(padded);
  const LstmSizes& s = padded.sizes;
  const std::int64_t row = 2, length = padded.lengths[row], T = s.steps, H = s.hidden;
  const std::int64_t width = s.directions * H;
  for (std::int64_t t = length; t < T; ++t) {
    for (std::int64_t j = 0; j < width; ++j) CHECK(batch.y[(row * T + t) * width + j] == 0);
    for (std::int64_t j = 0; j < s.inputs; ++j) {
      CHECK(batch.dx[(row * T + t) * s.inputs + j] == 1);  // as it was
    }
  }
  for (std::int64_t j = 0; j < H; ++j) {
    CHECK(batch.last[row * H + j] == batch.y[(row * T + length - 1) * width + j]);
    CHECK(batch.last[(s.batch + row) * H + j] == batch.y[row * T * width + H + j]);
  }
}

TEST_CASE("lstm: a NaN in x reaches y, so that training notices") {
  for (const RecurrentCell cell : {RecurrentCell::lstm, RecurrentCell::tanh, RecurrentCell::relu}) {
    const LstmSizes sizes{.batch = 1, .steps = 3, .inputs = 1, .hidden = 1, .cell = cell};
    const std::vector<real> x = {0, NAN, 0}, w(4, real(0.5));
    const LstmParameters parameters{w.data(), w.data(), w.data(), nullptr};
    std::vector<real> y(3), saved(15);
    cpu::lstm_forward(y.data(), {}, saved.data(), x.data(), {}, &parameters, nullptr, sizes);
    CHECK(std::isfinite(y[0]));
    CHECK(std::isnan(y[1]));
    CHECK(std::isnan(y[2]));
  }
}
