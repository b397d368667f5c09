// Convolutions of the two systems: 16 to 16 channels with 5x5 and 6x6 (the union of all
// candidates), and the first layer, 1 to 8 channels. Those of networks for images: full ones of
// residual and capsule networks, and depthwise ones.

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cpu/versions.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/pool/pool.h"
#include "tests/bench/peers/items.h"
#include "tests/bench/peers/onednn.h"
#include "tests/bench/peers/probe.h"

namespace serenade::bench {

namespace {

using onednn::Layout;
using onednn::Pass;

Conv2dShape same(std::int64_t c, std::int64_t h, std::int64_t w, std::int64_t k, std::int64_t r,
                 std::int64_t s) {
  return {1, c, h, w, k, r, s, 1, 1, (r - 1) / 2, r / 2, (s - 1) / 2, s / 2};
}

std::vector<real> values(std::int64_t count) {
  std::vector<real> values(count);
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<real>(i * 7919 % 1009) / 1009 - real(0.5);
  }
  return values;
}

std::string sizes(const Conv2dShape& s) {
  char text[64];
  std::snprintf(text, sizeof text, "%ldx%ld, %ldx%ld", long(s.R), long(s.S), long(s.H), long(s.W));
  return text;
}

// Everything the kernels of one convolution read and write.
struct Problem {
  Conv2dShape s;
  std::array<std::int64_t, 2> pool = {};
  std::vector<real> x, weight, bias, y, dx, dweight, pooled;
  std::vector<std::uint8_t> index;
  std::vector<std::int32_t> wide_index;

  explicit Problem(const Conv2dShape& shape)
      : s(shape),
        x(values(s.N * s.C * s.H * s.W)),
        weight(values(s.K * s.C * s.R * s.S)),
        bias(s.K, real(0.1)),
        y(values(s.N * s.K * s.out_h() * s.out_w())),
        dx(x.size()),
        dweight(weight.size()) {}

  Problem(const Conv2dShape& shape, std::array<std::int64_t, 2> window) : Problem(shape) {
    pool = window;
    pooled.resize(s.N * s.K * (s.out_h() / pool[0]) * (s.out_w() / pool[1]));
    index.resize(pooled.size());
    wide_index.resize(pooled.size());
    our_work(Pass::fused)();  // the positions of the maxima, which the pooled gradient needs
  }

  double flops() const { return 2.0 * double(s.N * s.out_h() * s.out_w()) * double(weight.size()); }

  std::function<void()> our_work(Pass pass) {
    switch (pass) {
      case Pass::forward:
        return [this] { cpu::conv2d_forward(y.data(), x.data(), weight.data(), bias.data(), s); };
      case Pass::fused:
        return [this] {
          cpu::conv2d_relu_maxpool_forward(pooled.data(), index.data(), x.data(), weight.data(),
                                           bias.data(), s, pool[0], pool[1]);
        };
      case Pass::input:
        return [this] { cpu::conv2d_backward_input(dx.data(), y.data(), weight.data(), s); };
      case Pass::weight:
        break;
    }
    return [this] { cpu::conv2d_backward_weight(dweight.data(), y.data(), x.data(), s); };
  }

