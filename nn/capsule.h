#pragma once
// Capsule layers (Sabour, Frosst & Hinton 2017). A capsule is a small vector: its direction says
// how a thing looks, its length, below 1, how sure the network is that the thing is there.

#include <array>
#include <optional>

#include "nn/layer.h"

namespace serenade {

/// Capsules straight from an image: one strided convolution, cut into vectors, squashed.
/// x: [N, in_channels, F, T]; result [N, types * F' * T', dim]. With 'same' padding F' = ceil(F /
/// stride[0]), with explicit padding F' = (F + top + bottom - KH) / stride[0] + 1, rounded down; T'
/// likewise. Channel type * dim + component of the convolution is component `component` of type
/// `type`; capsule index = (type, bin, step), row-major.
/// Parameters: weight [types * dim, in_channels, KH, KW], Xavier uniform; bias [types * dim],
/// zeros.
class PrimaryCapsules : public Layer {
 public:
  struct Options {
    std::int64_t in_channels = 0;
    std::int64_t types = 8;
    std::int64_t dim = 8;
    std::array<std::int64_t, 2> kernel_size = {5, 5};
    std::array<std::int64_t, 2> stride = {4, 2};
    std::optional<Padding> padding = {};  ///< not given: 'same', the odd zero on the high side
  };

  explicit PrimaryCapsules(const Options& options);
  Variable forward(const Variable& x) override;

  /// How many capsules an image of F bins and T steps gives. Throws std::invalid_argument where it
  /// is smaller, padding included, than the kernel.
  std::int64_t capsule_count(std::int64_t bins, std::int64_t steps) const;

  const Options options;
  Parameter weight;
  Parameter bias;

 private:
  Padding padding_of(std::int64_t bins, std::int64_t steps) const;
};

/// Votes and dynamic routing: u_hat_ij = u_i W_ij, then routing by agreement (capsule_routing() in
/// autograd/functions.h). u: [N, in_capsules, in_dim]; result [N, out_capsules, out_dim].
/// Parameters: weight [in_capsules, out_capsules, in_dim, out_dim], Xavier uniform per matrix; bias
/// [out_capsules, out_dim], zeros. With `shared` the weight is [1, out_capsules, in_dim, out_dim],
/// the same for every input capsule, of which there may then be any number.
class CapsuleLayer : public Layer {
 public:
  struct Options {
    std::int64_t in_capsules = 0;  ///< not read with `shared`
    std::int64_t out_capsules = 0;
    std::int64_t in_dim = 0;
    std::int64_t out_dim = 0;
    int iterations = 3;
    RoutingGradient gradient = RoutingGradient::full;
    bool shared = false;
    bool bias = true;
    double gain = 1;  ///< of the initial weights
  };

  explicit CapsuleLayer(const Options& options);

  Variable forward(const Variable& u) override { return forward(u, Indices{}); }
  /// lengths: one per sample, or empty; input capsules at and beyond it take no part.
  Variable forward(const Variable& u, const Indices& lengths);

  const Options options;
  Parameter weight;
  Parameter bias;  ///< undefined without bias
};

}  // namespace serenade
