// The GRU on the device against the CPU's definition: every version of the recurrence, both
// directions, both forms of the reset gate, with and without lengths, biases and initial states.

#include "kernels/gru/gru.h"

#include <cmath>
#include <limits>
#include <memory>

#include "kernels/gru/cuda/versions.h"
#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

using cuda::GruVersion;

struct Case {
  GruSizes sizes;
  std::vector<std::int64_t> lengths = {};
  bool biases = true;
  bool start = true;  ///< with h0
};

/// The arrays of a case: weights W_ih, W_hh, b_ih, b_hh of each direction.
struct Inputs {
  Values x, dy, h0;
  std::vector<Values> weights;

  explicit Inputs(const Case& c) {
    const GruSizes& s = c.sizes;
    const std::int64_t H = s.hidden;
    x = random_values(s.batch * s.steps * s.inputs, 1);
    dy = random_values(s.batch * s.steps * s.directions * H, 2);
    h0 = random_values(s.directions * s.batch * H, 3);
    for (std::int64_t k = 0; k < s.directions; ++k) {
      for (const std::int64_t count : {3 * H * s.inputs, 3 * H * H, 3 * H, 3 * H}) {
        Values w = random_values(count, 10 + weights.size());
        for (real& v : w) v /= std::sqrt(static_cast<real>(H + s.inputs));  // gates not saturated
        weights.push_back(std::move(w));
      }
    }
  }
};

void append(Values& all, const Values& more) { all.insert(all.end(), more.begin(), more.end()); }

bool has_recurrent_bias(const Case& c) { return c.biases && c.sizes.reset_after; }

/// y and saved, then dx, dh0 and all weight gradients, which start at 1.
struct Results {
  Values forward, backward;
};

Results on_cpu(const Case& c, const Inputs& in) {
  const GruSizes& s = c.sizes;
  std::vector<Values> gradients;
  for (const Values& w : in.weights) gradients.emplace_back(w.size(), real(1));
  std::vector<GruParameters> parameters;
  std::vector<GruParameterGradients> d;
  for (std::size_t k = 0; k < static_cast<std::size_t>(s.directions); ++k) {
    const Values* w = &in.weights[4 * k];
    Values* g = &gradients[4 * k];
    parameters.push_back({w[0].data(), w[1].data(), c.biases ? w[2].data() : nullptr,
                          has_recurrent_bias(c) ? w[3].data() : nullptr});
    d.push_back({g[0].data(), g[1].data(), c.biases ? g[2].data() : nullptr,
                 has_recurrent_bias(c) ? g[3].data() : nullptr});
  }
  Values y(in.dy.size()), saved(4 * in.dy.size()), dx(in.x.size(), 1), dh0(in.h0.size(), 1);
  const real* h0 = c.start ? in.h0.data() : nullptr;
  const std::int64_t* lengths = c.lengths.empty() ? nullptr : c.lengths.data();
  cpu::gru_forward_v0_definition(y.data(), saved.data(), in.x.data(), h0, parameters.data(),
                                 lengths, s);
  cpu::gru_backward_v0_definition(dx.data(), dh0.data(), d.data(), in.dy.data(), y.data(),
                                  saved.data(), in.x.data(), h0, parameters.data(), lengths, s);
  Results results{y, dx};
  append(results.forward, saved);
  append(results.backward, dh0);
  for (const Values& g : gradients) append(results.backward, g);
  return results;
}

