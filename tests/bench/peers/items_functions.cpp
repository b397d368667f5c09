// Functions of autograd beside PyTorch's: forward alone, and with the gradients of the sum of the
// result by all inputs. A row is a line of the table below.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tensor/random.h"
#include "tests/bench/peers/items.h"

namespace serenade::bench {

namespace {

using Inputs = std::vector<Variable>;

struct Case {
  std::string name;
  std::vector<Shape> shapes;  // of the inputs x, w, b, c, d; of PyTorch's too
  Variable (*ours)(const Inputs& in);
  std::string pytorch;  // an expression of them and F
  double asked = 0;     // of the values with their gradients
  bool images = false;  // PyTorch may have them in channels_last
};

const std::vector<Case>& normalisations() {
  static const std::vector<Case> all = {
      {"batch_norm [32, 64, 56, 56]",
       {{32, 64, 56, 56}, {64}, {64}},
       [](const Inputs& in) { return batch_norm(in[0], {}, {}, in[1], in[2], {.training = true}); },
       "F.batch_norm(x, None, None, w, b, True)",
       1.5},
      {"batch_norm [128, 16, 32, 32]",
       {{128, 16, 32, 32}, {16}, {16}},
       [](const Inputs& in) { return batch_norm(in[0], {}, {}, in[1], in[2], {.training = true}); },
       "F.batch_norm(x, None, None, w, b, True)",
       1.5},
      {"batch_norm [4096, 256]",
       {{4096, 256}, {256}, {256}},
       [](const Inputs& in) { return batch_norm(in[0], {}, {}, in[1], in[2], {.training = true}); },
       "F.batch_norm(x, None, None, w, b, True)"},
      {"layer_norm [32, 512, 256]",
       {{32, 512, 256}, {256}, {256}},
       [](const Inputs& in) { return layer_norm(in[0], {256}, in[1], in[2]); },
       "F.layer_norm(x, (256,), w, b)",
       1.5},
      {"layer_norm [64, 100, 768]",
       {{64, 100, 768}, {768}, {768}},
       [](const Inputs& in) { return layer_norm(in[0], {768}, in[1], in[2]); },
       "F.layer_norm(x, (768,), w, b)",
       1.5},
      {"rms_norm [32, 512, 256]",
       {{32, 512, 256}, {256}},
       [](const Inputs& in) { return rms_norm(in[0], {256}, in[1]); },
       "F.rms_norm(x, (256,), w)"},
      {"group_norm of 8, [32, 64, 56, 56]",
       {{32, 64, 56, 56}, {64}, {64}},
       [](const Inputs& in) { return group_norm(in[0], 8, in[1], in[2]); },
       "F.group_norm(x, 8, w, b)"},
  };
  return all;
}

const std::vector<Case>& functions() {
  static const std::vector<Case> all = {
      {"matmul [16, 8, 128, 64] x [64, 128]",
       {{16, 8, 128, 64}, {64, 128}},
       [](const Inputs& in) { return matmul(in[0], in[1]); },
       "x @ w"},
      {"max_pool2d 3x3, stride 1, [32, 64, 32, 32]",
       {{32, 64, 32, 32}},
       [](const Inputs& in) {
         return max_pool2d(in[0], {3, 3}, {{1, 1}, {1, 1}});
       },
       "F.max_pool2d(x, 3, 1, 1)",
       1.5},
      {"avg_pool2d 3x3, stride 1, [32, 64, 32, 32]",
       {{32, 64, 32, 32}},
       [](const Inputs& in) {
         return avg_pool2d(in[0], {3, 3}, {{1, 1}, {1, 1}});
       },
       "F.avg_pool2d(x, 3, 1, 1)",
       1.5},
      {"max_pool2d 3x3, stride 2, [32, 64, 56, 56]",
       {{32, 64, 56, 56}},
       [](const Inputs& in) {
         return max_pool2d(in[0], {3, 3}, {{2, 2}, {1, 1}});
       },
       "F.max_pool2d(x, 3, 2, 1)"},
      {"mse_loss of a million",
       {{1024, 1024}, {1024, 1024}},
       [](const Inputs& in) { return mse_loss(in[0], in[1]); },
       "F.mse_loss(x, w)"},
      {"cross_entropy of shares [4096, 1000]",
       {{4096, 1000}, {4096, 1000}},
       [](const Inputs& in) { return cross_entropy(in[0], in[1]); },
       "F.cross_entropy(x, w)"},
      {"attention of 8 heads [4, 8, 512, 64]",
       {{4, 8, 512, 64}, {4, 8, 512, 64}, {4, 8, 512, 64}},
       [](const Inputs& in) { return scaled_dot_product_attention(in[0], in[1], in[2]); },
       "F.scaled_dot_product_attention(x, w, b)",
       1.2},
      {"attention of 8 heads, causal [4, 8, 512, 64]",
       {{4, 8, 512, 64}, {4, 8, 512, 64}, {4, 8, 512, 64}},
       [](const Inputs& in) {
         return scaled_dot_product_attention(in[0], in[1], in[2], {.causal = true});
       },
       "F.scaled_dot_product_attention(x, w, b, is_causal=True)",
       1.2},
      {"lstm of 256 cells [32, 100, 256]",
       {{32, 100, 256}, {1024, 256}, {1024, 256}, {1024}, {1024}},
       [](const Inputs& in) {
         return lstm(in[0], {{in[1], in[2], in[3], in[4]}}).output;
       },
       "torch.lstm(x, [x.new_zeros(1, 32, 256)] * 2, [w, b, c, d], True, 1, 0, True, False, "
       "True)[0]",
       1},
      {"rnn of 256 cells [32, 100, 256]",
       {{32, 100, 256}, {256, 256}, {256, 256}, {256}, {256}},
       [](const Inputs& in) {
         return rnn(in[0], {{in[1], in[2], in[3], in[4]}}).output;
       },
       "torch.rnn_tanh(x, x.new_zeros(1, 32, 256), [w, b, c, d], True, 1, 0, True, False, "
       "True)[0]"},
  };
  return all;
}

// Twice: ReLU, depthwise, 1x1 convolution, batch normalisation without weight and bias.
template <std::int64_t kBorder>
Variable separable_block(const Inputs& in) {
  Variable y = in[0];
  for (const std::size_t first : {1, 3}) {
    y = conv2d(relu(y), in[first], {},
               {.padding = {kBorder, kBorder, kBorder, kBorder}, .groups = y.size(1)});
    y = batch_norm(conv2d(y, in[first + 1]), {}, {}, {}, {}, {.training = true});
  }
  return y;
}

template <std::int64_t kBorder>
Case separable_case() {
  const std::int64_t kernel = 2 * kBorder + 1;
  const auto half = [&](const std::string& x, const char* depthwise, const char* pointwise) {
    return "F.batch_norm(F.conv2d(F.conv2d(F.relu(" + x + "), " + depthwise +
           ", padding=" + std::to_string(kBorder) + ", groups=64), " + pointwise +
           "), None, None, None, None, True)";
  };
  const Shape depthwise = {64, 1, kernel, kernel}, pointwise = {64, 64, 1, 1};
  const std::string size = std::to_string(kernel);
  return {"separable block " + size + "x" + size + " [32, 64, 32, 32]",
          {{32, 64, 32, 32}, depthwise, pointwise, depthwise, pointwise},
          separable_block<kBorder>,
          half(half("x", "w", "b"), "c", "d"),
          1.5,
          true};
}

void run_cases(const Setting& setting, const std::string& title, const std::vector<Case>& cases) {
  setting.report.heading(title + ": values, and values with all gradients of their sum");
  for (const Case& one : cases) {
    Inputs inputs;
    for (const Shape& shape : one.shapes) {
      inputs.emplace_back(randn(shape), true);
    }
    std::optional<PyTorch::Prepared> item;
    if (setting.pytorch != nullptr) {
      const nlohmann::json arguments = {
          {"shapes", one.shapes}, {"expression", one.pytorch}, {"images", one.images}};
      item = setting.pytorch->prepare("function", arguments.dump());
    }
    const auto row = [&](const std::string& pass, std::function<void()> work, double asked) {
      std::vector<std::optional<Contender>> peers;
      if (item) peers.push_back(asking(setting.pytorch->contender(*item, pass), asked));
      setting.report.contest(one.name + ", " + pass, ours(std::move(work)), peers);
    };
    row(
        "forward",
        [&] {
          const NoGrad no_grad;
          one.ours(inputs);
        },
        0);
    row(
        "with gradients", [&] { grad(sum(one.ours(inputs)), inputs); }, one.asked);
    if (setting.pytorch != nullptr) setting.pytorch->drop();
  }
}

}  // namespace

void normalisation_items(const Setting& setting) {
  run_cases(setting, "Normalisation", normalisations());
}

void separable_items(const Setting& setting) {
  run_cases(setting, "Separable convolutions", {separable_case<1>(), separable_case<2>()});
}

void function_items(const Setting& setting) { run_cases(setting, "Functions", functions()); }

}  // namespace serenade::bench