  // im2col and OpenBLAS, the way of Caffe; the pooling as a kernel of its own.
  std::function<void()> im2col_work(Pass pass) {
    const cpu::RowSink whole = {.data = y.data()};
    const cpu::RowSource dy = {.data = y.data()};
    switch (pass) {
      case Pass::forward:
        return [this, whole] {
          cpu::conv2d_forward_v1_im2col(whole, x.data(), weight.data(), bias.data(), s);
        };
      case Pass::fused:
        return [this, whole] {
          cpu::conv2d_forward_v1_im2col(whole, x.data(), weight.data(), bias.data(), s);
          cpu::relu_forward(y.data(), y.data(), static_cast<std::int64_t>(y.size()));
          cpu::max_pool2d_forward(pooled.data(), wide_index.data(), y.data(),
                                  {s.N * s.K, s.out_h(), s.out_w(), pool[0], pool[1]});
        };
      case Pass::input:
        return
            [this, dy] { cpu::conv2d_backward_input_v1_im2col(dx.data(), dy, weight.data(), s); };
      case Pass::weight:
        break;
    }
    return [this, dy] { cpu::conv2d_backward_weight_v1_im2col(dweight.data(), dy, x.data(), s); };
  }
};

// The weight gradient as training needs it: from the gradient after ReLU and pooling. The peers
// get the gradient before them for free.
std::function<void()> pooled_weight_work(Problem& p) {
  return [&p] {
    cpu::conv2d_relu_maxpool_backward_weight(p.dweight.data(), p.pooled.data(), p.index.data(),
                                             p.x.data(), p.s, p.pool[0], p.pool[1]);
  };
}

struct Row {
  Pass pass;
  const char* name;
  const char* pytorch_pass;
  double asked;
  bool pooled = false;  ///< ours through pooling and ReLU; the peers without
};

void contest(const Setting& setting, Problem& problem, const Row& row,
             const std::optional<PyTorch::Prepared>& pytorch) {
  const auto peer = [&](Layout layout) {
    auto found = onednn::convolution(row.pass, problem.s, layout, problem.pool);
    if (found && layout == Layout::best && row.asked > 0) found->asked = row.asked;
    return found;
  };
  std::vector<std::optional<Contender>> peers = {
      peer(Layout::best), peer(Layout::plain),
      own("im2col + OpenBLAS", "this project's v1", problem.im2col_work(row.pass))};
  if (pytorch) peers.push_back(setting.pytorch->contender(*pytorch, row.pytorch_pass));
  setting.report.contest(
      std::string(row.name) + " " + sizes(problem.s),
      ours(row.pooled ? pooled_weight_work(problem) : problem.our_work(row.pass)), peers);
}

nlohmann::json arguments_of(const Problem& p) {
  return {{"shape", {p.s.N, p.s.C, p.s.H, p.s.W, p.s.K}},
          {"kernel", {p.s.R, p.s.S}},
          {"padding", {p.s.R / 2, p.s.S / 2}},
          {"pool", p.pool}};
}

std::optional<PyTorch::Prepared> prepare(const Setting& setting, nlohmann::json arguments,
                                         const std::vector<Row>& rows) {
  if (setting.pytorch == nullptr) return std::nullopt;
  for (const Row& row : rows) arguments["passes"].push_back(row.pytorch_pass);
  return setting.pytorch->prepare("convolution", arguments.dump());
}

// A depthwise convolution: as many channels behind it, and the size kept.
struct DepthwiseProblem {
  DepthwiseShape s;
  std::vector<real> x, weight, bias, y, dx, dweight;

  explicit DepthwiseProblem(const DepthwiseShape& shape)
      : s(shape),
        x(values(s.N * s.C * s.H * s.W)),
        weight(values(s.C * s.R * s.S)),
        bias(s.C, real(0.1)),
        y(values(s.N * s.C * s.out_h() * s.out_w())),
        dx(x.size()),
        dweight(weight.size()) {}

  std::function<void()> our_work(Pass pass) {
    if (pass == Pass::forward) {
      return [this] {
        cpu::depthwise_conv2d_forward(y.data(), x.data(), weight.data(), bias.data(), s);
      };
    }
    if (pass == Pass::input) {
      return
          [this] { cpu::depthwise_conv2d_backward_input(dx.data(), y.data(), weight.data(), s); };
    }
    return [this] { cpu::depthwise_conv2d_backward_weight(dweight.data(), y.data(), x.data(), s); };
  }
};

// The three passes of a layer of a network for images; the ratio is asked against oneDNN in its
// best layout and against PyTorch.
template <class SomeProblem>
void layer_contests(const Setting& setting, const std::string& name, SomeProblem& problem,
                    const nlohmann::json& arguments, double asked) {
  const std::vector<Row> rows = {{Pass::forward, "forward", "forward", asked},
                                 {Pass::input, "input gradient", "input", asked},
                                 {Pass::weight, "weight gradient", "weight", asked}};
  const std::optional<PyTorch::Prepared> pytorch = prepare(setting, arguments, rows);
  for (const Row& row : rows) {
    std::vector<std::optional<Contender>> peers = {
        onednn::convolution(row.pass, problem.s, Layout::best),
        onednn::convolution(row.pass, problem.s, Layout::plain)};
    if (peers[0]) peers[0]->asked = row.asked;
    if (pytorch) {
      peers.push_back(asking(setting.pytorch->contender(*pytorch, row.pytorch_pass), row.asked));
    }
    setting.report.contest(name + ", " + row.name, ours(problem.our_work(row.pass)), peers);
  }
  if (setting.pytorch != nullptr) setting.pytorch->drop();
}

}  // namespace

