#include "autograd/engine.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "autograd/functions/broadcast.h"
#include "autograd/functions/elementwise.h"
#include "kernels/runtime/memory.h"
#include "tensor/check.h"

namespace serenade {

namespace {

thread_local bool recording = true;

// Whether functions record a graph, while one is alive on this thread.
class Recording {
 public:
  explicit Recording(bool on) : before_(recording) { recording = on; }
  ~Recording() { recording = before_; }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  bool before_;
};

// Whether others hold the same numbers (Gradients::pass_on).
bool is_shared(const Tensor& gradient) { return gradient.storage().use_count() > 1; }

// A result: its holder may write to it.
Tensor own(const Tensor& gradient) { return is_shared(gradient) ? gradient.clone() : gradient; }
const Variable& own(const Variable& gradient) { return gradient; }

}  // namespace

/// One walk over the graph. Nodes are found with an explicit stack, never by recursion.
class Engine {
 public:
  /// The nodes from which `loss` was computed, youngest first.
  Engine(const Variable& loss, const char* op) : op_(op) {
    check(loss.defined() && loss.numel() == 1, op, "the loss must have exactly one element; got ",
          loss.defined() ? loss.shape() : Shape{});
    check(loss.requires_grad(), op,
          "the loss does not depend on anything that requires a gradient (or was computed under "
          "NoGrad)");
    std::unordered_set<Node*> seen{loss.node().get()};
    order_ = {loss.node()};
    for (std::size_t next = 0; next < order_.size(); ++next) {
      if (order_[next]->released) {
        throw std::runtime_error(
            std::string(op) + ": this graph was released by an earlier backward at '" +
            order_[next]->name + "'; compute the loss again or pass retain_graph");
      }
      const std::vector<std::shared_ptr<Node>> inputs = order_[next]->inputs;
      for (const auto& input : inputs) {
        if (input != nullptr && seen.insert(input.get()).second) order_.push_back(input);
      }
    }
    std::sort(order_.begin(), order_.end(),
              [](const auto& a, const auto& b) { return a->sequence > b->sequence; });
    buffers_[loss.node().get()] = Tensor::full(loss.shape(), 1, loss.device());
  }

  const char* op() const { return op_; }

  /// Restricts the walk to nodes that lead to one of the targets.
  void restrict_to(const std::vector<Variable>& targets) {
    restricted_ = true;
    for (const Variable& target : targets) {
      if (target.requires_grad()) needed_.insert(target.node().get());
    }
    for (auto node = order_.rbegin(); node != order_.rend(); ++node) {  // oldest first
      for (const auto& input : (*node)->inputs) {
        if (input != nullptr && needed_.contains(input.get())) needed_.insert(node->get());
      }
    }
  }

  /// Runs every backward once, youngest node first; `finished(node, gradient)` sees each result.
  template <class Finished>
  void run(BackwardOptions options, Finished finished) {
    for (const auto& node : order_) {
      const auto found = buffers_.find(node.get());
      if (found != buffers_.end() && wanted(*node)) {
        const Tensor gradient = std::move(found->second);
        buffers_.erase(found);
        finished(*node, gradient);
        if (node->backward) {
          check_unchanged(*node);
          Gradients inputs(*this, node);
          node->backward(gradient, inputs);
        }
      }
      if (!options.retain_graph && !node->is_leaf) release(*node);
    }
  }

  /// The same with gradients that are results of functions; nothing is released.
  template <class Finished>
  void run_recorded(Finished finished) {
    add(*order_.front(), buffers_[order_.front().get()]);
    for (const auto& node : order_) {
      const auto found = gradients_.find(node.get());
      if (found == gradients_.end() || !wanted(*node)) continue;
      const Variable gradient = found->second;
      finished(*node, gradient);
      if (node->backward) {
        check_unchanged(*node);
        Gradients inputs(*this, node, &gradient);
        node->backward(gradient.value(), inputs);
      }
      gradients_.erase(node.get());
    }
  }

  const std::vector<std::shared_ptr<Node>>& nodes() const { return order_; }

  bool wanted(const Node& node) const { return !restricted_ || needed_.contains(&node); }

  Tensor& buffer(const Node& node) {
    Tensor& tensor = buffers_[&node];
    if (!tensor.defined()) {
      tensor = Tensor(node.shape, node.device);
    } else if (is_shared(tensor)) {
      tensor = tensor.clone();
    }
    return tensor;
  }

  Gradients::Target target(const Node& node) {
    Tensor& tensor = buffers_[&node];
    if (tensor.defined()) return {buffer(node).data(), Write::add};
    tensor = Tensor::empty(node.shape, node.device);
    return {tensor.data(), Write::set};
  }

