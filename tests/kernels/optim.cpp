#include "kernels/optim/optim.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/threads.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

TEST_CASE("adam_step gives the golden values and moments over five steps") {
  const Golden file = golden("adam");
  const double rate = std::stod(golden_attribute(file, "lr"));
  Tensor parameter = file.tensor("start").clone();
  Tensor m(parameter.shape()), v(parameter.shape());
  for (std::int64_t step = 0; step < 5; ++step) {
    const auto of_step = [&](const char* name) {
      return file.tensor(name).slice(0, step, 1).reshape(parameter.shape());
    };
    const Tensor gradient = of_step("grads");
    const AdamTensor tensor = {parameter.data(), m.data(),          v.data(),
                               gradient.data(),  parameter.numel(), step + 1};
    cpu::adam_step(&tensor, 1, {.learning_rate = rate});
    check_close(parameter, of_step("values"), "values");
    check_close(m, of_step("first_moments"), "first moments");
    check_close(v, of_step("second_moments"), "second moments");
  }
}

TEST_CASE("adam_step of many tensors is that of each, for any instruction set and threads") {
  const cpu::Isa isa = cpu::active_isa();
  const int threads = cpu::thread_count();
  const std::vector<std::int64_t> sizes = {1, 17, 0, 8192, 8193, 100'003, 3};
  const AdamStep options{.learning_rate = 0.01, .weight_decay = 0.1};
  struct State {
    Tensor parameter, m, v, gradient;
  };
  const auto begin = [&] {
    std::vector<State> states;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      Tensor m(Shape{sizes[i]}), v(Shape{sizes[i]});
      states.push_back({random_tensor({sizes[i]}, 2 * i), m, v, random_tensor({sizes[i]}, i)});
    }
    return states;
  };
  const auto tensor_of = [](State& s, std::int64_t step) {
    return AdamTensor{s.parameter.data(), s.m.data(),          s.v.data(),
                      s.gradient.data(),  s.parameter.numel(), step};
  };
  std::vector<State> expected = begin();
  for (std::size_t i = 0; i < sizes.size(); ++i) {  // the formula, in double
    for (std::int64_t k = 0; k < sizes[i]; ++k) {
      const double g = double(expected[i].gradient.data()[k]) +
                       options.weight_decay * double(expected[i].parameter.data()[k]);
      const double step = 1 + double(i), m = 0.1 * g, v = 0.001 * g * g;
      const double m_hat = m / (1 - std::pow(0.9, step)), v_hat = v / (1 - std::pow(0.999, step));
      expected[i].m.data()[k] = real(m);
      expected[i].v.data()[k] = real(v);
      expected[i].parameter.data()[k] -= real(0.01 * m_hat / (std::sqrt(v_hat) + 1e-8));
    }
  }
  for (const cpu::Isa wanted : {cpu::Isa::baseline, cpu::Isa::avx2, cpu::Isa::avx512}) {
    if (!cpu::isa_supported(wanted)) continue;
    cpu::set_active_isa(wanted);
    std::vector<std::vector<real>> first;
    for (const int count : {1, 2}) {
      cpu::set_threads(count);
      std::vector<State> states = begin();
      std::vector<AdamTensor> tensors;
      for (State& s : states) {
        tensors.push_back(tensor_of(s, 1 + static_cast<std::int64_t>(tensors.size())));
      }
      cpu::adam_step(tensors.data(), static_cast<std::int64_t>(tensors.size()), options);
      for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (count == 1) first.push_back(states[i].parameter.to_vector());
        CHECK(states[i].parameter.to_vector() == first[i]);
        check_close(states[i].parameter, expected[i].parameter, "parameter");
        check_close(states[i].m, expected[i].m, "m");
        check_close(states[i].v, expected[i].v, "v");
      }
    }
  }
  cpu::set_threads(threads);
  cpu::set_active_isa(isa);
}

TEST_CASE("decoupled decay shrinks the parameter and does not reach the moments") {
  std::vector<real> with_decay = {2, -1}, by_hand = {real(2 * 0.975), real(-0.975)};
  const std::vector<real> gradient = {real(0.5), real(0.25)};
  std::vector<real> m(2), v(2), m2(2), v2(2);
  const AdamTensor first = {with_decay.data(), m.data(), v.data(), gradient.data(), 2, 1};
  const AdamTensor second = {by_hand.data(), m2.data(), v2.data(), gradient.data(), 2, 1};
  cpu::adam_step(&first, 1, {.learning_rate = 0.1, .weight_decay = 0.25, .decoupled = true});
  cpu::adam_step(&second, 1, {.learning_rate = 0.1});
  for (int i = 0; i < 2; ++i) CHECK(with_decay[i] == doctest::Approx(by_hand[i]));
  CHECK(m == m2);
  CHECK(v == v2);
}