Results on_device(const Case& c, const Inputs& in, GruVersion version) {
  const GruSizes& s = c.sizes;
  std::vector<std::unique_ptr<DeviceValues>> weights, gradients;
  for (const Values& w : in.weights) {
    weights.push_back(std::make_unique<DeviceValues>(w));
    gradients.push_back(std::make_unique<DeviceValues>(Values(w.size(), 1)));
  }
  std::vector<GruParameters> parameters;
  std::vector<GruParameterGradients> d;
  for (std::size_t k = 0; k < static_cast<std::size_t>(s.directions); ++k) {
    const auto* w = &weights[4 * k];
    const auto* g = &gradients[4 * k];
    parameters.push_back({w[0]->data(), w[1]->data(), c.biases ? w[2]->data() : nullptr,
                          has_recurrent_bias(c) ? w[3]->data() : nullptr});
    d.push_back({g[0]->data(), g[1]->data(), c.biases ? g[2]->data() : nullptr,
                 has_recurrent_bias(c) ? g[3]->data() : nullptr});
  }
  const DeviceValues x(in.x), dy(in.dy), h0(in.h0), y(in.dy.size()), saved(4 * in.dy.size());
  const DeviceValues dx(Values(in.x.size(), 1)), dh0(Values(in.h0.size(), 1));
  const real* start = c.start ? h0.data() : nullptr;
  const std::int64_t* lengths = c.lengths.empty() ? nullptr : c.lengths.data();
  cuda::gru_forward_with(version, y.data(), saved.data(), x.data(), start, parameters.data(),
                         lengths, s);
  cuda::gru_backward_with(version, dx.data(), dh0.data(), d.data(), dy.data(), y.data(),
                          saved.data(), x.data(), start, parameters.data(), lengths, s);
  Results results{y.values(), dx.values()};
  append(results.forward, saved.values());
  append(results.backward, dh0.values());
  for (const auto& g : gradients) append(results.backward, g->values());
  return results;
}

void check(const Case& c, GruVersion version) {
  INFO("hidden " << c.sizes.hidden << ", version " << static_cast<int>(version) << ", reset after "
                 << c.sizes.reset_after);
  const Inputs in(c);
  const Results expected = on_cpu(c, in);
  const std::size_t forward = expected.forward.size();
  const Values got = run_repeatedly([&] {
    Results results = on_device(c, in, version);
    append(results.forward, results.backward);
    return results.forward;
  });
  const auto middle = got.begin() + static_cast<std::ptrdiff_t>(forward);
  CHECK(relative_error(Values(got.begin(), middle), expected.forward) <= kForwardTolerance);
  CHECK(relative_error(Values(middle, got.end()), expected.backward) <= kGradientTolerance);
}

/// Two directions, sequences of different lengths.
Case padded(std::int64_t hidden, bool reset_after) {
  return {{.batch = 3,
           .steps = 7,
           .inputs = 6,
           .hidden = hidden,
           .directions = 2,
           .reset_after = reset_after},
          {7, 1, 4}};
}

}  // namespace

TEST_CASE("cuda gru: the plain recurrence takes any number of hidden units") {
  for (const bool reset_after : {true, false}) {
    check(padded(5, reset_after), GruVersion::plain);
    check({.sizes = {.reset_after = reset_after}}, GruVersion::plain);
  }
  check({{.batch = 1, .steps = 2, .inputs = 3, .hidden = 130}}, GruVersion::plain);
}

TEST_CASE("cuda gru: weights in registers, full and padded") {
  for (const std::int64_t hidden : {1, 5, 32, 64}) {
    for (const bool reset_after : {true, false}) {
      check(padded(hidden, reset_after), GruVersion::registers);
      check(padded(hidden, reset_after), GruVersion::split_rows);
    }
    check(padded(hidden, true), GruVersion::whole_units);
  }
  check({{.batch = 2, .steps = 3, .inputs = 4, .hidden = 100}}, GruVersion::registers);
  check({{.batch = 1, .steps = 2, .inputs = 4, .hidden = 128}}, GruVersion::registers);
}

TEST_CASE("cuda gru: one step, one direction, no biases, no initial state") {
  for (const bool reset_after : {true, false}) {
    for (const std::int64_t steps : {1, 7}) {
      const GruSizes sizes{
          .batch = 2, .steps = steps, .inputs = 9, .hidden = 33, .reset_after = reset_after};
      for (const GruVersion version :
           {GruVersion::plain, GruVersion::registers, GruVersion::split_rows}) {
        check({sizes, {}, false, false}, version);
      }
      if (reset_after) check({sizes, {}, false, false}, GruVersion::whole_units);
    }
  }
}

TEST_CASE("cuda gru: a sequence of no step at all") {
  Case c = padded(33, true);
  c.lengths = {0, 7, 1};
  for (const GruVersion version : {GruVersion::plain, GruVersion::registers, GruVersion::split_rows,
                                   GruVersion::whole_units}) {
    check(c, version);
  }
}

