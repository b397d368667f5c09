// The ladder of the convolution at the shapes of the two systems: forward, forward with ReLU and
// pooling (fused, and as three kernels one after the other), and both gradients.

#include <string>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cpu/versions.h"
#include "kernels/conv2d/cpu/winograd_weight.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/pool/pool.h"
#include "tests/bench/table.h"

using namespace serenade;
using namespace serenade::cpu;

namespace {

struct Item {
  const char* name;
  Conv2dShape shape;
  std::int64_t pool_w;  ///< of the pooling that follows; its height is 2
};

Conv2dShape same(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w, std::int64_t k,
                 std::int64_t r, std::int64_t s) {
  return {n, c, h, w, k, r, s, 1, 1, (r - 1) / 2, r / 2, (s - 1) / 2, s / 2};
}

const std::vector<Item> kItems = {
    {"conv3 small 5x5", same(16, 16, 100, 200, 16, 5, 5), 2},
    {"conv3 small 6x6", same(16, 16, 100, 200, 16, 6, 6), 2},
    {"conv4 small 5x5", same(16, 16, 50, 100, 16, 5, 5), 2},
    {"conv4 small 6x6", same(16, 16, 50, 100, 16, 6, 6), 2},
    {"conv3 mel 5x5", same(16, 16, 32, 200, 16, 5, 5), 2},
    {"conv4 mel 5x5", same(16, 16, 16, 100, 16, 5, 5), 2},
    {"conv3 paper 5x5", same(1, 16, 2048, 200, 16, 5, 5), 2},
    {"conv1 small 2x8", same(16, 1, 200, 200, 8, 2, 8), 1},
    {"conv2 small 8x2", same(16, 1, 200, 200, 8, 8, 2), 1},
    {"conv1 small 3x10", same(16, 1, 200, 200, 8, 3, 10), 1},
    {"conv2 small 10x3", same(16, 1, 200, 200, 8, 10, 3), 1},
    {"conv1 mel 2x8", same(16, 1, 64, 200, 8, 2, 8), 1},
    {"primary capsules", {144, 16, 6, 10, 64, 5, 5, 4, 2, 1, 2, 1, 2}, 2},
};

/// Everything one item's kernels read and write.
struct Problem {
  Conv2dShape s;
  PoolShape pool;
  std::vector<real> x, weight, bias, y, dx, dweight, pooled;
  std::vector<std::uint8_t> index;
  std::vector<std::int32_t> wide_index;

  explicit Problem(const Item& item)
      : s(item.shape),
        pool{s.N * s.K, s.out_h(), s.out_w(), 2, item.pool_w},
        x(s.N * s.C * s.H * s.W),
        weight(s.K * s.C * s.R * s.S),
        bias(s.K, real(0.1)),
        y(s.N * s.K * s.out_h() * s.out_w()),
        dx(x.size()),
        dweight(weight.size()),
        pooled(pool.planes * pool.out_h() * pool.out_w()),
        index(pooled.size()),
        wide_index(pooled.size()) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = real(i * 7919 % 1009) / 1009 - real(0.5);
    for (std::size_t i = 0; i < weight.size(); ++i) {
      weight[i] = real(i * 6101 % 1013) / 1013 - real(0.5);
    }
  }

  double flops() const { return 2.0 * double(s.N * s.out_h() * s.out_w()) * double(weight.size()); }
  RowSink whole() { return {.data = y.data()}; }
  RowSink through_pool() {
    return {.data = pooled.data(),
            .index = index.data(),
            .pool_h = pool.window_h,
            .pool_w = pool.window_w};
  }
  RowSource gradient() const { return {.data = y.data()}; }

