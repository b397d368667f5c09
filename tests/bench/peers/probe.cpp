#include "tests/bench/peers/probe.h"

#include <omp.h>

#include <memory>
#include <vector>

#include "kernels/runtime/cpu/isa.h"
#include "tests/bench/timing.h"

namespace serenade::bench {

namespace {

constexpr int kSteps = 400'000;

// `sums` running sums, each in a register: enough of them to hide the latency of a multiply-add,
// few enough for the registers of the set. One copy per instruction set; contraction of a * b + c
// is on for this file (CMakeLists.txt).
#define DEFINE_SPIN(name, attribute, bytes, sums)                                              \
  attribute float name() {                                                                     \
    typedef float Vector __attribute__((vector_size(bytes)));                                  \
    Vector sum[sums], factor = Vector{} + 0.5f, term = Vector{} + 0.25f;                       \
    for (int i = 0; i < sums; ++i) sum[i] = Vector{} + float(i);                               \
    asm volatile("" : "+x"(factor), "+x"(term));                                               \
    for (int step = 0; step < kSteps; ++step) {                                                \
      _Pragma("GCC unroll 24") for (int i = 0; i < sums; ++i) sum[i] = sum[i] * factor + term; \
    }                                                                                          \
    float total = 0;                                                                           \
    for (int i = 0; i < sums; ++i) total += sum[i][0];                                         \
    return total;                                                                              \
  }

#if defined(__x86_64__)
DEFINE_SPIN(spin_avx512, __attribute__((target("avx512f"))), 64, 24)
DEFINE_SPIN(spin_avx2, __attribute__((target("avx2,fma"))), 32, 12)
#endif
DEFINE_SPIN(spin_baseline, , 16, 12)

// Operations of one call per thread.
double spin(cpu::Isa isa) {
  volatile float keep = 0;
#if defined(__x86_64__)
  if (isa == cpu::Isa::avx512) {
    keep = spin_avx512();
    return 2.0 * 16 * 24 * kSteps;
  }
  if (isa == cpu::Isa::avx2) {
    keep = spin_avx2();
    return 2.0 * 8 * 12 * kSteps;
  }
#endif
  (void)isa;
  keep = spin_baseline();
  (void)keep;
  return 2.0 * 4 * 12 * kSteps;
}

}  // namespace

Contender peak_flops(double flops) {
  return {.name = "multiply-add peak",
          .version = cpu::to_string(cpu::active_isa()),
          .note = "registers only, all threads, same round",
          .round = [flops] {
            let_threads_sleep();
            double done = 0;
            const auto work = [&] {
              double total = 0;
#pragma omp parallel reduction(+ : total)
              total += spin(cpu::active_isa());
              done = total;
            };
            work();
            const double ms = milliseconds(work);
            return flops / done * ms;
          }};
}

Contender triad_bandwidth(double bytes) {
  constexpr std::ptrdiff_t kCount = 16 * 1024 * 1024;
  struct Arrays {
    std::vector<float> a = std::vector<float>(kCount), b = a, c = a;
  };
  const auto arrays = std::make_shared<Arrays>();
  return {.name = "triad bandwidth",
          .version = "",
          .note = "a = b + s c, 3 x 64 MB, same round",
          .round = [bytes, arrays] {
            let_threads_sleep();
            float *a = arrays->a.data(), *b = arrays->b.data(), *c = arrays->c.data();
            const double ms = milliseconds([&] {
#pragma omp parallel for schedule(static)
              for (std::ptrdiff_t i = 0; i < kCount; ++i) a[i] = b[i] + 3.0f * c[i];
            });
            return bytes / (12.0 * kCount) * ms;
          }};
}

}  // namespace serenade::bench
