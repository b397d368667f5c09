#pragma once
// Variable: a tensor that remembers how it was computed.
//
//   Variable a(Tensor::scalar(3), true);      // requires_grad
//   Variable b = mul(a, a);                   // b.value() = 9, and b knows it came from a
//   backward(b);                              // a.grad() = 6
//
// A Variable is a handle (a copy names the same thing). It refers to the value and, where a
// gradient is wanted, to a Node of the graph. The graph holds nodes, never values: what a backward
// needs it captures itself, so an activation that no backward needs dies with its last handle.

#include <functional>
#include <iosfwd>
#include <memory>
#include <vector>

#include "tensor/check.h"
#include "tensor/tensor.h"

namespace serenade {

class Gradients;

/// Given the gradient of the node's output (contiguous), adds to the gradients of its inputs: to
/// their buffers, or, where a gradient of the gradient may follow, by functions (engine.h).
using BackwardFunction = std::function<void(const Tensor& d_output, Gradients& d_inputs)>;

/// Whether a backward function reads values of its inputs or of its result.
enum class Saves { values, nothing };

/// One operation of the graph, or a leaf (a parameter) when `backward` was never set.
struct Node {
  const char* name = "leaf";
  std::uint64_t sequence = 0;  ///< creation order: every node is younger than its inputs
  Shape shape;                 ///< of the output, and so of its gradient
  Device device = Device::cpu;
  std::vector<std::shared_ptr<Node>> inputs;  ///< null where no gradient is wanted
  BackwardFunction backward;
  /// The values that backward may read (inputs, then output), and how often each had been changed.
  struct Saved {
    std::weak_ptr<const Storage> storage;
    std::uint64_t version;
  };
  std::vector<Saved> saved;
  bool is_leaf = true;
  bool released = false;  ///< backward has run and its saved tensors are gone
  Tensor grad;            ///< leaves only: what backward() has accumulated so far

  std::shared_ptr<Node> next_dying;  ///< a list that needs no memory, for ~Node()

  ~Node();  // iterative: a chain of 100,000 nodes must not recurse
};

class Variable {
 public:
  /// Undefined; stands for "no such input" (a layer without bias).
  Variable() = default;
  Variable(Tensor value, bool requires_grad = false);  // NOLINT: a Tensor is a constant Variable

  bool defined() const { return state_ != nullptr; }
  const Tensor& value() const;
  /// For optimisers and loaders, which write to the values in place.
  Tensor& value();
  const Shape& shape() const { return value().shape(); }
  std::int64_t dim() const { return value().dim(); }
  std::int64_t size(std::int64_t axis) const { return value().size(axis); }
  std::int64_t numel() const { return value().numel(); }
  Device device() const { return value().device(); }
  real item() const { return value().item(); }

  /// True where a gradient will arrive: a leaf that asked for it or a result computed from one.
  bool requires_grad() const;
  /// Leaves only.
  void set_requires_grad(bool requires_grad);

  /// Accumulated by backward(); undefined where none has arrived yet. Leaves only.
  const Tensor& grad() const;
  /// Sets or drops (undefined tensor) the gradient of a leaf.
  void set_grad(Tensor grad);
  void zero_grad() { set_grad(Tensor()); }

  /// The same value, cut off from the graph.
  Variable detach() const;

  const std::shared_ptr<Node>& node() const;

  /// Equal for all handles of one variable, and for no others.
  const void* identity() const { return state_.get(); }

 private:
  struct State {
    Tensor value;
    std::shared_ptr<Node> node;
  };
  std::shared_ptr<State> state_;

  // A value that a graph has saved, in its place in the graph.
  friend class Gradients;
  Variable(Tensor value, std::shared_ptr<Node> node);

  friend Variable make_result(const char*, Tensor, const std::vector<Variable>&, BackwardFunction,
                              Saves);
};

/// The value as a Tensor prints it, then " requires_grad" for a leaf that asked for a gradient and
/// " grad_fn=mul" for a result of mul that will pass one on.
std::ostream& operator<<(std::ostream& out, const Variable& variable);

/// How every function returns its result: wraps `value` and, unless NoGrad is on or no input
/// requires a gradient, records a node. `backward` receives the gradients in the order of `inputs`.
/// `name` must outlive the graph (a string literal). Undefined inputs are allowed. Inputs and
/// result must not be changed in place before backward has run, which the engine checks; where
/// `backward` reads none of them (Saves::nothing), they may be.
Variable make_result(const char* name, Tensor value, const std::vector<Variable>& inputs,
                     BackwardFunction backward, Saves saves = Saves::values);

/// Throws std::invalid_argument naming `op` unless every input is defined: what a function asks
/// first of those it cannot do without.
template <class... Inputs>
void check_defined(const char* op, const Inputs&... inputs) {
  check((inputs.defined() && ...), op, "an input must be defined; got an undefined one");
}

/// Throws std::invalid_argument naming `op` unless all inputs that are defined lie on one device.
template <class... Inputs>
void check_same_device(const char* op, const Variable& first, const Inputs&... others) {
  const bool alike = ((!others.defined() || others.device() == first.device()) && ...);
  check(alike, op, "all inputs must be on one device, and some are on the cpu, some on cuda; ",
        "move them with to()");
}

}  // namespace serenade
