// The attention kernels in use against the definition, for every instruction set and thread count.

#include "kernels/attention/attention.h"

#include <doctest/doctest.h>

#include <vector>

#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/threads.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

TEST_CASE("attention: any instruction set gives the definition, any number of threads the same") {
  const cpu::Isa isa = cpu::active_isa();
  const int threads = cpu::thread_count();
  // One element; around a tile of 64 x 256; more values than a vector, and fewer.
  const AttentionSizes kinds[] = {
      {.batch = 1, .queries = 1, .keys = 1, .size = 1, .value_size = 1, .scale = 1},
      {.batch = 3, .queries = 65, .keys = 257, .size = 7, .value_size = 19, .scale = real(0.4)},
      {.batch = 2,
       .queries = 130,
       .keys = 70,
       .size = 33,
       .value_size = 3,
       .scale = real(0.2),
       .causal = true},
      {.batch = 4,
       .queries = 64,
       .keys = 512,
       .size = 16,
       .value_size = 16,
       .scale = real(0.25),
       .inner = 2,
       .outer_stride = 512}};
  for (AttentionSizes s : kinds) {
    CAPTURE(s.keys);
    const Tensor q = random_tensor({s.batch, s.queries, s.size}, 1),
                 k = random_tensor({s.batch, s.keys, s.size}, 2),
                 v = random_tensor({s.batch, s.keys, s.value_size}, 3),
                 dy = random_tensor({s.batch, s.queries, s.value_size}, 4),
                 bias = random_tensor({2, s.keys}, 5);
    const real* added = s.outer_stride > 0 ? bias.data() : nullptr;
    Tensor expected(dy.shape()), sums({s.batch, s.queries});
    cpu::attention_forward_v0_plain(expected.data(), sums.data(), q.data(), k.data(), v.data(),
                                    added, s);
    for (const cpu::Isa wanted : {cpu::Isa::baseline, cpu::Isa::avx2, cpu::Isa::avx512}) {
      if (!cpu::isa_supported(wanted)) continue;
      cpu::set_active_isa(wanted);
      std::vector<std::vector<real>> first;
      for (const int count : {1, 3}) {
        cpu::set_threads(count);
        Tensor y(dy.shape()), log_sum(sums.shape()), dq(q.shape()), dk(k.shape()), dv(v.shape());
        cpu::attention_forward(y.data(), log_sum.data(), q.data(), k.data(), v.data(), added, s);
        cpu::attention_backward(dq.data(), dk.data(), dv.data(), dy.data(), y.data(),
                                log_sum.data(), q.data(), k.data(), v.data(), added, s);
        check_close(y, expected, "result");
        check_close(log_sum, sums, "log of the sum");
        const std::vector<std::vector<real>> now = {y.to_vector(), dq.to_vector(), dk.to_vector(),
                                                    dv.to_vector()};
        if (count == 1) first = now;
        CHECK(now == first);
      }
    }
  }
  cpu::set_threads(threads);
  cpu::set_active_isa(isa);
}