  void pass_on(const Node& node, const Tensor& gradient) {
    Tensor& tensor = buffers_[&node];
    if (!tensor.defined()) {
      tensor = gradient.reshape(node.shape);
    } else {
      KERNEL(node.device, accumulate, buffer(node).data(), gradient.data(), gradient.numel());
    }
  }

  void add(const Node& node, const Variable& gradient) {
    Variable& total = gradients_[&node];
    total = total.defined() ? total + gradient : gradient;
  }

 private:
  // Numbers that nobody holds any more were not saved.
  void check_unchanged(const Node& node) const {
    for (std::size_t i = 0; i < node.saved.size(); ++i) {
      const std::shared_ptr<const Storage> storage = node.saved[i].storage.lock();
      if (storage == nullptr || storage->version() == node.saved[i].version) continue;
      const bool result = i == node.inputs.size();
      throw std::runtime_error(std::string(op_) + ": " +
                               (result ? "the result" : "input " + std::to_string(i)) + " of '" +
                               node.name +
                               "' was changed in place before its gradient was computed; change a "
                               "clone() of it, or compute the loss again");
    }
  }

  static void release(Node& node) {
    node.backward = nullptr;
    node.saved.clear();
    node.released = true;
  }

  std::vector<std::shared_ptr<Node>> order_;
  std::unordered_map<const Node*, Tensor> buffers_;
  std::unordered_map<const Node*, Variable> gradients_;  // of a walk that is recorded
  std::unordered_set<const Node*> needed_;
  bool restricted_ = false;
  const char* op_;  // of the messages
};

bool Gradients::wants(std::size_t i) const {
  return node_->inputs[i] != nullptr && engine_.wanted(*node_->inputs[i]);
}

void Gradients::check_numbers() const {
  check(!create_graph(), engine_.op(), "'", node_->name,
        "' has no gradient of its gradient (create_graph)");
}

Tensor& Gradients::operator[](std::size_t i) {
  check_numbers();
  return engine_.buffer(*node_->inputs[i]);
}

Gradients::Target Gradients::target(std::size_t i) {
  check_numbers();
  return wants(i) ? engine_.target(*node_->inputs[i]) : Target{};
}

void Gradients::pass_on(std::size_t i, const Tensor& gradient) {
  check_numbers();
  if (wants(i)) engine_.pass_on(*node_->inputs[i], gradient);
}

Variable Gradients::input(std::size_t i, const Tensor& saved) const {
  return Variable(saved, node_->inputs[i]);
}

Variable Gradients::output(const Tensor& saved) const { return Variable(saved, node_); }

const Shape& Gradients::shape(std::size_t i) const { return node_->inputs[i]->shape; }

void Gradients::add(std::size_t i, const Variable& gradient) {
  if (wants(i)) engine_.add(*node_->inputs[i], sum_to(gradient, shape(i)));
}

void backward(const Variable& loss, BackwardOptions options) {
  const NoGrad no_grad;
  Engine engine(loss, "backward");
  engine.run(options, [](Node& node, const Tensor& gradient) {
    if (!node.is_leaf) return;
    if (node.grad.defined()) {
      node.grad.add_(gradient);
    } else {
      node.grad = own(gradient);
    }
  });
}

std::vector<Variable> grad(const Variable& loss, const std::vector<Variable>& variables,
                           GradOptions options) {
  const Recording as_asked(options.create_graph);
  Engine engine(loss, "grad");
  engine.restrict_to(variables);
  std::unordered_map<const Node*, Variable> found;
  for (const Variable& variable : variables) {
    if (variable.requires_grad()) found[variable.node().get()] = Variable();
  }
  const auto keep = [&](Node& node, const auto& gradient) {
    const auto target = found.find(&node);
    if (target != found.end()) target->second = own(gradient);
  };
  if (options.create_graph) {
    engine.run_recorded(keep);
  } else {
    engine.run({.retain_graph = options.retain_graph}, keep);
  }
  std::vector<Variable> gradients;
  for (const Variable& variable : variables) {
    gradients.push_back(variable.requires_grad() ? found[variable.node().get()] : Variable());
  }
  return gradients;
}

std::vector<std::shared_ptr<const Node>> leaves(const Variable& loss) {
  std::vector<std::shared_ptr<const Node>> found;
  const Engine engine(loss, "leaves");
  for (const std::shared_ptr<Node>& node : engine.nodes()) {
    if (node->is_leaf) found.push_back(node);
  }
  return found;
}

NoGrad::NoGrad() : before_(recording) { recording = false; }
NoGrad::~NoGrad() { recording = before_; }

bool grad_enabled() { return recording; }

}  // namespace serenade
