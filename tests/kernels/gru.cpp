// The GRU in use against its definition, for all variants, instruction sets and thread counts.

#include "kernels/gru/gru.h"

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
  GruSizes sizes;
  std::vector<std::int64_t> lengths = {};
  bool two_biases = false;
  bool start = false;  ///< with h0
  real scale = real(0.5);
};

const std::vector<Case> kCases = {
    {"all sizes 1", {}},
    {"one direction", {.batch = 3, .steps = 5, .inputs = 4, .hidden = 7}},
    {"two directions, two biases, h0",
     {.batch = 5, .steps = 6, .inputs = 3, .hidden = 9, .directions = 2},
     {},
     true,
     true},
    {"lengths, h0",
     {.batch = 6, .steps = 7, .inputs = 5, .hidden = 4, .directions = 2},
     {7, 1, 4, 6, 2, 7},
     true,
     true},
    {"reset before",
     {.batch = 2, .steps = 8, .inputs = 6, .hidden = 5, .directions = 2, .reset_after = false}},
    {"reset before, lengths, h0",
     {.batch = 7, .steps = 5, .inputs = 2, .hidden = 17, .directions = 2, .reset_after = false},
     {1, 5, 3, 2, 4, 5, 1},
     false,
     true},
    // Weights small enough that gradients do not explode, which would amplify rounding.
    {"full panels",
     {.batch = 9, .steps = 12, .inputs = 33, .hidden = 64, .directions = 2},
     {},
     false,
     false,
     real(0.15)},
    {"full panels, reset before, lengths",
     {.batch = 9, .steps = 14, .inputs = 5, .hidden = 64, .directions = 2, .reset_after = false},
     {14, 3, 1, 9, 14, 2, 7, 7, 11},
     false,
     true,
     real(0.15)},
    {"saturated gates",
     {.batch = 4, .steps = 6, .inputs = 8, .hidden = 6, .directions = 2},
     {},
     false,
     true,
     real(40)},
};

/// All buffers of one forward and backward pass.
struct Pass {
  std::vector<real> y, saved, dx, dh0;
  std::vector<std::vector<real>> gradients;  // W_ih, W_hh, b_ih, b_hh per direction
};

std::vector<real> numbers(std::int64_t count, std::uint64_t seed, real scale) {
  return random_tensor({count}, seed, scale).to_vector();
}

/// Runs a pair of kernels. Gradient buffers start at 1, since kernels must add to what is there; y
/// and saved start at NaN, since they must be written whole.
template <class Forward, class Backward>
Pass run(const Case& c, Forward forward, Backward backward) {
  const GruSizes& s = c.sizes;
  const std::int64_t rows = s.batch * s.steps, H = s.hidden;
  const std::vector<real> x = numbers(rows * s.inputs, 1, c.scale);
  const std::vector<real> dy = numbers(rows * s.directions * H, 2, 1);
  const std::vector<real> h0 = numbers(s.directions * s.batch * H, 3, 1);
  std::vector<std::vector<real>> weights;
  Pass pass;
  for (std::int64_t k = 0; k < s.directions; ++k) {
    for (const std::int64_t count : {3 * H * s.inputs, 3 * H * H, 3 * H, 3 * H}) {
      weights.push_back(numbers(count, 10 + weights.size(), c.scale));
      pass.gradients.emplace_back(count, real(1));
    }
  }
  std::vector<GruParameters> parameters;
  std::vector<GruParameterGradients> gradients;
  for (std::int64_t k = 0; k < s.directions; ++k) {
    const auto* w = &weights[4 * k];
    auto* g = &pass.gradients[4 * k];
    parameters.push_back(
        {w[0].data(), w[1].data(), w[2].data(), c.two_biases ? w[3].data() : nullptr});
    gradients.push_back(
        {g[0].data(), g[1].data(), g[2].data(), c.two_biases ? g[3].data() : nullptr});
  }
  const real* start = c.start ? h0.data() : nullptr;
  const std::int64_t* lengths = c.lengths.empty() ? nullptr : c.lengths.data();
  pass.y.assign(dy.size(), NAN);
  pass.saved.assign(s.directions * rows * 4 * H, NAN);
  pass.dx.assign(x.size(), real(1));
  pass.dh0.assign(h0.size(), real(1));
  forward(pass.y.data(), pass.saved.data(), x.data(), start, parameters.data(), lengths, s);
  backward(pass.dx.data(), pass.dh0.data(), gradients.data(), dy.data(), pass.y.data(),
           pass.saved.data(), x.data(), start, parameters.data(), lengths, s);
  return pass;
}

Pass run_v0(const Case& c) {
  return run(c, cpu::gru_forward_v0_definition, cpu::gru_backward_v0_definition);
}

Pass run_v1(const Case& c) { return run(c, cpu::gru_forward, cpu::gru_backward); }

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
  check_near("dx", got.dx, wanted.dx);
  check_near("dh0", got.dh0, wanted.dh0);
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

TEST_CASE("gru: the version in use equals the definition, on every instruction set") {
  const RestoreIsa restore;
  for (const cpu::Isa isa : {cpu::Isa::baseline, cpu::Isa::avx2, cpu::Isa::avx512}) {
    if (!cpu::isa_supported(isa)) continue;
    cpu::set_active_isa(isa);
    for (const Case& c : kCases) {
      INFO(std::string(cpu::to_string(isa)), ": ", c.name);
      check_same(run_v1(c), run_v0(c));
    }
  }
}

TEST_CASE("gru: the same bits with one, two and three threads") {
  const RestoreThreads restore;
  for (const Case& c : kCases) {
    INFO(c.name);
    cpu::set_threads(1);
    const Pass one = run_v1(c);
    for (const int threads : {2, 3}) {
      cpu::set_threads(threads);
      const Pass many = run_v1(c);
      CHECK(many.y == one.y);
      CHECK(many.dx == one.dx);
      CHECK(many.dh0 == one.dh0);
      CHECK(many.gradients == one.gradients);
    }
  }
}

TEST_CASE("gru: padded steps give zero and send nothing back") {
  const Case padded = kCases[3];
  const Pass batch = run_v1(padded);
  const std::int64_t row = 2, length = padded.lengths[row], T = padded.sizes.steps;
  const std::int64_t width = padded.sizes.directions * padded.sizes.hidden;
  for (std::int64_t t = length; t < T; ++t) {
    for (std::int64_t j = 0; j < width; ++j) CHECK(batch.y[(row * T + t) * width + j] == 0);
    for (std::int64_t j = 0; j < padded.sizes.inputs; ++j) {
      CHECK(batch.dx[(row * T + t) * padded.sizes.inputs + j] == 1);  // as it was
    }
  }
}

TEST_CASE("gru: a NaN in x reaches y, so that training notices") {
  const GruSizes sizes{.batch = 1, .steps = 3, .inputs = 1, .hidden = 1};
  const std::vector<real> x = {0, NAN, 0}, w(3, real(0.5));
  const GruParameters parameters{w.data(), w.data(), w.data(), nullptr};
  std::vector<real> y(3), saved(12);
  cpu::gru_forward(y.data(), saved.data(), x.data(), nullptr, &parameters, nullptr, sizes);
  CHECK(std::isfinite(y[0]));
  CHECK(std::isnan(y[1]));
  CHECK(std::isnan(y[2]));
}
