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
#include "kernels/runtime/write.h"

namespace serenade {

/// What a backward function sees: the gradient buffers of its node's inputs.
class Gradients {
 public:
  /// True if the gradient of input i is wanted; skip the work otherwise.
  bool wants(std::size_t i) const;

  /// The gradient buffer of input i: contiguous, zero at the first touch, shared by all users of
  /// that input. Backward kernels accumulate (+=) into it, so fan-out needs no further care.
  /// With create_graph() this throws std::invalid_argument: numbers alone have no gradient.
  Tensor& operator[](std::size_t i);

  /// The same for a kernel that can also set its results. Where no gradient has arrived yet,
  /// `write` is Write::set, and the buffer holds anything: all of it must be written. Null where
  /// the gradient is not wanted.
  struct Target {
    real* data = nullptr;
    Write write = Write::add;
  };
  Target target(std::size_t i);

  /// Adds numbers that are there already, such as dy: contiguous, as many as input i has, and not
  /// written to by the caller. The first to arrive are not copied but shared; who adds to a buffer
  /// that is shared copies it before.
  void pass_on(std::size_t i, const Tensor& gradient);

  // Gradients of gradients: grad(.., {.create_graph = true}) wants the gradient of each function
  // written with functions, which record how it was computed.

  /// True where it does: add() takes the place of the buffers.
  bool create_graph() const { return dy_ != nullptr; }

  /// The gradient of the output as a Variable. With create_graph() only, like all that follows.
  const Variable& dy() const { return *dy_; }

  /// What the closure captured of input i, or of the output, as the Variable that it is in the
  /// graph. `saved` has its shape.
  Variable input(std::size_t i, const Tensor& saved) const;
  Variable output(const Tensor& saved) const;

  /// The shape of input i, whose gradient is wanted.
  const Shape& shape(std::size_t i) const;

  /// Adds to the gradient of input i. Where the input was repeated by broadcasting, so may its
  /// gradient be: it is summed over the repetitions.
  void add(std::size_t i, const Variable& gradient);

 private:
  friend class Engine;
  Gradients(class Engine& engine, const std::shared_ptr<Node>& node, const Variable* dy = nullptr)
      : engine_(engine), node_(node), dy_(dy) {}
  void check_numbers() const;

  class Engine& engine_;
  const std::shared_ptr<Node>& node_;
  const Variable* dy_;
};

struct BackwardOptions {
  bool retain_graph = false;  ///< keep what was saved, so that the graph can be walked again
};

struct GradOptions {
  bool retain_graph = false;
  /// The gradients are results that have gradients themselves: losses may be computed from them,
  /// and their gradients taken. Keeps the graph as well. Throws std::invalid_argument("grad: 'name'
  /// has no gradient of its gradient (create_graph)") at a function that has none.
  bool create_graph = false;
};

/// Adds d loss / d leaf to .grad of every leaf that the loss depends on. The loss has one element.
void backward(const Variable& loss, BackwardOptions options = {});

/// The gradients of `loss` by `variables` (leaves or results), without touching any .grad. Only the
/// part of the graph between them is walked. Undefined where the loss does not depend on one;
/// constants without create_graph.
std::vector<Variable> grad(const Variable& loss, const std::vector<Variable>& variables,
                           GradOptions options = {});

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
