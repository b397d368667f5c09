// Recurrent functions: the GRU, its last state, and attention pooling over its outputs.

#include <limits>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/optional.h"
#include "autograd/functions/sequences.h"
#include "kernels/gru/gru.h"
#include "kernels/runtime/memory.h"
#include "tensor/check.h"

namespace serenade {

namespace {

GruSizes checked_sizes(const Variable& x, const std::vector<GruWeights>& directions,
                       const Variable& h0, const GruOptions& options) {
  check(x.defined() && x.dim() == 3, "gru", "x must be [N, T, D]; got ",
        x.defined() ? x.shape() : Shape{});
  check(x.numel() > 0, "gru", "x must not be empty; got ", x.shape());
  check(directions.size() == 1 || directions.size() == 2, "gru",
        "there must be one or two directions; got ", directions.size());
  const Variable& recurrent = directions[0].weight_hh;
  check(recurrent.defined() && recurrent.dim() == 2 && recurrent.size(1) >= 1, "gru",
        "weight_hh must be [3 H, H]; got ", recurrent.defined() ? recurrent.shape() : Shape{});
  GruSizes sizes;
  sizes.batch = x.size(0);
  sizes.steps = x.size(1);
  sizes.inputs = x.size(2);
  sizes.hidden = recurrent.size(1);
  sizes.directions = static_cast<std::int64_t>(directions.size());
  sizes.reset_after = options.reset == GruReset::after;
  const std::int64_t H = sizes.hidden;
  for (const GruWeights& weights : directions) {
    check_shape("gru", "weight_ih", weights.weight_ih, {3 * H, sizes.inputs});
    check_shape("gru", "weight_hh", weights.weight_hh, {3 * H, H});
    check_shape("gru", "bias_ih", weights.bias_ih, {3 * H});
    if (!weights.bias_hh.defined()) continue;
    check(sizes.reset_after, "gru", "bias_hh must be undefined with GruReset::before; got ",
          weights.bias_hh.shape());
    check_shape("gru", "bias_hh", weights.bias_hh, {3 * H});
  }
  for (const GruWeights& w : directions) {
    check_same_device("gru", x, h0, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh);
  }
  if (h0.defined()) check_shape("gru", "h0", h0, {sizes.directions, sizes.batch, H});
  check_lengths("gru", options.lengths, sizes.batch, sizes.steps);
  element_count({sizes.directions, sizes.batch, sizes.steps, 4, sizes.hidden}, "gru");
  return sizes;
}

/// Values of the inputs in the order of gru's node: x, h0, then four weights per direction.
constexpr std::size_t kX = 0, kH0 = 1, kWeights = 2, kPerDirection = 4;

std::vector<GruParameters> parameter_pointers(const std::vector<Tensor>& inputs) {
  const auto pointer = [&](std::size_t i) {
    return inputs[i].defined() ? inputs[i].data() : nullptr;
  };
  std::vector<GruParameters> parameters;
  for (std::size_t i = kWeights; i < inputs.size(); i += kPerDirection) {
    parameters.push_back({.weight_ih = pointer(i),
                          .weight_hh = pointer(i + 1),
                          .bias_ih = pointer(i + 2),
                          .bias_hh = pointer(i + 3)});
  }
  return parameters;
}

const real* start_pointer(const std::vector<Tensor>& inputs) {
  return inputs[kH0].defined() ? inputs[kH0].data() : nullptr;
}

}  // namespace

Variable gru(const Variable& x, const std::vector<GruWeights>& directions, const Variable& h0,
             const GruOptions& options) {
  const GruSizes sizes = checked_sizes(x, directions, h0, options);
  std::vector<Variable> inputs = {x, h0};
  for (const GruWeights& w : directions) {
    inputs.insert(inputs.end(), {w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh});
  }
  std::vector<Tensor> values;
  for (const Variable& input : inputs) {
    values.push_back(contiguous_or_none(input));
  }
  const Shape saved_shape = {sizes.directions, sizes.batch, sizes.steps, 4, sizes.hidden};
  Tensor saved = Tensor::empty(saved_shape, x.device());
  Tensor y = Tensor::empty({sizes.batch, sizes.steps, sizes.directions * sizes.hidden}, x.device());
  KERNEL(x.device(), gru_forward, y.data(), saved.data(), values[kX].data(), start_pointer(values),
         parameter_pointers(values).data(), lengths_or_null(options.lengths), sizes);
  return make_result(
      "gru", y, inputs,
      [values, y, saved, lengths = options.lengths, sizes](const Tensor& dy, Gradients& d) {
        std::vector<GruParameterGradients> gradients;
        for (std::size_t i = kWeights; i < values.size(); i += kPerDirection) {
          gradients.push_back({.weight_ih = wanted(d, i),
                               .weight_hh = wanted(d, i + 1),
                               .bias_ih = wanted(d, i + 2),
                               .bias_hh = wanted(d, i + 3)});
        }
        KERNEL(dy.device(), gru_backward, wanted(d, kX), wanted(d, kH0), gradients.data(),
               dy.data(), y.data(), saved.data(), values[kX].data(), start_pointer(values),
               parameter_pointers(values).data(), lengths_or_null(lengths), sizes);
      });
}

Variable gru_last_state(const Variable& output, std::int64_t directions, const Indices& lengths) {
  check_defined("gru_last_state", output);
  const char* op = "gru_last_state";
  check(directions == 1 || directions == 2, op, "there must be one or two directions; got ",
        directions);
  check(output.dim() == 3 && output.numel() > 0 && output.size(2) % directions == 0, op,
        "output must be [N, T, directions * H]; got ", output.shape(), " with ", directions,
        " directions");
  const std::int64_t N = output.size(0), T = output.size(1), H = output.size(2) / directions;
  check_lengths(op, lengths, N, T);
  // Where state (k, n) begins in the output, which is [N, T, directions, H].
  const auto place = [directions, lengths, T, H](std::int64_t k, std::int64_t n) {
    const std::int64_t last = lengths.empty() ? T - 1 : lengths[n] - 1;
    return ((n * T + (k == 0 ? last : 0)) * directions + k) * H;
  };
  const Tensor source = output.value().contiguous();
  Tensor y = Tensor::empty({directions, N, H}, output.device());
  for (std::int64_t i = 0; i < directions * N; ++i) {
    KERNEL(output.device(), copy, y.data() + i * H, source.data() + place(i / N, i % N), H);
  }
  return make_result(
      op, y, {output},
      [place, directions, N, H](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        for (std::int64_t i = 0; i < directions * N; ++i) {
          KERNEL(dy.device(), accumulate, d[0].data() + place(i / N, i % N), dy.data() + i * H, H);
        }
      },
      Saves::nothing);
}

namespace {

/// [N, T]: 0 at valid steps, -infinity beyond. Every sequence has a valid step, so the softmax over
/// time is finite, and the steps beyond get a weight and a gradient of exactly 0.
Tensor length_mask(const Indices& lengths, std::int64_t steps, Device device) {
  std::vector<real> mask;
  for (const std::int64_t length : lengths) {
    for (std::int64_t t = 0; t < steps; ++t) {
      mask.push_back(t < length ? real(0) : -std::numeric_limits<real>::infinity());
    }
  }
  return Tensor::from(mask, {static_cast<std::int64_t>(lengths.size()), steps}, device);
}

}  // namespace

Variable attention_pooling(const Variable& h, const AttentionWeights& weights,
                           const AttentionOptions& options) {
  check_defined("attention_pooling", h);
  const char* op = "attention_pooling";
  check(h.dim() == 3 && h.numel() > 0, op, "h must be [N, T, D]; got ", h.shape());
  check(weights.proj_weight.defined() && weights.proj_weight.dim() == 2, op,
        "proj_weight must be [C, D]; got ",
        weights.proj_weight.defined() ? weights.proj_weight.shape() : Shape{});
  check(weights.top_down_weight.defined() && weights.top_down_weight.dim() == 2, op,
        "top_down_weight must be [classes, C]; got ",
        weights.top_down_weight.defined() ? weights.top_down_weight.shape() : Shape{});
  const std::int64_t N = h.size(0), T = h.size(1);
  const std::int64_t C = weights.proj_weight.size(0), classes = weights.top_down_weight.size(0);
  check_shape(op, "proj_weight", weights.proj_weight, {C, h.size(2)});
  check_shape(op, "proj_bias", weights.proj_bias, {C});
  check_shape(op, "bottom_up", weights.bottom_up, {C});
  check_shape(op, "top_down_weight", weights.top_down_weight, {classes, C});
  check_shape(op, "top_down_bias", weights.top_down_bias, {classes});
  check_lengths(op, options.lengths, N, T);

  Variable z = linear(h, weights.proj_weight, weights.proj_bias);
  if (options.relu) z = relu(z);
  Variable evidence = reshape(linear(z, reshape(weights.bottom_up, {1, C})), {N, T});
  if (!options.lengths.empty()) {
    evidence = evidence + Variable(length_mask(options.lengths, T, h.device()));
  }
  const Variable attention = reshape(softmax(evidence, 1), {N, 1, T});
  const Variable top_down = linear(z, weights.top_down_weight, weights.top_down_bias);
  return reshape(matmul(attention, top_down), {N, classes});
}

}  // namespace serenade
