#include "nn/transformer.h"

#include "nn/init.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// Which keys are within their sequence: [N, 1, 1, S].
Tensor within(const Indices& lengths, std::int64_t N, std::int64_t S, Device device) {
  check(static_cast<std::int64_t>(lengths.size()) == N, "MultiheadAttention",
        "there must be a length for each of ", N, " sequences; got ", lengths.size());
  Tensor mask({N, 1, 1, S});
  for (std::int64_t n = 0; n < N; ++n) {
    const std::int64_t length = lengths[static_cast<std::size_t>(n)];
    check(length >= 1 && length <= S, "MultiheadAttention", "lengths must be 1 .. ", S, "; got ",
          length);
    for (std::int64_t t = 0; t < length; ++t) mask.data()[n * S + t] = 1;
  }
  return mask.to(device);
}

}  // namespace

MultiheadAttention::MultiheadAttention(const Options& chosen)
    : options(chosen),
      out_proj({.in_features = chosen.embed_dim,
                .out_features = chosen.embed_dim,
                .bias = chosen.bias}) {
  const std::int64_t E = options.embed_dim;
  check(options.num_heads > 0 && E % options.num_heads == 0, "MultiheadAttention",
        "num_heads must be positive and divide embed_dim; got ", options.num_heads, " and ", E);
  in_proj_weight = register_parameter("in_proj_weight", init::xavier_uniform({3 * E, E}));
  if (options.bias) in_proj_bias = register_parameter("in_proj_bias", init::zeros({3 * E}));
  register_module("out_proj", out_proj);
}

// [N, T, E] as [N, heads, T, E / heads].
Variable MultiheadAttention::heads_of(const Variable& x) const {
  const std::int64_t heads = options.num_heads;
  return permute(reshape(x, {x.size(0), x.size(1), heads, options.embed_dim / heads}),
                 {0, 2, 1, 3});
}

Variable MultiheadAttention::attend(const Variable& query, const Variable& key,
                                    const Variable& value, const AttentionScope& scope) {
  DotProductAttentionOptions seen{.mask = scope.mask, .causal = scope.causal};
  if (!scope.lengths.empty()) {
    const Tensor valid = within(scope.lengths, key.size(0), key.size(1), key.device());
    seen.mask = seen.mask.defined() ? mul(valid, seen.mask).value() : valid;
  }
  const Variable y =
      scaled_dot_product_attention(heads_of(query), heads_of(key), heads_of(value), seen);
  return out_proj.forward(reshape(permute(y, {0, 2, 1, 3}), query.shape()));
}

Variable MultiheadAttention::forward(const Variable& x, const AttentionScope& scope) {
  check(x.dim() == 3 && x.size(2) == options.embed_dim, "MultiheadAttention", "x must be [N, T, ",
        options.embed_dim, "]; got ", x.shape());
  const std::vector<Variable> parts = chunk(linear(x, in_proj_weight, in_proj_bias), 3, -1);
  return attend(parts[0], parts[1], parts[2], scope);
}

Variable MultiheadAttention::forward(const Variable& query, const Variable& key,
                                     const Variable& value, const AttentionScope& scope) {
  const std::int64_t E = options.embed_dim;
  for (const Variable* x : {&query, &key, &value}) {
    check(x->dim() == 3 && x->size(2) == E && x->size(0) == query.size(0) &&
              key.size(1) == value.size(1),
          "MultiheadAttention", "must be [N, L, ", E, "] and twice [N, S, ", E, "]; got ",
          query.shape(), ", ", key.shape(), " and ", value.shape());
  }
  const auto projected = [&](const Variable& x, std::int64_t part) {
    const Variable bias = in_proj_bias.defined() ? slice(in_proj_bias, 0, part * E, E) : Variable();
    return linear(x, slice(in_proj_weight, 0, part * E, E), bias);
  };
  return attend(projected(query, 0), projected(key, 1), projected(value, 2), scope);
}

TransformerEncoderLayer::TransformerEncoderLayer(const Options& chosen)
    : options(chosen),
      self_attn({.embed_dim = chosen.d_model, .num_heads = chosen.nhead}),
      linear1({.in_features = chosen.d_model, .out_features = chosen.dim_feedforward}),
      linear2({.in_features = chosen.dim_feedforward, .out_features = chosen.d_model}),
      norm1({.normalized_shape = {chosen.d_model}, .epsilon = chosen.layer_norm_eps}),
      norm2({.normalized_shape = {chosen.d_model}, .epsilon = chosen.layer_norm_eps}),
      dropout({.p = chosen.dropout}),
      dropout1({.p = chosen.dropout}),
      dropout2({.p = chosen.dropout}) {
  register_module("self_attn", self_attn);
  register_module("linear1", linear1);
  register_module("linear2", linear2);
  register_module("norm1", norm1);
  register_module("norm2", norm2);
  register_module("dropout", dropout);
  register_module("dropout1", dropout1);
  register_module("dropout2", dropout2);
}

Variable TransformerEncoderLayer::feed_forward(const Variable& x) {
  const Variable hidden = linear1.forward(x);
  const Variable active =
      options.activation == TransformerActivation::relu ? relu(hidden) : gelu(hidden);
  return dropout2.forward(linear2.forward(dropout.forward(active)));
}

Variable TransformerEncoderLayer::forward(const Variable& x, const AttentionScope& scope) {
  const auto attention = [&](const Variable& z) {
    return dropout1.forward(self_attn.forward(z, scope));
  };
  if (options.norm_first) {
    const Variable y = x + attention(norm1.forward(x));
    return y + feed_forward(norm2.forward(y));
  }
  const Variable y = norm1.forward(x + attention(x));
  return norm2.forward(y + feed_forward(y));
}

}  // namespace serenade
