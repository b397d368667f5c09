#include <cmath>
#include <utility>

#include "autograd/functions/index.h"
#include "nn/data/batch.h"
#include "nn/data/transform.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// The logarithm of a draw from Gamma(shape, 1), by Marsaglia and Tsang (2000): their method for
// shape + 1, times U^(1 / shape). For a small shape the draw itself may be too small for a number.
double log_gamma_draw(const RandomKey& key, double shape) {
  const double d = shape + 1 - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  const RandomKey normals = split_key(key, 0), uniforms = split_key(key, 1);
  const double log_boost = std::log1p(-uniform(uniforms, 0)) / shape;
  for (std::uint64_t attempt = 1;; ++attempt) {
    const double x = normal(normals, attempt);
    const double v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log1p(-uniform(uniforms, attempt)) < 0.5 * x * x + d - d * v + d * std::log(v)) {
      return std::log(d * v) + log_boost;
    }
  }
}

// Row i of `rows` [N, ..] with its partner's: w row_i + (1 - w) row_j.
Tensor mix_rows(const Tensor& rows, const std::vector<std::int64_t>& partners, real w) {
  if (partners.empty()) return rows;
  const Tensor from = rows.contiguous();
  Tensor mixed = Tensor::empty(from.shape());
  const std::int64_t size = from.numel() / std::ssize(partners);
  for (std::size_t i = 0; i < partners.size(); ++i) {
    const real* own = from.data() + static_cast<std::int64_t>(i) * size;
    const real* other = from.data() + partners[i] * size;
    real* to = mixed.data() + static_cast<std::int64_t>(i) * size;
    for (std::int64_t k = 0; k < size; ++k) to[k] = w * own[k] + (1 - w) * other[k];
  }
  return mixed;
}

}  // namespace

double symmetric_beta(const RandomKey& key, double alpha) {
  check(alpha > 0 && std::isfinite(alpha), "symmetric_beta",
        "alpha must be finite and above 0; got ", alpha);
  // X / (X + Y) of two draws from Gamma(alpha, 1).
  const double difference =
      log_gamma_draw(split_key(key, 1), alpha) - log_gamma_draw(split_key(key, 0), alpha);
  return 1 / (1 + std::exp(difference));
}

BatchTransform mixup(MixupOptions options) {
  constexpr const char* kOp = "mixup";
  check(options.alpha > 0 && std::isfinite(options.alpha), kOp,
        "alpha must be finite and above 0; got ", options.alpha);
  check(options.num_classes >= 0, kOp, "num_classes must not be negative; got ",
        options.num_classes);
  return [options](Batch batch, const RandomKey& key) {
    const std::int64_t count = batch.size();
    if (!batch.target.defined()) {
      check(std::ssize(batch.labels) == count, kOp, "the samples must have labels or a target");
      for (const std::int64_t label : batch.labels) {
        check(label >= 0 && label < options.num_classes, kOp, "labels must be in 0 .. ",
              options.num_classes - 1, "; got ", label);
      }
      batch.target = one_hot(batch.labels, options.num_classes);
    }
    check(batch.target.dim() >= 1 && batch.target.size(0) == count, kOp,
          "the target must be [N, ..] as the input is; got ", batch.target.shape(), " for ",
          batch.input.shape());
    const real w = static_cast<real>(symmetric_beta(split_key(key, 0), options.alpha));
    const std::vector<std::int64_t> partners = permutation(split_key(key, 1), count);
    batch.input = mix_rows(batch.input, partners, w);
    batch.target = mix_rows(batch.target, partners, w);
    return batch;
  };
}

}  // namespace serenade