void convolution_items(const Setting& setting, std::int64_t kernel) {
  setting.report.heading("Convolution 16 to 16 channels, N = 1");
  const std::vector<std::array<std::int64_t, 2>> images = {
      {2048, 200}, {1024, 100}, {100, 200}, {50, 100}};
  const double asked = kernel == 5 ? 3.2 : 2.9;
  const std::vector<Row> rows = {
      {Pass::forward, "forward", "forward", asked},
      {Pass::input, "input gradient", "input", asked},
      {Pass::weight, "weight gradient", "weight", 3.0},
      {Pass::fused, "forward, ReLU, pool 2x2", "fused", kernel == 5 ? 3.8 : 0}};
  for (const auto& image : images) {
    Problem problem(same(16, image[0], image[1], 16, kernel, kernel), {2, 2});
    const auto pytorch = prepare(setting, arguments_of(problem), rows);
    for (const Row& row : rows) contest(setting, problem, row, pytorch);
    const auto direct = own("", "", [&] {
      cpu::conv2d_forward_v2_direct({.data = problem.y.data()}, problem.x.data(),
                                    problem.weight.data(), problem.bias.data(), problem.s);
    });
    if (kernel == 5) {
      setting.report.contest("direct forward (v2) " + sizes(problem.s) + ", share of the peak",
                             direct, {asking(peak_flops(problem.flops()), 0.8)});
    }
    if (setting.pytorch != nullptr) setting.pytorch->drop();
  }
}

void first_layer_items(const Setting& setting) {
  setting.report.heading("First layer, 1 to 8 channels, N = 1");
  for (const auto& kernel : {std::array<std::int64_t, 2>{2, 8}, {8, 2}}) {
    const std::vector<Row> rows = {{Pass::fused, "forward, ReLU, pool 2x1", "fused", 4.0},
                                   {Pass::weight, "weight gradient", "weight", 0},
                                   {Pass::weight, "weight gradient, ours through pool 2x1",
                                    "weight", kernel[0] == 2 ? 1.7 : 2.8, true}};
    for (const std::int64_t bins : {4096, 200}) {
      Problem problem(same(1, bins, 200, 8, kernel[0], kernel[1]), {2, 1});
      const auto pytorch = prepare(setting, arguments_of(problem), rows);
      for (const Row& row : rows) contest(setting, problem, row, pytorch);
      if (setting.pytorch != nullptr) setting.pytorch->drop();
    }
  }
}

void image_convolution_items(const Setting& setting) {
  setting.report.heading("Convolutions of networks for images, N = 32; of CapsNet, N = 100");
  std::vector<Conv2dShape> shapes;
  for (const std::int64_t side : {32, 56}) {
    for (const auto& [channels, out, kernel] :
         {std::array<std::int64_t, 3>{64, 64, 3}, {128, 128, 3}, {64, 256, 1}}) {
      shapes.push_back(same(channels, side, side, out, kernel, kernel));
      shapes.back().N = 32;
    }
  }
  shapes.push_back({.N = 100, .C = 1, .H = 28, .W = 28, .K = 256, .R = 9, .S = 9});
  shapes.push_back({.N = 100,
                    .C = 256,
                    .H = 20,
                    .W = 20,
                    .K = 256,
                    .R = 9,
                    .S = 9,
                    .stride_h = 2,
                    .stride_w = 2});
  for (const Conv2dShape& s : shapes) {
    Problem problem(s);
    const std::string name = sizes(s) + ", " + std::to_string(s.C) + " to " + std::to_string(s.K) +
                             (s.stride_h == 2 ? ", stride 2" : "");
    layer_contests(setting, name, problem,
                   {{"shape", {s.N, s.C, s.H, s.W, s.K}},
                    {"kernel", {s.R, s.S}},
                    {"padding", {s.pad_top, s.pad_left}},
                    {"stride", s.stride_h}},
                   1.0);
  }
}

void depthwise_items(const Setting& setting) {
  setting.report.heading("Depthwise convolutions, 64 channels, 32x32, N = 32");
  for (const auto& [kernel, dilation] : {std::array<std::int64_t, 2>{3, 1}, {5, 1}, {5, 2}}) {
    const std::int64_t border = dilation * (kernel - 1) / 2;
    DepthwiseProblem problem({.N = 32,
                              .C = 64,
                              .H = 32,
                              .W = 32,
                              .R = kernel,
                              .S = kernel,
                              .dilation_h = dilation,
                              .dilation_w = dilation,
                              .pad_top = border,
                              .pad_bottom = border,
                              .pad_left = border,
                              .pad_right = border});
    const DepthwiseShape& s = problem.s;
    const std::string name = std::to_string(kernel) + "x" + std::to_string(kernel) +
                             (dilation == 2 ? ", dilation 2" : "");
    layer_contests(setting, name, problem,
                   {{"shape", {s.N, s.C, s.H, s.W, s.C}},
                    {"kernel", {s.R, s.S}},
                    {"padding", {border, border}},
                    {"dilation", dilation},
                    {"groups", s.C}},
                   1.5);
  }
}

}  // namespace serenade::bench
