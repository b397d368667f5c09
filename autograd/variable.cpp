#include "autograd/variable.h"

#include <atomic>
#include <ostream>
#include <utility>

#include "autograd/engine.h"
#include "tensor/check.h"

namespace serenade {

namespace {

std::uint64_t next_sequence() {
  static std::atomic<std::uint64_t> counter{0};
  return ++counter;
}

std::shared_ptr<Node> make_node(const Tensor& value) {
  auto node = std::make_shared<Node>();
  node->sequence = next_sequence();
  node->shape = value.shape();
  node->device = value.device();
  return node;
}

Node::Saved saved_version(const Tensor& value) {
  const std::shared_ptr<const Storage> storage = value.storage().lock();
  return {storage, storage == nullptr ? 0 : storage->version()};
}

}  // namespace

// Destroying a node drops its inputs, whose destructors would drop theirs, and so on: one stack
// frame per node, which overflows on long chains. Instead the inputs of every node about to die are
// moved to a list first, so that no destructor ever finds more than an empty one below it. The list
// runs through the nodes themselves: a destructor must not need memory.
Node::~Node() {
  std::shared_ptr<Node> dying;
  const auto take_inputs = [&dying](Node& node) {
    for (auto& input : node.inputs) {
      const std::shared_ptr<Node> last = std::move(input);
      if (last == nullptr || last.use_count() > 1) continue;
      last->next_dying = std::move(dying);
      dying = last;
    }
    node.inputs.clear();
  };
  take_inputs(*this);
  while (dying != nullptr) {
    const std::shared_ptr<Node> node = std::move(dying);
    dying = std::move(node->next_dying);
    take_inputs(*node);
  }
}

Variable::Variable(Tensor value, bool requires_grad) : state_(std::make_shared<State>()) {
  check(value.defined(), "Variable", "the value must be defined");
  state_->value = std::move(value);
  if (requires_grad) state_->node = make_node(state_->value);
}

Variable::Variable(Tensor value, std::shared_ptr<Node> node) : Variable(std::move(value)) {
  state_->node = std::move(node);
}

const Tensor& Variable::value() const {
  check(defined(), "Variable", "this variable is undefined and has no value");
  return state_->value;
}

Tensor& Variable::value() { return const_cast<Tensor&>(std::as_const(*this).value()); }

bool Variable::requires_grad() const { return defined() && state_->node != nullptr; }

void Variable::set_requires_grad(bool requires_grad) {
  check(node() == nullptr || node()->is_leaf, "set_requires_grad",
        "only a leaf can be switched; this variable is the result of ",
        node() == nullptr ? "" : node()->name, ": use detach()");
  if (requires_grad == this->requires_grad()) return;
  state_->node = requires_grad ? make_node(state_->value) : nullptr;
}

const Tensor& Variable::grad() const {
  static const Tensor none;
  return requires_grad() ? state_->node->grad : none;
}

void Variable::set_grad(Tensor grad) {
  if (!requires_grad() && !grad.defined()) return;
  check(requires_grad() && state_->node->is_leaf, "set_grad",
        "only a leaf that requires a gradient holds one");
  check(!grad.defined() || grad.shape() == shape(), "set_grad",
        "the gradient must have the shape of the value; got ", grad.shape(), " for ", shape());
  check(!grad.defined() || grad.device() == device(), "set_grad",
        "the gradient must be on the device of the value");
  state_->node->grad = std::move(grad);
}

Variable Variable::detach() const { return Variable(value()); }

const std::shared_ptr<Node>& Variable::node() const {
  static const std::shared_ptr<Node> none;
  return defined() ? state_->node : none;
}

Variable make_result(const char* name, Tensor value, const std::vector<Variable>& inputs,
                     BackwardFunction backward, Saves saves) {
  Variable result(std::move(value));
  if (!grad_enabled()) return result;
  bool wanted = false;
  for (const Variable& input : inputs) wanted = wanted || input.requires_grad();
  if (!wanted) return result;
  for (const Variable& input : inputs) {
    check(!input.requires_grad() || input.node()->shape == input.shape(), name,
          "a value that requires a gradient must keep its shape; got ",
          input.defined() ? input.shape() : Shape{}, " in place of ",
          input.requires_grad() ? input.node()->shape : Shape{});
  }
  auto node = make_node(result.value());
  node->name = name;
  node->is_leaf = false;
  node->backward = std::move(backward);
  node->inputs.reserve(inputs.size());
  for (const Variable& input : inputs) node->inputs.push_back(input.node());
  if (saves == Saves::values) {
    node->saved.reserve(inputs.size() + 1);
    for (const Variable& input : inputs) {
      node->saved.push_back(saved_version(input.defined() ? input.value() : Tensor()));
    }
    node->saved.push_back(saved_version(result.value()));
  }
  result.state_->node = std::move(node);
  return result;
}

std::ostream& operator<<(std::ostream& out, const Variable& variable) {
  if (!variable.defined()) return out << "undefined variable";
  out << variable.value();
  if (!variable.requires_grad()) return out;
  const Node& node = *variable.node();
  return node.is_leaf ? out << " requires_grad" : out << " grad_fn=" << node.name;
}

}  // namespace serenade