TEST_CASE("weight decay adds the parameter to the gradient in both optimisers") {
  std::vector<real> with_decay = {2, -1}, by_hand = with_decay;
  const std::vector<real> gradient = {real(0.5), real(0.25)};
  const std::vector<real> total = {real(0.5) + real(0.25) * 2, real(0.25) - real(0.25)};
  std::vector<real> m(2), v(2), m2(2), v2(2);
  const AdamTensor first = {with_decay.data(), m.data(), v.data(), gradient.data(), 2, 1};
  const AdamTensor second = {by_hand.data(), m2.data(), v2.data(), total.data(), 2, 1};
  cpu::adam_step(&first, 1, {.weight_decay = 0.25});
  cpu::adam_step(&second, 1, {});
  CHECK(with_decay == by_hand);
  cpu::sgd_step(with_decay.data(), nullptr, gradient.data(), 2, {.weight_decay = 0});
  CHECK(with_decay != by_hand);
}

TEST_CASE("sgd_step follows its formula: plain, momentum, nesterov, decay") {
  for (int variant = 0; variant < 4; ++variant) {
    CAPTURE(variant);
    const SgdStep options{.learning_rate = 0.1,
                          .momentum = variant == 0 ? 0.0 : 0.9,
                          .nesterov = variant == 2,
                          .weight_decay = variant == 3 ? 0.01 : 0.0};
    std::vector<real> parameter = {1}, velocity = {0};
    double p = 1, speed = 0;
    for (int step = 0; step < 4; ++step) {
      const std::vector<real> gradient = {static_cast<real>(0.5 - step)};
      cpu::sgd_step(parameter.data(), variant == 0 ? nullptr : velocity.data(), gradient.data(), 1,
                    options);
      const double g = 0.5 - step + options.weight_decay * p;
      speed = options.momentum * speed + g;
      p -= 0.1 * (options.nesterov ? g + options.momentum * speed : speed);
    }
    CHECK(static_cast<double>(parameter[0]) == doctest::Approx(p).epsilon(1e-6));
  }
}

TEST_CASE("rmsprop_step follows its formula, for any instruction set and number of threads") {
  const cpu::Isa isa = cpu::active_isa();
  const int threads = cpu::thread_count();
  constexpr std::int64_t kCount = 20'011;
  for (int variant = 0; variant < 4; ++variant) {
    CAPTURE(variant);
    const bool centred = variant % 2 == 1, moves = variant >= 2;
    const RmspropStep options{.learning_rate = 0.1,
                              .alpha = 0.8,
                              .epsilon = 1e-3,
                              .momentum = moves ? 0.9 : 0.0,
                              .weight_decay = 0.25};
    std::vector<real> first;
    for (const cpu::Isa wanted : {cpu::Isa::baseline, cpu::Isa::avx2, cpu::Isa::avx512}) {
      if (!cpu::isa_supported(wanted)) continue;
      cpu::set_active_isa(wanted);
      for (const int count : {1, 2}) {
        cpu::set_threads(count);
        Tensor parameter = random_tensor({kCount}, 1), square(Shape{kCount}), mean(Shape{kCount}),
               velocity(Shape{kCount});
        Tensor expected = parameter.clone();
        std::vector<double> s(kCount), m(kCount), u(kCount);
        for (int step = 0; step < 3; ++step) {
          const Tensor gradient = random_tensor({kCount}, 2 + step);
          cpu::rmsprop_step(parameter.data(), square.data(), centred ? mean.data() : nullptr,
                            moves ? velocity.data() : nullptr, gradient.data(), kCount, options);
          for (std::int64_t i = 0; i < kCount; ++i) {
            const double g = double(gradient.data()[i]) + 0.25 * double(expected.data()[i]);
            s[i] = 0.8 * s[i] + 0.2 * g * g;
            m[i] = centred ? 0.8 * m[i] + 0.2 * g : 0;
            u[i] =
                options.momentum * u[i] + g / (std::sqrt(std::max(0.0, s[i] - m[i] * m[i])) + 1e-3);
            expected.data()[i] -= real(0.1 * u[i]);
          }
        }
        check_close(parameter, expected, "parameter");
        if (count == 1) first = parameter.to_vector();
        CHECK(parameter.to_vector() == first);
      }
    }
  }
  cpu::set_threads(threads);
  cpu::set_active_isa(isa);
}

TEST_CASE("a value that is not finite sets the flag, and a stopped step updates nothing") {
  const real kInfinity = std::numeric_limits<real>::infinity();
  real noted = 0;
  const std::vector<real> fine = {1, -2};
  cpu::record_non_finite(&noted, fine.data(), 2);
  CHECK(noted == 0);
  for (const real bad : {kInfinity, -kInfinity, std::numeric_limits<real>::quiet_NaN()}) {
    noted = 0;
    const std::vector<real> values = {1, bad};
    cpu::record_non_finite(&noted, values.data(), 2);
    CHECK(noted == 1);
    cpu::record_non_finite(&noted, fine.data(), 2);
    CHECK(noted == 1);
  }
  std::vector<real> parameter = {2}, m = {0}, v = {0};
  const std::vector<real> gradient = {1};
  const AdamTensor tensor = {parameter.data(), m.data(), v.data(), gradient.data(), 1, 1};
  cpu::adam_step(&tensor, 1, {.stopped = &noted});
  cpu::sgd_step(parameter.data(), nullptr, gradient.data(), 1, {.stopped = &noted});
  cpu::rmsprop_step(parameter.data(), v.data(), nullptr, nullptr, gradient.data(), 1,
                    {.stopped = &noted});
  CHECK(parameter[0] == 2);
  CHECK(m[0] == 0);
}
