#include "nas/perturb.h"

#include "autograd/engine.h"
#include "autograd/functions.h"

namespace serenade {

Moved::Moved(const std::vector<Variable>& parameters) : parameters_(parameters) {
  for (const Variable& parameter : parameters_) values_.push_back(parameter.value().clone());
}

Moved::~Moved() { back(); }

void Moved::to(const std::vector<Variable>& deltas, real factor) {
  const NoGrad no_graph;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!deltas[i].defined()) continue;
    parameters_[i].value().copy_(add(values_[i], affine(deltas[i].detach(), factor)).value());
  }
}

void Moved::to(const std::vector<Variable>& deltas, const Variable& factor) {
  const NoGrad no_graph;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!deltas[i].defined()) continue;
    parameters_[i].value().copy_(add(values_[i], mul(deltas[i].detach(), factor)).value());
  }
}

void Moved::back() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].value().copy_(values_[i]);
}

Variable joint_norm(const std::vector<Variable>& tensors) {
  Variable squares;
  for (const Variable& tensor : tensors) {
    if (!tensor.defined()) continue;
    const Variable own = sum(mul(tensor, tensor));
    squares = squares.defined() ? add(squares, own) : own;
  }
  return squares.defined() ? sqrt(squares) : squares;
}

}  // namespace serenade
