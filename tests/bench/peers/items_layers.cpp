// The recurrent layer, the capsules, and the elementwise kernels.

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kernels/capsule/capsule.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/softmax.h"
#include "kernels/gru/gru.h"
#include "kernels/optim/optim.h"
#include "tests/bench/peers/items.h"
#include "tests/bench/peers/onednn.h"
#include "tests/bench/peers/probe.h"

namespace serenade::bench {

namespace {

std::vector<real> values(std::int64_t count, double scale) {
  std::vector<real> values(count);
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<real>(scale * (double(i * 7919 % 1009) / 1009 - 0.5));
  }
  return values;
}

// A bidirectional GRU with all gradients wanted.
struct GruProblem {
  GruSizes sizes;
  std::vector<real> x, y, saved, dx, dy;
  std::vector<std::vector<real>> weights, gradients;  // per direction: W_ih, W_hh, b_ih
  std::vector<GruParameters> parameters;
  std::vector<GruParameterGradients> parameter_gradients;

  explicit GruProblem(const GruSizes& s) : sizes(s) {
    const std::int64_t steps = s.batch * s.steps, H = s.hidden;
    x = values(steps * s.inputs, 1);
    dy = values(steps * 2 * H, 0.01);
    y.resize(dy.size());
    dx.resize(x.size());
    saved.resize(2 * steps * 4 * H);
    for (int direction = 0; direction < 2; ++direction) {
      for (const std::int64_t count : {3 * H * s.inputs, 3 * H * H, 3 * H}) {
        weights.push_back(values(count, 0.1));
        gradients.emplace_back(count);
      }
    }
    for (std::size_t k = 0; k < 6; k += 3) {
      parameters.push_back({.weight_ih = weights[k].data(),
                            .weight_hh = weights[k + 1].data(),
                            .bias_ih = weights[k + 2].data()});
      parameter_gradients.push_back({.weight_ih = gradients[k].data(),
                                     .weight_hh = gradients[k + 1].data(),
                                     .bias_ih = gradients[k + 2].data()});
    }
  }

  void forward() {
    cpu::gru_forward(y.data(), saved.data(), x.data(), nullptr, parameters.data(), nullptr, sizes);
  }
  void backward() {
    cpu::gru_backward(dx.data(), nullptr, parameter_gradients.data(), dy.data(), y.data(),
                      saved.data(), x.data(), nullptr, parameters.data(), nullptr, sizes);
  }
};

// What a program gets that calls libm for each element; the threads share the elements.
constexpr std::int64_t kElements = 16 * 1024 * 1024, kRow = 64;

void libm_exp(real* y, const real* x) {
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < kElements; ++i) y[i] = std::exp(x[i]);
}

void libm_softmax(real* y, const real* x) {
#pragma omp parallel for schedule(static)
  for (std::int64_t row = 0; row < kElements; row += kRow) {
    real largest = x[row], sum = 0;
    for (std::int64_t i = row; i < row + kRow; ++i) largest = std::max(largest, x[i]);
    for (std::int64_t i = row; i < row + kRow; ++i) sum += y[i] = std::exp(x[i] - largest);
    for (std::int64_t i = row; i < row + kRow; ++i) y[i] /= sum;
  }
}

// Adam as its four formulas, a pass over memory each.
void looped_adam(real* w, real* m, real* v, real* update, const real* g) {
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < kElements; ++i) m[i] = real(0.9) * m[i] + real(0.1) * g[i];
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < kElements; ++i) {
    v[i] = real(0.999) * v[i] + real(0.001) * g[i] * g[i];
  }
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < kElements; ++i) update[i] = m[i] / (std::sqrt(v[i]) + real(1e-8));
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < kElements; ++i) w[i] -= real(1e-3) * update[i];
}

}  // namespace

void gru_items(const Setting& setting) {
  setting.report.heading("Bidirectional GRU, 64 cells, T = 50, N = 16");
  for (const std::int64_t inputs : {2048, 96}) {
    GruProblem problem({.batch = 16, .steps = 50, .inputs = inputs, .hidden = 64, .directions = 2});
    std::optional<PyTorch::Prepared> pytorch;
    if (setting.pytorch != nullptr) {
      const nlohmann::json arguments = {{"batch", 16}, {"steps", 50}, {"inputs", inputs}};
      pytorch = setting.pytorch->prepare("gru", arguments.dump());
    }
    problem.forward();
    const double asked = inputs == 2048 ? 1.0 : 1.3;
    for (const bool backward : {false, true}) {
      const std::string pass = backward ? "backward" : "forward";
      std::vector<std::optional<Contender>> peers = {onednn::gru(backward, problem.sizes)};
      if (pytorch) peers.push_back(setting.pytorch->contender(*pytorch, pass, "nn.GRU"));
      for (auto& peer : peers) {
        if (peer) peer->asked = asked;
      }
      setting.report.contest("GRU " + pass + ", D = " + std::to_string(inputs),
                             ours([&] { backward ? problem.backward() : problem.forward(); }),
                             peers);
    }
    if (setting.pytorch != nullptr) setting.pytorch->drop();
  }
}

