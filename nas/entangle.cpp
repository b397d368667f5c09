#include "nas/entangle.h"

#include <algorithm>
#include <optional>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/mixed_layer.h"

namespace serenade {

namespace {

// Where a weight of k entries along an axis begins in the box of all. The taps of 'same' kernels
// meet where they see the same position; rows of dense layers and channels begin at 0.
std::int64_t offset(std::size_t axis, std::int64_t all, std::int64_t k) {
  return axis < 2 ? 0 : (all - 1) / 2 - (k - 1) / 2;
}

// Always a result of its own, also where it is the whole: mixed_kernel and mixed_bias add to the
// gradients of all their inputs at once, which must not be one and the same.
Variable crop(const Variable& whole, const Shape& shape) {
  Variable part = whole;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t all = whole.shape()[axis], k = shape[axis];
    if (axis > 0 && k == all) continue;
    part = slice(part, static_cast<std::int64_t>(axis), offset(axis, all, k), k);
  }
  return part;
}

// A candidate of its own shape whose numbers belong to all.
class Crop : public Layer {
 public:
  /// own: its form as it was; weight, bias: those of all.
  Crop(const LinearForm& own, const Variable& weight, const Variable& bias)
      : form_(own), shape_(own.weight.shape()), weight_(register_parameter("weight", weight)) {
    if (bias.defined()) bias_ = register_parameter("bias", bias);
  }

  Variable forward(const Variable& x) override { return (*linear_form())(x); }
  std::optional<LinearForm> linear_form() override {
    LinearForm form = form_;
    form.weight = crop(weight_, shape_);
    if (bias_.defined()) form.bias = crop(bias_, {shape_[0]});
    return form;
  }

 private:
  LinearForm form_;
  Shape shape_;
  Variable weight_, bias_;
};

// The numbers of all as one parameter; axis by axis the largest shape.
Variable laid_over(const std::vector<Variable>& parts) {
  Shape shape = parts.front().shape();
  for (const Variable& part : parts) {
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      shape[axis] = std::max(shape[axis], part.shape()[axis]);
    }
  }
  const NoGrad no_graph;
  Variable all = Tensor(shape);
  for (const Variable& part : parts) {
    Variable own = part.value(), here = Tensor::ones(part.shape());
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      const std::int64_t k = part.shape()[axis], before = offset(axis, shape[axis], k),
                         after = shape[axis] - k - before;
      own = pad(own, static_cast<std::int64_t>(axis), before, after);
      here = pad(here, static_cast<std::int64_t>(axis), before, after);
    }
    all = where(here.value(), own, all);
  }
  return Variable(all.value(), /*requires_grad=*/true);
}

}  // namespace

void entangle(std::vector<std::unique_ptr<Layer>>& candidates) {
  std::vector<std::size_t> alike;
  std::vector<LinearForm> forms;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto form = candidates[i] ? candidates[i]->linear_form() : std::nullopt;
    if (!form || !can_merge(forms.empty() ? *form : forms.front(), *form)) continue;
    alike.push_back(i);
    forms.push_back(*form);
  }
  if (alike.size() < 2) return;
  std::vector<Variable> weights, biases;
  for (const LinearForm& form : forms) {
    weights.push_back(form.weight);
    if (form.bias.defined()) biases.push_back(form.bias);
  }
  const Variable weight = laid_over(weights);
  const Variable bias = biases.empty() ? Variable() : laid_over(biases);
  for (std::size_t k = 0; k < alike.size(); ++k) {
    candidates[alike[k]] = std::make_unique<Crop>(forms[k], weight, bias);
  }
}

bool is_crop(const Layer& layer) { return dynamic_cast<const Crop*>(&layer) != nullptr; }

}  // namespace serenade
