#include "kernels/attention/attention.h"

#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

void append(Values& all, const Values& more) { all.insert(all.end(), more.begin(), more.end()); }

}  // namespace

TEST_CASE("cuda attention: forward and backward") {
  // One element; around a block of 8 rows, a tile of 32, a piece of 64; shared rows of the bias.
  const AttentionSizes kinds[] = {
      {.batch = 1, .queries = 1, .keys = 1, .size = 1, .value_size = 1, .scale = 1},
      {.batch = 2, .queries = 9, .keys = 33, .size = 65, .value_size = 3, .scale = real(0.2)},
      {.batch = 1,
       .queries = 40,
       .keys = 20,
       .size = 5,
       .value_size = 70,
       .scale = real(0.4),
       .causal = true},
      {.batch = 2,
       .queries = 8,
       .keys = 64,
       .size = 4,
       .value_size = 4,
       .scale = real(0.5),
       .causal = true,
       .inner = 2,
       .inner_stride = 64},
      {.batch = 2, .queries = 3, .keys = 0, .size = 4, .value_size = 4, .scale = 1}};
  for (const AttentionSizes& s : kinds) {
    CAPTURE(s.keys);
    const Values q = random_values(s.batch * s.queries * s.size, 1),
                 k = random_values(s.batch * s.keys * s.size, 2),
                 v = random_values(s.batch * s.keys * s.value_size, 3),
                 dy = random_values(s.batch * s.queries * s.value_size, 4);
    Values bias = random_values(2 * s.keys, 5);
    if (!bias.empty()) bias[0] = bias[1] = -std::numeric_limits<real>::infinity();
    const bool biased = s.inner_stride > 0;
    const auto rows = static_cast<std::size_t>(s.batch * s.queries);
    Values y(dy.size()), log_sum(rows), dq(q), dk(k), dv(v);
    cpu::attention_forward(y.data(), log_sum.data(), q.data(), k.data(), v.data(),
                           biased ? bias.data() : nullptr, s);
    cpu::attention_backward(dq.data(), dk.data(), dv.data(), dy.data(), y.data(), log_sum.data(),
                            q.data(), k.data(), v.data(), biased ? bias.data() : nullptr, s);
    Values expected = y;
    append(expected, dq);
    append(expected, dk);
    append(expected, dv);
    const Values actual = run_repeatedly([&] {
      const DeviceValues y_(dy.size()), sums(rows), dq_(q), dk_(k), dv_(v), q_(q), k_(k), v_(v),
          dy_(dy), bias_(bias);
      const real* added = biased ? bias_.data() : nullptr;
      cuda::attention_forward(y_.data(), sums.data(), q_.data(), k_.data(), v_.data(), added, s);
      cuda::attention_backward(dq_.data(), dk_.data(), dv_.data(), dy_.data(), y_.data(),
                               sums.data(), q_.data(), k_.data(), v_.data(), added, s);
      Values all = y_.values();
      append(all, dq_.values());
      append(all, dk_.values());
      append(all, dv_.values());
      return all;
    });
    CHECK(relative_error(actual, expected) < kGradientTolerance);
  }
}