void capsule_items(const Setting& setting) {
  setting.report.heading("Capsules: votes and routing, forward and backward");
  for (const std::int64_t inputs : {1280, 80}) {
    const CapsuleShape p{.N = 144, .I = inputs, .D = 8, .J = 8, .O = 8};
    const std::vector<real> u = values(p.N * p.I * p.D, 1), bias(p.J * p.O);
    const std::vector<real> weight = values(p.I * p.J * p.D * p.O, 0.6);
    const std::vector<real> dv = values(p.N * p.J * p.O, 1);
    std::vector<real> v(dv.size()), s(p.N * p.iterations * p.J * p.O);
    std::vector<real> du(u.size()), dweight(weight.size()), dbias(bias.size());
    std::vector<std::optional<Contender>> peers = {
        own("stored votes", "this project's v0: one pass over memory per formula", [&] {
          cpu::capsule_layer_forward_v0_stored_votes(v.data(), s.data(), u.data(), weight.data(),
                                                     bias.data(), p);
          cpu::capsule_layer_backward_v0_stored_votes(du.data(), dweight.data(), dbias.data(),
                                                      dv.data(), s.data(), u.data(), weight.data(),
                                                      p);
        })};
    if (setting.pytorch != nullptr) {
      const nlohmann::json arguments = {{"windows", p.N}, {"inputs", inputs}};
      if (const auto item = setting.pytorch->prepare("capsules", arguments.dump())) {
        peers.push_back(asking(setting.pytorch->contender(*item, "both"), inputs == 1280 ? 5 : 0));
      }
    }
    setting.report.contest(
        "144 windows of " + std::to_string(inputs) + " capsules", ours([&] {
          cpu::capsule_layer_forward(v.data(), s.data(), u.data(), weight.data(), bias.data(), p);
          cpu::capsule_layer_backward(du.data(), dweight.data(), dbias.data(), dv.data(), s.data(),
                                      u.data(), weight.data(), p);
        }),
        peers);
    if (setting.pytorch != nullptr) setting.pytorch->drop();
  }
}

void elementwise_items(const Setting& setting) {
  setting.report.heading("Elementwise, 16.8 million elements");
  std::vector<real> x = values(kElements, 8), y(kElements), m(kElements), v(kElements),
                    update(kElements);
  std::optional<PyTorch::Prepared> pytorch;
  if (setting.pytorch != nullptr) {
    const nlohmann::json arguments = {{"count", kElements}};
    pytorch = setting.pytorch->prepare("elementwise", arguments.dump());
  }
  const auto row = [&](const std::string& name, std::function<void()> work, Contender loop,
                       double bytes, const std::string& pass) {
    std::vector<std::optional<Contender>> peers = {std::move(loop), triad_bandwidth(bytes)};
    if (pytorch) peers.push_back(setting.pytorch->contender(*pytorch, pass));
    setting.report.contest(name, ours(std::move(work)), peers);
  };
  row(
      "exp", [&] { cpu::exp_forward(y.data(), x.data(), kElements); },
      own("libm loop", "all threads", [&] { libm_exp(y.data(), x.data()); }), 8.0 * kElements,
      "exp");
  row(
      "softmax of rows of 64",
      [&] { cpu::softmax_forward(y.data(), x.data(), kElements / kRow, kRow, 1); },
      own("libm loop", "all threads", [&] { libm_softmax(y.data(), x.data()); }), 8.0 * kElements,
      "softmax");
  std::int64_t step = 0;
  row(
      "Adam",
      [&] {
        const AdamTensor all = {y.data(), m.data(), v.data(), x.data(), kElements, ++step};
        cpu::adam_step(&all, 1, {});
      },
      own("four loops", "one per formula, all threads",
          [&] { looped_adam(y.data(), m.data(), v.data(), update.data(), x.data()); }),
      28.0 * kElements, "adam");
  if (setting.pytorch != nullptr) setting.pytorch->drop();
}

}  // namespace serenade::bench
