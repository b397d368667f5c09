#pragma once
// Layer: a module of one input and one output, the unit that networks are put together from.
//
//   Sequential net;
//   net.add(std::make_unique<Linear>(Linear::Options{.in_features = 8, .out_features = 16}));
//   net.add(std::make_unique<ReLU>());
//   net.add(std::make_unique<Linear>(Linear::Options{.in_features = 16, .out_features = 4}));
//   Variable scores = net.forward(x);
//
// A layer that takes more (lengths, an initial state) has a second forward for it, and treats what
// it is not given as absent.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "autograd/functions.h"
#include "nn/module.h"

namespace serenade {

/// What a layer that is linear in its weights computes: y = x W^T + b or y = x * W + b.
struct LinearForm {
  Variable weight;  ///< [out, in] of a dense layer, [out, in, KH, KW] of a convolution
  Variable bias;    ///< [out], or undefined
  // Convolutions only.
  std::array<std::int64_t, 2> stride = {1, 1};
  std::optional<Padding> padding = {};  ///< not given: 'same', the odd zero on the high side
  std::uint64_t unused_taps = 0;        ///< as conv2d takes them

  bool is_convolution() const { return weight.dim() == 4; }
  /// Stride and padding of a convolution for an input [N, in, H, W].
  Conv2dOptions conv2d_options(const Variable& x) const;
  /// y. x: [.., in] of a dense layer, [N, in, H, W] of a convolution.
  Variable operator()(const Variable& x) const;
};

class Layer : public Module {
 public:
  /// Not const: a layer may keep what it has seen (running statistics, the norms of its capsules).
  virtual Variable forward(const Variable& x) = 0;

  /// A layer that is linear in its weights says so, and may then be fused with what follows it
  /// (nn/fused.h) and merged with others (nas/mixed_layer.h). The weights are those
  /// of this moment: asked for anew at each step.
  virtual std::optional<LinearForm> linear_form() { return std::nullopt; }

  /// For layers that keep statistics of their output: whether they want the next one, and the
  /// output itself where it was computed together with other layers and not by forward().
  virtual bool observing() const { return false; }
  virtual void observe(const Variable& /*y*/) {}
};

/// y = x.
class Identity : public Layer {
 public:
  Variable forward(const Variable& x) override { return x; }
};

/// y = max(0, x).
class ReLU : public Layer {
 public:
  Variable forward(const Variable& x) override { return relu(x); }
};

/// Layers one after the other, named "0", "1", .. in this order.
class Sequential : public Layer {
 public:
  Sequential() = default;

  /// Appends a layer and returns it.
  Layer& add(std::unique_ptr<Layer> layer);
  Variable forward(const Variable& x) override;

  std::size_t size() const { return layers_.size(); }
  Layer& operator[](std::size_t i) { return *layers_.at(i); }

 private:
  std::vector<std::unique_ptr<Layer>> layers_;
};

}  // namespace serenade