TEST_CASE("cuda gru: gates that are saturated, and values that are not finite") {
  const GruSizes s{.batch = 1, .steps = 2, .inputs = 1, .hidden = 4};
  for (const real size : {real(1e4), real(1e30), -real(1e30)}) {
    Case c{s, {}, true, false};
    Inputs in(c);
    for (real& v : in.x) v = size;
    const Results results = on_device(c, in, GruVersion::whole_units);
    for (const real v : results.forward) CHECK(std::isfinite(v));
    CHECK(relative_error(results.forward, on_cpu(c, in).forward) <= kForwardTolerance);
    in.x[1] = std::numeric_limits<real>::quiet_NaN();
    const Results spoilt = on_device(c, in, GruVersion::whole_units);
    for (std::size_t unit = 0; unit < 4; ++unit) {
      CHECK(std::isfinite(spoilt.forward[unit]));
      CHECK(std::isnan(spoilt.forward[4 + unit]));
    }
  }
}

TEST_CASE("cuda gru: gradients that are not wanted stay away") {
  const GruSizes s{.batch = 2, .steps = 3, .inputs = 4, .hidden = 5, .directions = 2};
  const Case c{s, {}, true, false};
  const Inputs in(c);
  const Results expected = on_cpu(c, in);
  std::vector<std::unique_ptr<DeviceValues>> weights;
  for (const Values& w : in.weights) weights.push_back(std::make_unique<DeviceValues>(w));
  std::vector<GruParameters> parameters;
  for (std::size_t k = 0; k < 2; ++k) {
    const auto* w = &weights[4 * k];
    parameters.push_back({w[0]->data(), w[1]->data(), w[2]->data(), w[3]->data()});
  }
  const DeviceValues x(in.x), dy(in.dy), y(in.dy.size()), saved(4 * in.dy.size());
  const DeviceValues d_bias(Values(15, 1));
  cuda::gru_forward(y.data(), saved.data(), x.data(), nullptr, parameters.data(), nullptr, s);
  const GruParameterGradients none[2] = {{}, {}};
  cuda::gru_backward(nullptr, nullptr, none, dy.data(), y.data(), saved.data(), x.data(), nullptr,
                     parameters.data(), nullptr, s);
  const GruParameterGradients one[2] = {{.bias_hh = d_bias.data()}, {}};
  cuda::gru_backward(nullptr, nullptr, one, dy.data(), y.data(), saved.data(), x.data(), nullptr,
                     parameters.data(), nullptr, s);
  // b_hh of the first direction: after dx, dh0, W_ih [15, 4], W_hh [15, 5], b_ih [15].
  const std::size_t at = in.x.size() + in.h0.size() + 60 + 75 + 15;
  const auto first = expected.backward.begin() + static_cast<std::ptrdiff_t>(at);
  CHECK(relative_error(d_bias.values(), Values(first, first + 15)) <= kGradientTolerance);
}

TEST_CASE("cuda gru: no sequences, no launch") {
  const GruSizes s{.batch = 0, .steps = 3, .inputs = 4, .hidden = 5};
  const GruParameters parameters;
  const GruParameterGradients gradients;
  cuda::gru_forward(nullptr, nullptr, nullptr, nullptr, &parameters, nullptr, s);
  cuda::gru_backward(nullptr, nullptr, &gradients, nullptr, nullptr, nullptr, nullptr, nullptr,
                     &parameters, nullptr, s);
}

TEST_CASE("cuda gru: the version suits the number of hidden units") {
  CHECK(cuda::gru_version(5, true) == GruVersion::whole_units);
  CHECK(cuda::gru_version(64, true) == GruVersion::whole_units);
  CHECK(cuda::gru_version(64, false) == GruVersion::split_rows);
  CHECK(cuda::gru_version(65, true) == GruVersion::registers);
  CHECK(cuda::gru_version(65, false) == GruVersion::plain);
  CHECK(cuda::gru_version(128, true) == GruVersion::registers);
  CHECK(cuda::gru_version(129, true) == GruVersion::plain);
  const GruSizes wide{.hidden = 65};
  CHECK_THROWS(cuda::gru_forward_with(GruVersion::split_rows, nullptr, nullptr, nullptr, nullptr,
                                      nullptr, nullptr, wide));
}