  template <class Kernel>
  std::function<void()> forward(Kernel kernel, RowSink sink) {
    return [this, kernel, sink] { kernel(sink, x.data(), weight.data(), bias.data(), s); };
  }
  template <class Kernel>
  std::function<void()> forward_then_pool(Kernel kernel) {
    return [this, kernel] {
      kernel(whole(), x.data(), weight.data(), bias.data(), s);
      relu_forward(y.data(), y.data(), static_cast<std::int64_t>(y.size()));
      max_pool2d_forward(pooled.data(), wide_index.data(), y.data(), pool);
    };
  }
  template <class Kernel, class Gradient>
  std::function<void()> backward_input(Kernel kernel, Gradient dy) {
    return [this, kernel, dy] { kernel(dx.data(), dy, weight.data(), s); };
  }
  template <class Kernel, class Gradient>
  std::function<void()> backward_weight(Kernel kernel, Gradient dy) {
    return [this, kernel, dy] { kernel(dweight.data(), dy, x.data(), s); };
  }
};

void measure(bench::LadderTable& table, const Item& item) {
  Problem p(item);
  // The plain version takes seconds beyond a GFLOP; v2 and v3 do not take every shape.
  const bool plain = p.flops() < 1e9, direct = conv2d_direct_supports(p.s);
  const bool winograd = conv2d_winograd_supports(p.s);
  const auto row = [&](const char* pass, Conv2dPass which, bench::Runs runs) {
    if (!plain) runs[0] = nullptr;
    if (!direct) runs[2] = nullptr;
    if (!winograd) runs[3] = nullptr;
    table.row(item.name, pass, p.flops(), runs,
              static_cast<std::size_t>(conv2d_version(p.s, which)));
  };
  const real* dy = p.y.data();
  row("forward", Conv2dPass::forward,
      {[&] {
         conv2d_forward_v0_plain(p.y.data(), p.x.data(), p.weight.data(), p.bias.data(), p.s);
       },
       p.forward(conv2d_forward_v1_im2col, p.whole()),
       p.forward(conv2d_forward_v2_direct, p.whole()),
       p.forward(conv2d_forward_v3_winograd, p.whole()),
       p.forward(conv2d_forward_v4_implicit, p.whole())});
  row("forward, then ReLU, then pooling", Conv2dPass::forward,
      {nullptr, p.forward_then_pool(conv2d_forward_v1_im2col),
       p.forward_then_pool(conv2d_forward_v2_direct),
       p.forward_then_pool(conv2d_forward_v3_winograd),
       p.forward_then_pool(conv2d_forward_v4_implicit)});
  row("forward, ReLU and pooling fused", Conv2dPass::forward,
      {nullptr, p.forward(conv2d_forward_v1_im2col, p.through_pool()),
       p.forward(conv2d_forward_v2_direct, p.through_pool()),
       p.forward(conv2d_forward_v3_winograd, p.through_pool()),
       p.forward(conv2d_forward_v4_implicit, p.through_pool())});
  row("input gradient", Conv2dPass::backward_input,
      {p.backward_input(conv2d_backward_input_v0_plain, dy),
       p.backward_input(conv2d_backward_input_v1_im2col, p.gradient()),
       p.backward_input(conv2d_backward_input_v2_direct, p.gradient()),
       p.backward_input(conv2d_backward_input_v3_winograd, p.gradient()),
       p.backward_input(conv2d_backward_input_v4_implicit, p.gradient())});
  row("weight gradient", Conv2dPass::backward_weight,
      {p.backward_weight(conv2d_backward_weight_v0_plain, dy),
       p.backward_weight(conv2d_backward_weight_v1_im2col, p.gradient()),
       p.backward_weight(conv2d_backward_weight_v2_direct, p.gradient()),
       p.backward_weight(conv2d_backward_weight_v3_winograd, p.gradient()),
       p.backward_weight(conv2d_backward_weight_v4_implicit, p.gradient())});
}

}  // namespace

int main(int argc, char** argv) {
  // In the order of Conv2dVersion.
  bench::LadderTable table("conv2d",
                           {"v0 plain", "v1 im2col", "v2 direct", "v3 winograd", "v4 implicit"},
                           argc > 1 ? argv[1] : "");
  for (const Item& item : kItems) measure(table, item);
  table.write_json();
}
