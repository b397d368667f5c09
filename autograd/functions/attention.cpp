#include "autograd/functions/attention.h"

#include <cmath>
#include <limits>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/optional.h"
#include "kernels/attention/attention.h"
#include "tensor/check.h"

namespace serenade {

namespace {

constexpr const char* kName = "scaled_dot_product_attention";

// [.., rows, columns] as [B, rows, columns].
struct Matrices {
  Shape leading;
  std::int64_t rows, columns;

  explicit Matrices(const Variable& x)
      : leading(x.shape().begin(), x.shape().end() - 2), rows(x.size(-2)), columns(x.size(-1)) {}
};

AttentionSizes check_sizes(const Variable& query, const Variable& key, const Variable& value,
                           const DotProductAttentionOptions& options) {
  for (const Variable* x : {&query, &key, &value}) check_defined(kName, *x);
  for (const Variable* x : {&query, &key, &value}) {
    check(x->dim() >= 2, kName, "query, key and value must have at least two axes; got ",
          query.shape(), ", ", key.shape(), " and ", value.shape());
  }
  check_same_device(kName, query, key, value);
  const Matrices q(query), k(key), v(value);
  check(q.leading == k.leading && q.leading == v.leading && q.columns == k.columns &&
            k.rows == v.rows && q.columns > 0,
        kName, "must be [.., L, E], [.., S, E] and [.., S, V] with E > 0; got ", query.shape(),
        ", ", key.shape(), " and ", value.shape());
  const double scale = options.scale.value_or(1 / std::sqrt(static_cast<double>(q.columns)));
  check(std::isfinite(scale), kName, "scale must be finite; got ", scale);
  return {.batch = element_count(q.leading, kName),
          .queries = q.rows,
          .keys = k.rows,
          .size = q.columns,
          .value_size = v.columns,
          .scale = static_cast<real>(scale),
          .causal = options.causal};
}

// Mask and bias as one tensor to add, which may be undefined.
Tensor added_scores(const DotProductAttentionOptions& options, Device device) {
  for (const Tensor* x : {&options.mask, &options.bias}) {
    check(!x->defined() || x->device() == device, kName,
          "mask and bias must be on the device of the query");
  }
  if (!options.mask.defined()) return options.bias;
  const NoGrad no_grad;
  const Tensor seen = options.bias.defined() ? options.bias : Tensor({1}, device);
  const Tensor hidden = Tensor::full({1}, -std::numeric_limits<real>::infinity(), device);
  return where(options.mask, seen, hidden).value();
}

void check_broadcasts(const Shape& added, const Shape& whole) {
  bool fits = added.size() <= whole.size();
  for (std::size_t i = 1; fits && i <= added.size(); ++i) {
    const std::int64_t size = added[added.size() - i];
    fits = size == 1 || size == whole[whole.size() - i];
  }
  check(fits, kName, "mask and bias must broadcast to ", whole, "; got ", added);
}

// Lays out rows of S for the kernel, which shares rows among queries and among two axes of the
// batch; what is shared otherwise is written out.
Tensor bias_rows(const Tensor& added, const Shape& leading, AttentionSizes& s) {
  if (!added.defined()) return added;
  Shape whole = leading;
  whole.push_back(s.queries);
  whole.push_back(s.keys);
  check_broadcasts(added.shape(), whole);
  Tensor rows = added.expand(whole);
  const auto stride = [&rows](std::int64_t axis) {
    return rows.size(axis) == 1 ? 0 : rows.strides()[static_cast<std::size_t>(axis)];
  };
  const auto axes = static_cast<std::int64_t>(leading.size());
  const bool as_it_is = axes <= 2 && (s.keys <= 1 || rows.strides().back() == 1);
  if (!as_it_is) {
    rows = rows.contiguous();
    s.outer_stride = s.queries * s.keys;  // inner is 1
    s.row_stride = s.keys;
    return rows;
  }
  s.inner = axes == 2 ? leading[1] : 1;
  if (axes >= 1) s.outer_stride = stride(0);
  if (axes == 2) s.inner_stride = stride(1);
  s.row_stride = stride(axes);
  return rows;
}

}  // namespace

Variable scaled_dot_product_attention(const Variable& query, const Variable& key,
                                      const Variable& value,
                                      const DotProductAttentionOptions& options) {
  AttentionSizes s = check_sizes(query, key, value, options);
  const Matrices matrices(query);
  const Tensor bias = bias_rows(added_scores(options, query.device()), matrices.leading, s);
  const Tensor q = query.value().contiguous(), k = key.value().contiguous(),
               v = value.value().contiguous();
  Shape shape = matrices.leading;
  shape.push_back(s.queries);
  shape.push_back(s.value_size);
  Tensor y = Tensor::empty(shape, q.device());
  Tensor log_sum = Tensor::empty({s.batch, s.queries}, q.device());
  KERNEL(q.device(), attention_forward, y.data(), log_sum.data(), q.data(), k.data(), v.data(),
         pointer_or_null(bias), s);
  // A bias has no gradient, but must not change before backward has read it.
  const Variable added = options.bias.defined() ? Variable(options.bias) : Variable();
  return make_result(kName, y, {query, key, value, added},
                     [y, log_sum, q, k, v, bias, s](const Tensor& dy, Gradients& d) {
                       KERNEL(dy.device(), attention_backward, wanted(d, 0), wanted(d, 1),
                              wanted(d, 2), dy.data(), y.data(), log_sum.data(), q.data(), k.data(),
                              v.data(), pointer_or_null(bias), s);
                     });
}

}  // namespace serenade
