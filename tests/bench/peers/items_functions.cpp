// Normalisation, separable convolutions, products, pools, losses, attention and recurrent layers
// beside PyTorch's.

#include <string>
#include <vector>

#include "autograd/functions.h"
#include "tests/bench/peers/function_case.h"
#include "tests/bench/peers/items.h"

namespace serenade::bench {

namespace {

const std::vector<Case>& normalisations() {
  static const std::vector<Case> all = {
      {"batch_norm [32, 64, 56, 56]",
       {{32, 64, 56, 56}, {64}, {64}},
       OURS(batch_norm(x, {}, {}, w, b, {.training = true})),
       "F.batch_norm(x, None, None, w, b, True)",
       {.asked = 1.5}},
      {"batch_norm [128, 16, 32, 32]",
       {{128, 16, 32, 32}, {16}, {16}},
       OURS(batch_norm(x, {}, {}, w, b, {.training = true})),
       "F.batch_norm(x, None, None, w, b, True)",
       {.asked = 1.5}},
      {"batch_norm [4096, 256]",
       {{4096, 256}, {256}, {256}},
       OURS(batch_norm(x, {}, {}, w, b, {.training = true})),
       "F.batch_norm(x, None, None, w, b, True)"},
      {"layer_norm [32, 512, 256]",
       {{32, 512, 256}, {256}, {256}},
       OURS(layer_norm(x, {256}, w, b)),
       "F.layer_norm(x, (256,), w, b)",
       {.asked = 1.5}},
      {"layer_norm [64, 100, 768]",
       {{64, 100, 768}, {768}, {768}},
       OURS(layer_norm(x, {768}, w, b)),
       "F.layer_norm(x, (768,), w, b)",
       {.asked = 1.5}},
      {"rms_norm [32, 512, 256]",
       {{32, 512, 256}, {256}},
       OURS(rms_norm(x, {256}, w)),
       "F.rms_norm(x, (256,), w)"},
      {"group_norm of 8, [32, 64, 56, 56]",
       {{32, 64, 56, 56}, {64}, {64}},
       OURS(group_norm(x, 8, w, b)),
       "F.group_norm(x, 8, w, b)"},
  };
  return all;
}

const std::vector<Case>& functions() {
  static const std::vector<Case> all = {
      {"matmul [16, 8, 128, 64] x [64, 128]",
       {{16, 8, 128, 64}, {64, 128}},
       OURS(matmul(x, w)),
       "x @ w"},
      {"max_pool2d 3x3, stride 1, [32, 64, 32, 32]",
       {{32, 64, 32, 32}},
       OURS(max_pool2d(x, {3, 3}, {{1, 1}, {1, 1}})),
       "F.max_pool2d(x, 3, 1, 1)",
       {.asked = 1.5}},
      {"avg_pool2d 3x3, stride 1, [32, 64, 32, 32]",
       {{32, 64, 32, 32}},
       OURS(avg_pool2d(x, {3, 3}, {{1, 1}, {1, 1}})),
       "F.avg_pool2d(x, 3, 1, 1)",
       {.asked = 1.5}},
      {"max_pool2d 3x3, stride 2, [32, 64, 56, 56]",
       {{32, 64, 56, 56}},
       OURS(max_pool2d(x, {3, 3}, {{2, 2}, {1, 1}})),
       "F.max_pool2d(x, 3, 2, 1)"},
      {"mse_loss of a million",
       {{1024, 1024}, {1024, 1024}},
       OURS(mse_loss(x, w)),
       "F.mse_loss(x, w)"},
      {"cross_entropy of shares [4096, 1000]",
       {{4096, 1000}, {4096, 1000}},
       OURS(cross_entropy(x, w)),
       "F.cross_entropy(x, w)"},
      {"attention of 8 heads [4, 8, 512, 64]",
       {{4, 8, 512, 64}, {4, 8, 512, 64}, {4, 8, 512, 64}},
       OURS(scaled_dot_product_attention(x, w, b)),
       "F.scaled_dot_product_attention(x, w, b)",
       {.asked = 1.2}},
      {"attention of 8 heads, causal [4, 8, 512, 64]",
       {{4, 8, 512, 64}, {4, 8, 512, 64}, {4, 8, 512, 64}},
       OURS(scaled_dot_product_attention(x, w, b, {.causal = true})),
       "F.scaled_dot_product_attention(x, w, b, is_causal=True)",
       {.asked = 1.2}},
      {"lstm of 256 cells [32, 100, 256]",
       {{32, 100, 256}, {1024, 256}, {1024, 256}, {1024}, {1024}},
       OURS(lstm(x, {{w, b, c, d}}).output),
       "torch.lstm(x, [x.new_zeros(1, 32, 256)] * 2, [w, b, c, d], True, 1, 0, True, False, "
       "True)[0]",
       {.asked = 1, .range = {-0.1, 0.1}}},
      {"rnn of 256 cells [32, 100, 256]",
       {{32, 100, 256}, {256, 256}, {256, 256}, {256}, {256}},
       OURS(rnn(x, {{w, b, c, d}}).output),
       "torch.rnn_tanh(x, x.new_zeros(1, 32, 256), [w, b, c, d], True, 1, 0, True, False, "
       "True)[0]",
       {.range = {-0.1, 0.1}}},
  };
  return all;
}

// Twice: ReLU, depthwise, 1x1 convolution, batch normalisation without weight and bias.
template <std::int64_t kBorder>
Variable separable_half(const Variable& x, const Variable& depthwise, const Variable& pointwise) {
  const Variable y = conv2d(relu(x), depthwise, {},
                            {.padding = {kBorder, kBorder, kBorder, kBorder}, .groups = x.size(1)});
  return batch_norm(conv2d(y, pointwise), {}, {}, {}, {}, {.training = true});
}

template <std::int64_t kBorder>
Variable separable_block(const Named& in) {
  return separable_half<kBorder>(separable_half<kBorder>(in.x, in.w, in.b), in.c, in.d);
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
          {.asked = 1.5, .images = true}};
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
