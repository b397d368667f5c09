#include "kernels/optim/optim.h"

#include <cmath>
#include <limits>
#include <utility>

#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

// A network's tensors one after the other in one array, each `gap` elements after the one before:
// an odd gap puts some of them between two Vec4s.
struct Network {
  std::vector<std::int64_t> counts, starts;
  std::int64_t size = 0;

  Network(const std::vector<std::int64_t>& of, std::int64_t gap) : counts(of) {
    for (const std::int64_t count : counts) {
      starts.push_back(size);
      size += (count + 3) / 4 * 4 + gap;
    }
  }

  std::vector<AdamTensor> tensors(real* parameter, real* m, real* v, const real* gradient,
                                  std::int64_t step) const {
    std::vector<AdamTensor> result;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const std::int64_t at = starts[i];
      result.push_back({parameter + at, m + at, v + at, gradient + at, counts[i],
                        step + static_cast<std::int64_t>(i)});
    }
    return result;
  }
};

Values joined(const Values& a, const Values& b, const Values& c) {
  Values all = a;
  all.insert(all.end(), b.begin(), b.end());
  all.insert(all.end(), c.begin(), c.end());
  return all;
}

}  // namespace

TEST_CASE("cuda optim: one step of Adam for all tensors of a network") {
  // Less than a piece of 1024, several and a rest, none at all, exactly one.
  const std::vector<std::vector<std::int64_t>> networks = {
      {1}, {3, 2500, 0, 1024, 17, 8}, {5000, 4, 4, 4, 4, 4, 4, 4, 4}, {}};
  for (const auto& counts : networks) {
    for (const std::int64_t gap : {0, 1}) {
      CAPTURE(counts.size());
      const Network network(counts, gap);
      const AdamStep options{.learning_rate = 0.01, .weight_decay = 0.1, .decoupled = gap == 1};
      const Values parameter = random_values(network.size, 1);
      const Values gradient = random_values(network.size, 2);
      const Values m = random_values(network.size, 3);
      Values v = random_values(network.size, 4);
      for (real& x : v) x = std::abs(x);
      Values p_cpu = parameter, m_cpu = m, v_cpu = v;
      const auto on_cpu =
          network.tensors(p_cpu.data(), m_cpu.data(), v_cpu.data(), gradient.data(), 3);
      cpu::adam_step(on_cpu.data(), static_cast<std::int64_t>(on_cpu.size()), options);
      const Values actual = run_repeatedly([&] {
        const DeviceValues p_device(parameter), m_device(m), v_device(v), g_device(gradient);
        const auto tensors =
            network.tensors(p_device.data(), m_device.data(), v_device.data(), g_device.data(), 3);
        cuda::adam_step(tensors.data(), static_cast<std::int64_t>(tensors.size()), options);
        return joined(p_device.values(), m_device.values(), v_device.values());
      });
      CHECK(relative_error(actual, joined(p_cpu, m_cpu, v_cpu)) < kForwardTolerance);
    }
  }
}

TEST_CASE("cuda optim: stochastic gradient descent") {
  const SgdStep kinds[] = {{},
                           {.learning_rate = 0.1, .weight_decay = 0.01},
                           {.momentum = 0.9},
                           {.momentum = 0.9, .nesterov = true, .weight_decay = 0.01}};
  for (const SgdStep& options : kinds) {
    for (const std::int64_t count : {0, 1, 270}) {
      const Values parameter = random_values(count, 1), gradient = random_values(count, 2);
      const Values velocity = random_values(count, 3);
      const bool moves = options.momentum != 0;
      Values p_cpu = parameter, v_cpu = velocity;
      cpu::sgd_step(p_cpu.data(), moves ? v_cpu.data() : nullptr, gradient.data(), count, options);
      const Values actual = run_repeatedly([&] {
        const DeviceValues p_device(parameter), v_device(velocity), g_device(gradient);
        cuda::sgd_step(p_device.data(), moves ? v_device.data() : nullptr, g_device.data(), count,
                       options);
        return joined(p_device.values(), v_device.values(), {});
      });
      CHECK(relative_error(actual, joined(p_cpu, v_cpu, {})) < kForwardTolerance);
    }
  }
}

TEST_CASE("cuda optim: RMSprop") {
  for (const bool centred : {false, true}) {
    for (const double momentum : {0.0, 0.9}) {
      for (const std::int64_t count : {0, 1, 270}) {
        const RmspropStep options{.alpha = 0.9, .momentum = momentum, .weight_decay = 0.1};
        const Values parameter = random_values(count, 1), gradient = random_values(count, 2);
        const Values velocity = random_values(count, 3), mean(gradient);
        Values square = random_values(count, 4);
        for (real& x : square) x = x * x + 10;
        Values p_cpu = parameter, s_cpu = square, m_cpu = mean, v_cpu = velocity;
        cpu::rmsprop_step(p_cpu.data(), s_cpu.data(), centred ? m_cpu.data() : nullptr,
                          momentum != 0 ? v_cpu.data() : nullptr, gradient.data(), count, options);
        const Values actual = run_repeatedly([&] {
          const DeviceValues p(parameter), s(square), m(mean), v(velocity), g(gradient);
          cuda::rmsprop_step(p.data(), s.data(), centred ? m.data() : nullptr,
                             momentum != 0 ? v.data() : nullptr, g.data(), count, options);
          return joined(p.values(), s.values(), joined(m.values(), v.values(), {}));
        });
        CHECK(relative_error(actual, joined(p_cpu, s_cpu, joined(m_cpu, v_cpu, {}))) <
              kForwardTolerance);
      }
    }
  }
}

TEST_CASE("cuda optim: a non-finite loss sets the flag, and then nothing is updated") {
  const real kNaN = std::nan(""), kInfinity = std::numeric_limits<real>::infinity();
  Values many = random_values(700, 5);
  many.back() = kInfinity;
  const std::vector<std::pair<Values, real>> cases = {{{1}, 0},          {{-3, 4}, 0}, {{kNaN}, 1},
                                                      {{-kInfinity}, 1}, {many, 1},    {{}, 0}};
  for (const auto& [values, expected] : cases) {
    CAPTURE(values.size());
    const Values after = run_repeatedly([&] {
      const DeviceValues noted(Values(1, 0)), x(values);
      cuda::record_non_finite(noted.data(), x.data(), static_cast<std::int64_t>(values.size()));
      const DeviceValues p(Values(5, 2)), m(Values(5, 0)), v(Values(5, 0)), g(Values(5, 1));
      const AdamTensor tensor{p.data(), m.data(), v.data(), g.data(), 5, 1};
      cuda::adam_step(&tensor, 1, {.stopped = noted.data()});
      cuda::sgd_step(p.data(), nullptr, g.data(), 5, {.stopped = noted.data()});
      return joined(noted.values(), p.values(), m.values());
    });
    CHECK(after[0] == expected);
    CHECK((after[1] == 2) == (expected == 1));
    CHECK((after[6] == 0) == (expected == 1));
  }
}
