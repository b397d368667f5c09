#pragma once
// The engine: walks the graph from a loss to the leaves and adds up gradients (reverse-mode
// differentiation; Griewank & Walther, Evaluating Derivatives, 2nd ed., ch. 3).
//
// Why order matters: in b = a + a; c = b + b the node b is used twice. Its gradient must be
// complete before it is sent on to a. Creation order gives this for free: every node is younger
// than its inputs, so running nodes from the youngest to the oldest never meets an unfinished
// gradient.

#include <memory>
#include <vector>

#include "autograd/variable.h"

namespace serenade {

/// What a backward function sees: the gradient buffers of its node's inputs.
class Gradients {
 public:
  /// True if the gradient of input i is wanted; skip the work otherwise.
  bool wants(std::size_t i) const;

  /// The gradient buffer of input i: contiguous, zero at the first touch, shared by all users of
  /// that input. Backward kernels accumulate (+=) into it, so fan-out needs no further care.
  Tensor& operator[](std::size_t i);

 private:
  friend class Engine;
  Gradients(class Engine& engine, Node& node) : engine_(engine), node_(node) {}
  class Engine& engine_;
  Node& node_;
};

struct BackwardOptions {
  bool retain_graph = false;  ///< keep what was saved, so that the graph can be walked again
};

/// Adds d loss / d leaf to .grad of every leaf that the loss depends on. The loss has one element.
void backward(const Variable& loss, BackwardOptions options = {});

/// The gradients of `loss` by `variables` (leaves or results), without touching any .grad. Only the
/// part of the graph between them is walked. Undefined tensor where the loss does not depend on
/// one.
std::vector<Tensor> grad(const Variable& loss, const std::vector<Variable>& variables,
                         BackwardOptions options = {});

/// The leaves that the loss depends on and that a gradient will arrive at. Throws as backward()
/// does for a loss that has no gradient, or whose graph was released.
std::vector<std::shared_ptr<const Node>> leaves(const Variable& loss);

/// While one is alive on this thread, functions record no graph.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

/// False inside a NoGrad.
bool grad_enabled();

}  // namespace serenade
