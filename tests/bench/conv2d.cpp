// The ladder of the convolution, timed: for each shape of the two systems and each of forward,
// input gradient and weight gradient, the milliseconds and GFLOP/s of every version (median of 5
// runs, versions taking turns, so that a change of the clock hits them alike).

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/cpu/conv2d_versions.h"
#include "kernels/cpu/isa.h"

using namespace serenade;
using namespace serenade::cpu;

namespace {

struct Bench {
  const char* name;
  Conv2dShape shape;
};

Conv2dShape same(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w, std::int64_t k,
                 std::int64_t r, std::int64_t s) {
  return {n, c, h, w, k, r, s, 1, 1, (r - 1) / 2, r / 2, (s - 1) / 2, s / 2};
}

const std::vector<Bench> kBenches = {
    {"conv3 small 5x5", same(16, 16, 100, 200, 16, 5, 5)},
    {"conv3 small 6x6", same(16, 16, 100, 200, 16, 6, 6)},
    {"conv4 small 5x5", same(16, 16, 50, 100, 16, 5, 5)},
    {"conv4 small 6x6", same(16, 16, 50, 100, 16, 6, 6)},
    {"conv3 mel 5x5", same(16, 16, 32, 200, 16, 5, 5)},
    {"conv4 mel 5x5", same(16, 16, 16, 100, 16, 5, 5)},
    {"conv3 paper 5x5", same(1, 16, 2048, 200, 16, 5, 5)},
    {"conv1 small 2x8", same(16, 1, 200, 200, 8, 2, 8)},
    {"conv2 small 8x2", same(16, 1, 200, 200, 8, 8, 2)},
    {"conv1 small 3x10", same(16, 1, 200, 200, 8, 3, 10)},
    {"conv2 small 10x3", same(16, 1, 200, 200, 8, 10, 3)},
    {"conv1 mel 2x8", same(16, 1, 64, 200, 8, 2, 8)},
    {"primary capsules", {144, 16, 6, 10, 64, 5, 5, 4, 2, 1, 2, 1, 2}},
};

double milliseconds(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

struct Version {
  const char* name;
  std::function<void()> run;
};

void time_versions(const char* shape, const char* what, double flops,
                   const std::vector<Version>& versions) {
  constexpr int kRuns = 5;
  std::vector<std::vector<double>> times(versions.size());
  for (int run = 0; run <= kRuns; ++run) {
    for (std::size_t v = 0; v < versions.size(); ++v) {
      const double ms = milliseconds(versions[v].run);
      if (run > 0) times[v].push_back(ms);  // the first run faults its memory in
    }
  }
  for (std::size_t v = 0; v < versions.size(); ++v) {
    std::sort(times[v].begin(), times[v].end());
    const double ms = times[v][kRuns / 2];
    std::printf("%-18s %-16s %-14s %9.3f ms %8.1f GFLOP/s\n", shape, what, versions[v].name, ms,
                flops / ms * 1e-6);
  }
}

void run_bench(const Bench& bench) {
  const Conv2dShape& s = bench.shape;
  const std::int64_t inputs = s.N * s.C * s.H * s.W;
  const std::int64_t outputs = s.N * s.K * s.out_h() * s.out_w();
  const std::int64_t taps = s.K * s.C * s.R * s.S;
  const double flops = 2.0 * double(outputs / s.K) * double(taps);
  std::vector<real> x(inputs), weight(taps), bias(s.K, real(0.1)), y(outputs), dx(inputs),
      dweight(taps), pooled(outputs);
  std::vector<std::uint8_t> index(outputs);
  for (std::int64_t i = 0; i < inputs; ++i) x[i] = real(i * 7919 % 1009) / 1009 - real(0.5);
  for (std::int64_t i = 0; i < taps; ++i) weight[i] = real(i * 6101 % 1013) / 1013 - real(0.5);
  const bool direct = conv2d_direct_takes(s);
  const bool plain = flops < 1e9;  // the plain version takes seconds beyond

  std::vector<Version> forward, input, gradient, fused;
  if (plain) {
    forward.push_back({"v0 plain", [&] {
                         conv2d_forward_v0_plain(y.data(), x.data(), weight.data(), bias.data(), s);
                       }});
    input.push_back({"v0 plain", [&] {
                       conv2d_backward_input_v0_plain(dx.data(), y.data(), weight.data(), s);
                     }});
    gradient.push_back({"v0 plain", [&] {
                          conv2d_backward_weight_v0_plain(dweight.data(), y.data(), x.data(), s);
                        }});
  }
  const RowSink out = {.data = y.data()};
  const RowSource dy = {.data = y.data()};
  const RowSink pool = {.data = pooled.data(), .index = index.data(), .pool_h = 2, .pool_w = 2};
  forward.push_back({"v1 im2col", [&] {
                       conv2d_forward_v1_im2col(out, x.data(), weight.data(), bias.data(), s);
                     }});
  input.push_back(
      {"v1 im2col", [&] { conv2d_backward_input_v1_im2col(dx.data(), dy, weight.data(), s); }});
  gradient.push_back(
      {"v1 im2col", [&] { conv2d_backward_weight_v1_im2col(dweight.data(), dy, x.data(), s); }});
  fused.push_back({"v1 im2col", [&] {
                     conv2d_forward_v1_im2col(pool, x.data(), weight.data(), bias.data(), s);
                   }});
  if (direct) {
    forward.push_back({"v2 direct", [&] {
                         conv2d_forward_v2_direct(out, x.data(), weight.data(), bias.data(), s);
                       }});
    input.push_back(
        {"v2 direct", [&] { conv2d_backward_input_v2_direct(dx.data(), dy, weight.data(), s); }});
    gradient.push_back(
        {"v2 direct", [&] { conv2d_backward_weight_v2_direct(dweight.data(), dy, x.data(), s); }});
    fused.push_back({"v2 direct", [&] {
                       conv2d_forward_v2_direct(pool, x.data(), weight.data(), bias.data(), s);
                     }});
  }
  time_versions(bench.name, "forward", flops, forward);
  time_versions(bench.name, "+ relu, pool 2x2", flops, fused);
  time_versions(bench.name, "input gradient", flops, input);
  time_versions(bench.name, "weight gradient", flops, gradient);
}

}  // namespace

int main() {
  std::printf("instruction set %s, %d threads, %zu-byte numbers\n", to_string(active_isa()),
              omp_get_max_threads(), sizeof(real));
  for (const Bench& bench : kBenches) run_bench(bench);
}
