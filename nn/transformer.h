#pragma once
// Attention of several heads, and the layer that transformers are made of (Vaswani et al. 2017).

#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/normalisation.h"
#include "tensor/enum_names.h"

namespace serenade {

/// Who sees whom.
struct AttentionScope {
  bool causal = false;   ///< step i sees the steps 0 .. i only
  Indices lengths = {};  ///< valid keys of each sequence, 1 .. S; empty: all
  Tensor mask = {};      ///< not 0 where a query sees a key; broadcasts to [N, heads, L, S]
};

/// Attention in num_heads parts of the width: each part of the projected query, key and value meets
/// in scaled_dot_product_attention(), and the results, side by side, are projected once more.
/// query: [N, L, embed_dim]; key, value: [N, S, embed_dim]; result [N, L, embed_dim].
/// Parameters: in_proj_weight [3 embed_dim, embed_dim], rows for query, key, value; in_proj_bias
/// [3 embed_dim]; out_proj.weight [embed_dim, embed_dim], out_proj.bias [embed_dim]. Xavier
/// uniform, biases zero.
class MultiheadAttention : public Layer {
 public:
  struct Options {
    std::int64_t embed_dim = 0;
    std::int64_t num_heads = 1;  ///< divides embed_dim
    bool bias = true;
  };

  explicit MultiheadAttention(const Options& options);

  /// Of a sequence to itself.
  Variable forward(const Variable& x) override { return forward(x, AttentionScope{}); }
  Variable forward(const Variable& x, const AttentionScope& scope);
  Variable forward(const Variable& query, const Variable& key, const Variable& value,
                   const AttentionScope& scope = {});

  const Options options;
  Parameter in_proj_weight, in_proj_bias;  ///< the bias undefined without `bias`
  Linear out_proj;

 private:
  Variable heads_of(const Variable& x) const;
  Variable attend(const Variable& query, const Variable& key, const Variable& value,
                  const AttentionScope& scope);
};

enum class TransformerActivation { relu, gelu };
inline EnumNames<TransformerActivation> enum_names(TransformerActivation) {
  return {{TransformerActivation::relu, "relu"}, {TransformerActivation::gelu, "gelu"}};
}

/// One layer of an encoder. x: [N, T, d_model]; the result is shaped like x.
///   x = norm1(x + drop(self_attn(x)));  x = norm2(x + drop(linear2(drop(act(linear1(x))))))
/// With norm_first the norms stand before attention and linear1, and the sums are left as they are.
/// Parameters: those of self_attn, linear1, linear2, norm1, norm2, under these names.
class TransformerEncoderLayer : public Layer {
 public:
  struct Options {
    std::int64_t d_model = 0;
    std::int64_t nhead = 1;
    std::int64_t dim_feedforward = 2048;
    double dropout = 0.1;
    TransformerActivation activation = TransformerActivation::relu;
    real layer_norm_eps = real(1e-5);
    bool norm_first = false;
  };

  explicit TransformerEncoderLayer(const Options& options);

  Variable forward(const Variable& x) override { return forward(x, {}); }
  Variable forward(const Variable& x, const AttentionScope& scope);

  const Options options;
  MultiheadAttention self_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2;
  Dropout dropout, dropout1, dropout2;  ///< within the feed-forward part; after either part

 private:
  Variable feed_forward(const Variable& x);
};

}  // namespace serenade
