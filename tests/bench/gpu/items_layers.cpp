// Recurrent and capsule layers, and the optimiser.

#include <string>
#include <vector>

#include "kernels/capsule/capsule.h"
#include "kernels/capsule/cuda/versions.h"
#include "kernels/conv2d/cuda/cudnn.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gru/gru.h"
#include "kernels/optim/optim.h"
#include "kernels/runtime/cuda/runtime.h"
#include "tests/bench/gpu/items.h"
#include "tests/yardsticks/cublas.h"
#include "tests/yardsticks/cudnn_gru.h"

namespace serenade::bench {

namespace {

using cuda::DeviceArray;

// An array on the device, filled with one small value.
struct Filled {
  DeviceArray<real> array;
  Filled(std::int64_t count, real value) : array(count) { cuda::fill(array.data(), value, count); }
  real* data() const { return array.data(); }
};

// Products as the layers make them, beside cuBLAS.
void bench_products(GpuReport& report) {
  struct Item {
    const char* name;
    bool transpose_a, transpose_b;
    std::int64_t m, n, k;
  };
  const Item items[] = {
      {"projection of the GRU, 1600 x 2048 by 2048 x 384", false, true, 1600, 384, 2048},
      {"its weights' gradient, 192 x 1600 by 1600 x 2048", true, false, 192, 2048, 1600},
      {"64 x 64 over 50000 rows", true, false, 64, 64, 50000},
      {"1024 x 1024 x 1024", false, false, 1024, 1024, 1024}};
  for (const Item& i : items) {
    const Filled a(i.m * i.k, real(0.1)), b(i.k * i.n, real(0.1)), c(i.m * i.n, 0);
    const std::int64_t lda = i.transpose_a ? i.m : i.k, ldb = i.transpose_b ? i.k : i.n;
    for (const GpuMode& mode : {kFloat32, kTf32}) {
      mode.use();
      const double ours = device_microseconds([&] {
        cuda::gemm(i.transpose_a, i.transpose_b, i.m, i.n, i.k, 1, a.data(), lda, b.data(), ldb, 0,
                   c.data(), i.n);
      });
      PeerTime cublas;
      if (cuda::cublas_available(nullptr)) {
        cublas = {std::string("cuBLAS ") + mode.name, device_microseconds([&] {
                    cuda::gemm_cublas(i.transpose_a, i.transpose_b, i.m, i.n, i.k, 1, a.data(), lda,
                                      b.data(), ldb, 0, c.data(), i.n);
                  })};
      }
      report.row(std::string("product, ") + i.name, mode,
                 2.0 * static_cast<double>(i.m * i.n) * static_cast<double>(i.k),
                 4.0 * static_cast<double>(i.m * i.k + i.k * i.n + i.m * i.n), ours, {cublas});
    }
  }
}

void bench_gru(GpuReport& report, std::int64_t inputs) {
  const GruSizes s{.batch = 32, .steps = 50, .inputs = inputs, .hidden = 64, .directions = 2};
  const std::int64_t rows = s.batch * s.steps, gates = 3 * s.hidden;
  const Filled x(rows * inputs, real(0.1)), dx(rows * inputs, 0);
  const Filled y(rows * 2 * s.hidden, 0), dy(rows * 2 * s.hidden, real(0.01));
  const Filled saved(2 * rows * 4 * s.hidden, 0);
  const Filled w_ih(gates * inputs, real(0.01)), w_hh(gates * s.hidden, real(0.01));
  const Filled b_ih(gates, real(0.1)), b_hh(gates, real(0.1));
  const Filled dw_ih(gates * inputs, 0), dw_hh(gates * s.hidden, 0), db(gates, 0);
  const GruParameters one{w_ih.data(), w_hh.data(), b_ih.data(), b_hh.data()};
  const std::vector<GruParameters> parameters = {one, one};
  // One set of gradients for both directions would be a race on a device that runs them at once.
  const Filled dw_ih2(gates * inputs, 0), dw_hh2(gates * s.hidden, 0), db2(gates, 0);
  const std::vector<GruParameterGradients> gradients = {
      {dw_ih.data(), dw_hh.data(), db.data(), nullptr},
      {dw_ih2.data(), dw_hh2.data(), db2.data(), nullptr}};
  const double projection = 2.0 * 2 * static_cast<double>(rows * inputs * gates);
  const double recurrence = 2.0 * 2 * static_cast<double>(rows * s.hidden * gates);
  const double bytes = 4.0 * static_cast<double>(rows * inputs + rows * 2 * s.hidden * 5);
  const std::string name =
      "GRU 64, both directions, T 50, batch 32, input " + std::to_string(inputs);
  for (const GpuMode& mode : {kFloat32, kTf32}) {
    mode.use();
    PeerTime forward, backward;
    if (cuda::cudnn_available(nullptr)) {
      cuda::CudnnGru theirs(parameters.data(), nullptr, s);
      const std::string peer = std::string("cuDNN ") + mode.name;
      forward = {peer, device_microseconds([&] { theirs.forward(y.data(), x.data(), nullptr); })};
      backward = {peer, device_microseconds([&] { theirs.backward(dx.data(), dy.data()); })};
    }
    report.row(name + ", forward", mode, projection + recurrence, bytes, device_microseconds([&] {
                 cuda::gru_forward(y.data(), saved.data(), x.data(), nullptr, parameters.data(),
                                   nullptr, s);
               }),
               {forward});
    report.row(name + ", backward", mode, 2 * (projection + recurrence), 2 * bytes,
               device_microseconds([&] {
                 cuda::gru_backward(dx.data(), nullptr, gradients.data(), dy.data(), y.data(),
                                    saved.data(), x.data(), nullptr, parameters.data(), nullptr, s);
               }),
               {backward});
  }
}

void bench_capsules(GpuReport& report, const PeerTimes& peers) {
  const CapsuleShape s{.N = 144, .I = 1280, .D = 8, .J = 8, .O = 8};
  const Filled u(s.N * s.I * s.D, real(0.1)), du(s.N * s.I * s.D, 0);
  const Filled weight(s.weights(), real(0.05)), dweight(s.weights(), 0);
  const Filled bias(s.J * s.O, real(0.1)), dbias(s.J * s.O, 0);
  const Filled v(s.N * s.J * s.O, 0), dv(s.N * s.J * s.O, real(0.01));
  const Filled steps(s.N * s.iterations * s.J * s.O, 0);
  const double votes = 2.0 * static_cast<double>(s.N * s.I * s.D * s.J * s.O);
  const double agreement = 2.0 * static_cast<double>(s.N * s.I * s.J * s.O);
  const double bytes = 4.0 * static_cast<double>(s.N * s.I * s.D + s.weights());
  const std::string name = kCapsuleItem;
  report.row(name + ", forward", kFloat32, votes + 5 * agreement, bytes, device_microseconds([&] {
               cuda::capsule_layer_forward(v.data(), steps.data(), u.data(), weight.data(),
                                           bias.data(), s);
             }),
             times_of(peers, name + ", forward"));
  report.row(name + ", backward", kFloat32, 3 * votes + 10 * agreement, 2 * bytes,
             device_microseconds([&] {
               cuda::capsule_layer_backward(du.data(), dweight.data(), dbias.data(), dv.data(),
                                            steps.data(), u.data(), weight.data(), s);
             }),
             times_of(peers, name + ", backward"));

  // The ladder: what the layer did before, and routing alone of votes that are there.
  report.row(name + ", forward, v0 stored votes", kFloat32, votes + 5 * agreement, bytes,
             device_microseconds([&] {
               cuda::capsule_layer_forward_v0_stored_votes(v.data(), steps.data(), u.data(),
                                                           weight.data(), bias.data(), s);
             }),
             {});
  report.row(name + ", backward, v0 stored votes", kFloat32, 3 * votes + 10 * agreement, 2 * bytes,
             device_microseconds([&] {
               cuda::capsule_layer_backward_v0_stored_votes(du.data(), dweight.data(), dbias.data(),
                                                            dv.data(), steps.data(), u.data(),
                                                            weight.data(), s);
             }),
             {});
  const Filled u_hat(s.N * s.I * s.J * s.O, real(0.1)), du_hat(s.N * s.I * s.J * s.O, 0);
  const double vote_bytes = 4.0 * static_cast<double>(s.N * s.I * s.J * s.O);
  const auto routing = [&](const char* version, auto forward, auto backward) {
    const std::string item = std::string("routing alone, the same sizes, ") + version;
    report.row(item + ", forward", kFloat32, 5 * agreement, vote_bytes, device_microseconds([&] {
                 forward(v.data(), steps.data(), u_hat.data(), bias.data(), s);
               }),
               {});
    report.row(item + ", backward", kFloat32, 10 * agreement, 2 * vote_bytes,
               device_microseconds([&] {
                 backward(du_hat.data(), dbias.data(), dv.data(), steps.data(), u_hat.data(), s);
               }),
               {});
  };
  routing("v0 definition", cuda::capsule_routing_forward_v0_definition,
          cuda::capsule_routing_backward_v0_definition);
  routing("v1 one block", cuda::capsule_routing_forward_v1_one_block,
          cuda::capsule_routing_backward_v1_one_block);
}

void bench_adam(GpuReport& report) {
  constexpr std::int64_t kCount = std::int64_t{1} << 20;
  const Filled p(kCount, 1), m(kCount, 0), v(kCount, 0), g(kCount, real(0.1));
  const AdamTensor tensor{p.data(), m.data(), v.data(), g.data(), kCount, 1};
  report.row("Adam, 2^20 parameters", kFloat32, 0, 7.0 * 4 * kCount,
             device_microseconds([&] { cuda::adam_step(&tensor, 1, AdamStep{}); }), {});
}

}  // namespace

void bench_layers(GpuReport& report, const PeerTimes& peers) {
  report.heading("Layers and the optimiser");
  bench_products(report);
  bench_recurrence(report);
  bench_gru(report, 2048);
  bench_gru(report, 96);
  kFloat32.use();
  bench_capsules(report, peers);
  bench_adam(report);
}

}  // namespace serenade::bench
