// Convolutions: the searched body (5x5 and the 6x6 union of all candidates), the first layers with
// their pooling, the strided primary capsules. Beside cuDNN in the same mode.

#include <string>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cuda/cudnn.h"
#include "kernels/runtime/cuda/runtime.h"
#include "tests/bench/gpu/items.h"

namespace serenade::bench {

namespace {

using cuda::DeviceArray;

struct Item {
  const char* name;
  Conv2dShape shape;
  std::int64_t pool_h, pool_w;  ///< 0: no pooling follows
};

Conv2dShape same(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w, std::int64_t k,
                 std::int64_t r, std::int64_t s) {
  return {n, c, h, w, k, r, s, 1, 1, (r - 1) / 2, r / 2, (s - 1) / 2, s / 2};
}

const std::vector<Item> kItems = {
    {"16 x 16->16, 2048x200, 5x5", same(16, 16, 2048, 200, 16, 5, 5), 2, 2},
    {"16 x 16->16, 2048x200, 6x6", same(16, 16, 2048, 200, 16, 6, 6), 2, 2},
    {"16 x 16->16, 1024x100, 5x5", same(16, 16, 1024, 100, 16, 5, 5), 2, 2},
    {"16 x 16->16, 1024x100, 6x6", same(16, 16, 1024, 100, 16, 6, 6), 2, 2},
    {"16 x 16->16, 100x200, 5x5", same(16, 16, 100, 200, 16, 5, 5), 2, 2},
    {"16 x 1->8, 4096x200, 2x8", same(16, 1, 4096, 200, 8, 2, 8), 2, 1},
    {"16 x 1->8, 4096x200, 8x2", same(16, 1, 4096, 200, 8, 8, 2), 2, 1},
    {"144 x 16->64, primary capsules", {144, 16, 6, 10, 64, 5, 5, 4, 2, 1, 2, 1, 2}, 0, 0},
};

struct Problem {
  Conv2dShape s;
  std::int64_t outputs, pooled, weights;
  DeviceArray<real> x, y, weight, bias, pool;
  DeviceArray<std::uint8_t> index;

  explicit Problem(const Item& item)
      : s(item.shape),
        outputs(s.N * s.K * s.out_h() * s.out_w()),
        pooled(item.pool_h > 0 ? s.N * s.K * (s.out_h() / item.pool_h) * (s.out_w() / item.pool_w)
                               : 0),
        weights(s.K * s.C * s.R * s.S),
        x(inputs()),
        y(outputs),
        weight(weights),
        bias(s.K),
        pool(pooled),
        index(pooled) {
    cuda::fill(x.data(), real(0.5), inputs());
    cuda::fill(y.data(), real(0.25), outputs);
    cuda::fill(weight.data(), real(0.01), weights);
    cuda::fill(bias.data(), real(0.1), s.K);
  }

  std::int64_t inputs() const { return s.N * s.C * s.H * s.W; }
  double flops() const {
    return 2.0 * static_cast<double>(s.N * s.out_h() * s.out_w()) * static_cast<double>(weights);
  }
};

double timed(const GpuMode& mode, const std::function<void()>& work) {
  mode.use();
  return device_microseconds(work);
}

PeerTime cudnn_time(const GpuMode& mode, const std::function<void()>& work) {
  if (!cuda::cudnn_available(nullptr)) return {};
  const double time = timed({mode.name, mode.math, ConvolutionLibrary::cudnn}, work);
  return {std::string("cuDNN ") + mode.name, time};
}

}  // namespace

void bench_convolutions(GpuReport& report) {
  report.heading("Convolution");
  for (const Item& item : kItems) {
    Problem p(item);
    const double in = 4.0 * static_cast<double>(p.inputs());
    const double out = 4.0 * static_cast<double>(p.outputs);
    const auto measure = [&](const std::string& pass, double bytes, double flops,
                             const std::function<void()>& work) {
      for (const GpuMode& mode : {kFloat32, kTf32}) {
        const double ours = timed(mode, work);
        report.row(item.name + (", " + pass), mode, flops, bytes, ours, {cudnn_time(mode, work)});
      }
    };
    measure("forward", in + out, p.flops(), [&] {
      cuda::conv2d_forward(p.y.data(), p.x.data(), p.weight.data(), p.bias.data(), p.s);
    });
    if (item.shape.C > 1) {
      measure("input gradient", 2 * in + out, p.flops(),
              [&] { cuda::conv2d_backward_input(p.x.data(), p.y.data(), p.weight.data(), p.s); });
    }
    measure("weight gradient", in + out, p.flops(),
            [&] { cuda::conv2d_backward_weight(p.weight.data(), p.y.data(), p.x.data(), p.s); });
    if (item.pool_h == 0) continue;
    for (const GpuMode& mode : {kFloat32, kTf32}) {
      const double bytes = in + 5.0 * static_cast<double>(p.pooled);
      const double ours = timed(mode, [&] {
        cuda::conv2d_relu_maxpool_forward(p.pool.data(), p.index.data(), p.x.data(),
                                          p.weight.data(), p.bias.data(), p.s, item.pool_h,
                                          item.pool_w);
      });
      report.row(std::string(item.name) + ", forward, ReLU and pooling fused", mode, p.flops(),
                 bytes, ours, {});
    }
  }
  kFloat32.use();
}

}  // namespace serenade::bench
