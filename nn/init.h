#pragma once
// Initial values of weights. Every function returns a fresh tensor on the CPU, drawn from the
// default generator (tensor/random.h: manual_seed, next_default_key), so a model is a function of
// the seed and of the order in which its layers are made.
//
// Fans (Glorot & Bengio 2010): a weight [out, in] has fan_in = in, fan_out = out; a convolution
// [out, in, KH, KW] has fan_in = in KH KW and fan_out = out KH KW.

#include "tensor/tensor.h"

namespace serenade::init {

/// While one of these lives, the functions below return zeros: for networks whose weights are about
/// to be read from a file, where drawing them would take longer than reading. Of this thread.
class SkipInit {
 public:
  SkipInit();
  ~SkipInit();
  SkipInit(const SkipInit&) = delete;
  SkipInit& operator=(const SkipInit&) = delete;

 private:
  bool before_;
};

struct Fans {
  std::int64_t in = 0;
  std::int64_t out = 0;
};

/// The fans of a weight with two axes or more; throws for fewer.
Fans fans(const Shape& shape);

Tensor zeros(const Shape& shape);
Tensor constant(const Shape& shape, real value);
Tensor uniform(const Shape& shape, real low, real high);
Tensor normal(const Shape& shape, real mean, real stddev);

/// Uniform in +-gain sqrt(6 / (fan_in + fan_out)): keeps the variance of activations and gradients
/// about equal from layer to layer (Glorot & Bengio 2010, Eq. 16).
Tensor xavier_uniform(const Shape& shape, double gain = 1);
/// Normal of stddev gain sqrt(2 / (fan_in + fan_out)).
Tensor xavier_normal(const Shape& shape, double gain = 1);

/// Uniform in +-gain sqrt(3 / fan_in); the default gain sqrt(2) suits a ReLU, which throws away
/// half of the variance (He et al. 2015, Eq. 10).
Tensor kaiming_uniform(const Shape& shape, double gain = 1.4142135623730951);
/// Normal of stddev gain / sqrt(fan_in).
Tensor kaiming_normal(const Shape& shape, double gain = 1.4142135623730951);

/// [rows, columns] with orthonormal rows (rows <= columns) or columns (otherwise), times gain:
/// keeps lengths through many recurrent steps (Saxe et al. 2014). Gram-Schmidt, done twice, in
/// double, on a normal matrix, which makes the result uniform over the orthogonal matrices.
Tensor orthogonal(const Shape& shape, double gain = 1);

/// `blocks` matrices one above the other, each drawn by itself: the stacked gates of a recurrent
/// layer, whose fans are those of one gate. shape: [blocks * rows, columns].
Tensor xavier_uniform_blocks(const Shape& shape, std::int64_t blocks, double gain = 1);
Tensor orthogonal_blocks(const Shape& shape, std::int64_t blocks, double gain = 1);

/// Vote matrices of a capsule layer, shape [I, J, D, O]: each D x O matrix is Xavier-uniform by
/// itself, +-gain sqrt(6 / (D + O)). The number of input capsules does not count as a fan, because
/// routing shares their votes out over the outputs.
Tensor vote_init(const Shape& shape, double gain = 1);

}  // namespace serenade::init
