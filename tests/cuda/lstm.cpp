// The recurrent layers on the device against the CPU's definition: all cells, both directions, with
// and without lengths, biases and states.

#include "kernels/lstm/lstm.h"

#include <cmath>
#include <limits>
#include <memory>

#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

struct Case {
  LstmSizes sizes;
  std::vector<std::int64_t> lengths = {};
  bool biases = true;
  bool states = true;  ///< before, and gradients of those after
};

std::size_t state_count(const LstmSizes& s) {
  return static_cast<std::size_t>((s.has_cell_state() ? 2 : 1) * s.directions * s.batch * s.hidden);
}

template <class Pointer>
StatePointers<Pointer> halves(Pointer states, const Case& c) {
  if (!c.states) return {};
  const LstmSizes& s = c.sizes;
  return {states, s.has_cell_state() ? states + s.directions * s.batch * s.hidden : nullptr};
}

/// The arrays of a case: weights W_ih, W_hh, b_ih, b_hh of each direction.
struct Inputs {
  Values x, dy, start, d_last;
  std::vector<Values> weights;

  explicit Inputs(const Case& c) {
    const LstmSizes& s = c.sizes;
    const std::int64_t H = s.hidden, wide = s.gates() * H;
    x = random_values(s.batch * s.steps * s.inputs, 1);
    dy = random_values(s.batch * s.steps * s.directions * H, 2);
    start = random_values(static_cast<std::int64_t>(state_count(s)), 3);
    d_last = random_values(static_cast<std::int64_t>(state_count(s)), 4);
    for (std::int64_t k = 0; k < s.directions; ++k) {
      for (const std::int64_t count : {wide * s.inputs, wide * H, wide, wide}) {
        Values w = random_values(count, 10 + weights.size());
        for (real& v : w) v /= std::sqrt(static_cast<real>(H + s.inputs));  // gates not saturated
        weights.push_back(std::move(w));
      }
    }
  }
};

void append(Values& all, const Values& more) { all.insert(all.end(), more.begin(), more.end()); }

std::size_t saved_count(const Case& c) {
  const LstmSizes& s = c.sizes;
  return static_cast<std::size_t>(s.directions * s.batch * s.steps * s.saved_rows() * s.hidden);
}

/// y, saved and the last states, then dx, those of the start and all weight gradients, which start
/// at 1.
struct Results {
  Values forward, backward;
};

/// Weights of all directions, or their gradients, from pointers to four arrays per direction.
template <class Kernel, class Pointers>
std::vector<Kernel> by_direction(const Case& c, const Pointers& all) {
  std::vector<Kernel> directions;
  for (std::size_t k = 0; k < static_cast<std::size_t>(c.sizes.directions); ++k) {
    directions.push_back({all[4 * k], all[4 * k + 1], c.biases ? all[4 * k + 2] : nullptr,
                          c.biases ? all[4 * k + 3] : nullptr});
  }
  return directions;
}

Results on_cpu(const Case& c, const Inputs& in) {
  std::vector<Values> gradients;
  std::vector<const real*> w;
  std::vector<real*> g;
  for (const Values& weight : in.weights) gradients.emplace_back(weight.size(), real(1));
  for (std::size_t i = 0; i < in.weights.size(); ++i) {
    w.push_back(in.weights[i].data());
    g.push_back(gradients[i].data());
  }
  const auto parameters = by_direction<LstmParameters>(c, w);
  const auto d = by_direction<LstmParameterGradients>(c, g);
  Values y(in.dy.size()), saved(saved_count(c)), dx(in.x.size(), 1), last(in.start.size());
  Values d_start(in.start.size(), 1);
  const std::int64_t* lengths = c.lengths.empty() ? nullptr : c.lengths.data();
  const auto start = halves(in.start.data(), c);
  cpu::lstm_forward_v0_definition(y.data(), halves(last.data(), c), saved.data(), in.x.data(),
                                  start, parameters.data(), lengths, c.sizes);
  cpu::lstm_backward_v0_definition(dx.data(), halves(d_start.data(), c), d.data(), in.dy.data(),
                                   halves(in.d_last.data(), c), y.data(), saved.data(), in.x.data(),
                                   start, parameters.data(), lengths, c.sizes);
  Results results{y, dx};
  append(results.forward, saved);
  if (c.states) append(results.forward, last);
  append(results.backward, d_start);
  for (const Values& gradient : gradients) append(results.backward, gradient);
  return results;
}

Results on_device(const Case& c, const Inputs& in) {
  std::vector<std::unique_ptr<DeviceValues>> weights, gradients;
  std::vector<const real*> w;
  std::vector<real*> g;
  for (const Values& weight : in.weights) {
    weights.push_back(std::make_unique<DeviceValues>(weight));
    gradients.push_back(std::make_unique<DeviceValues>(Values(weight.size(), 1)));
    w.push_back(weights.back()->data());
    g.push_back(gradients.back()->data());
  }
  const auto parameters = by_direction<LstmParameters>(c, w);
  const auto d = by_direction<LstmParameterGradients>(c, g);
  const DeviceValues x(in.x), dy(in.dy), start(in.start), d_last(in.d_last);
  const DeviceValues y(in.dy.size()), saved(saved_count(c)), last(in.start.size());
  const DeviceValues dx(Values(in.x.size(), 1)), d_start(Values(in.start.size(), 1));
  const std::int64_t* lengths = c.lengths.empty() ? nullptr : c.lengths.data();
  const auto before = halves(static_cast<const real*>(start.data()), c);
  cuda::lstm_forward(y.data(), halves(last.data(), c), saved.data(), x.data(), before,
                     parameters.data(), lengths, c.sizes);
  cuda::lstm_backward(dx.data(), halves(d_start.data(), c), d.data(), dy.data(),
                      halves(static_cast<const real*>(d_last.data()), c), y.data(), saved.data(),
                      x.data(), before, parameters.data(), lengths, c.sizes);
  Results results{y.values(), dx.values()};
  append(results.forward, saved.values());
  if (c.states) append(results.forward, last.values());
  append(results.backward, d_start.values());
  for (const auto& gradient : gradients) append(results.backward, gradient->values());
  return results;
}

void check(Case c) {
  for (const RecurrentCell cell : {RecurrentCell::lstm, RecurrentCell::tanh, RecurrentCell::relu}) {
    c.sizes.cell = cell;
    INFO("hidden " << c.sizes.hidden << ", cell " << static_cast<int>(cell));
    const Inputs in(c);
    const Results expected = on_cpu(c, in);
    const std::size_t forward = expected.forward.size();
    const Values got = run_repeatedly([&] {
      Results results = on_device(c, in);
      append(results.forward, results.backward);
      return results.forward;
    });
    const auto middle = got.begin() + static_cast<std::ptrdiff_t>(forward);
    CHECK(relative_error(Values(got.begin(), middle), expected.forward) <= kForwardTolerance);
    CHECK(relative_error(Values(middle, got.end()), expected.backward) <= kGradientTolerance);
  }
}

}  // namespace

TEST_CASE("cuda lstm: any number of hidden units, lengths, two directions") {
  for (const std::int64_t hidden : {1, 5, 33, 64}) {
    check({{.batch = 3, .steps = 7, .inputs = 6, .hidden = hidden, .directions = 2}, {7, 1, 4}});
  }
  check({{.batch = 1, .steps = 2, .inputs = 3, .hidden = 130}});
}

TEST_CASE("cuda lstm: more units than a block has threads") {
  check({{.batch = 1, .steps = 2, .inputs = 1, .hidden = 1030}});
}

TEST_CASE("cuda lstm: one step, one direction, no biases, no states") {
  for (const std::int64_t steps : {1, 7}) {
    check({{.batch = 2, .steps = steps, .inputs = 9, .hidden = 33}, {}, false, false});
  }
}

TEST_CASE("cuda lstm: gates that are saturated, and values that are not finite") {
  Case c{{.batch = 1, .steps = 2, .inputs = 1, .hidden = 4}, {}, true, false};
  for (const real size : {real(1e4), real(1e30), -real(1e30)}) {
    for (const RecurrentCell cell : {RecurrentCell::lstm, RecurrentCell::tanh}) {
      c.sizes.cell = cell;
      Inputs in(c);
      for (real& v : in.x) v = size;
      const Results results = on_device(c, in);
      for (const real v : results.forward) CHECK(std::isfinite(v));
      CHECK(relative_error(results.forward, on_cpu(c, in).forward) <= kForwardTolerance);
      in.x[1] = std::numeric_limits<real>::quiet_NaN();
      const Results spoilt = on_device(c, in);
      for (std::size_t unit = 0; unit < 4; ++unit) {
        CHECK(std::isfinite(spoilt.forward[unit]));
        CHECK(std::isnan(spoilt.forward[4 + unit]));
      }
    }
  }
}

TEST_CASE("cuda lstm: no sequences, no launch; gradients that are not wanted stay away") {
  const LstmParameters parameters;
  const LstmParameterGradients none;
  const LstmSizes empty{.batch = 0, .steps = 3, .inputs = 4, .hidden = 5};
  cuda::lstm_forward(nullptr, {}, nullptr, nullptr, {}, &parameters, nullptr, empty);
  cuda::lstm_backward(nullptr, {}, &none, nullptr, {}, nullptr, nullptr, nullptr, {}, &parameters,
                      nullptr, empty);
  const LstmSizes s{.batch = 2, .steps = 3, .inputs = 4, .hidden = 5};
  const Case c{s, {}, true, false};
  const Inputs in(c);
  const DeviceValues x(in.x), dy(in.dy), y(in.dy.size()), saved(saved_count(c));
  const DeviceValues w_ih(in.weights[0]), w_hh(in.weights[1]), d_bias(Values(20, 1));
  const LstmParameters given{w_ih.data(), w_hh.data(), nullptr, nullptr};
  cuda::lstm_forward(y.data(), {}, saved.data(), x.data(), {}, &given, nullptr, s);
  cuda::lstm_backward(nullptr, {}, &none, dy.data(), {}, y.data(), saved.data(), x.data(), {},
                      &given, nullptr, s);
  const LstmParameterGradients one{.bias_hh = d_bias.data()};
  cuda::lstm_backward(nullptr, {}, &one, dy.data(), {}, y.data(), saved.data(), x.data(), {},
                      &given, nullptr, s);
  for (const real v : d_bias.values()) CHECK(v != 1);
}
