#include "nn/fused.h"

#include <optional>

#include "autograd/engine.h"
#include "autograd/functions.h"

namespace serenade {

namespace {

// Whether conv2d_relu_maxpool_branches takes it.
bool is_branch(const std::optional<LinearForm>& form) {
  return form && form->is_convolution() && !form->padding &&
         form->stride == std::array<std::int64_t, 2>{1, 1};
}

}  // namespace

Variable relu_maxpool(Layer& layer, const Variable& x, std::array<std::int64_t, 2> window) {
  const std::optional<LinearForm> form = layer.linear_form();
  if (!form || !form->is_convolution()) return max_pool2d(relu(layer.forward(x)), window);
  Variable y = conv2d_relu_maxpool(x, form->weight, form->bias, form->conv2d_options(x), window,
                                   form->unused_taps);
  if (layer.observing()) layer.observe(y);
  return y;
}

Variable relu_maxpool_branches(const std::vector<Layer*>& layers, const Variable& x,
                               std::array<std::int64_t, 2> window) {
  std::vector<ConvBranch> branches;
  for (Layer* layer : layers) {
    const std::optional<LinearForm> form = layer->linear_form();
    if (is_branch(form)) branches.push_back({form->weight, form->bias});
  }
  if (branches.size() < layers.size()) {
    std::vector<Variable> parts;
    for (Layer* layer : layers) parts.push_back(relu_maxpool(*layer, x, window));
    return concat(parts, 1);
  }
  Variable y = conv2d_relu_maxpool_branches(x, branches, window);
  std::int64_t first = 0;  // channel
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::int64_t channels = branches[i].weight.size(0);
    if (layers[i]->observing()) {
      const NoGrad no_grad;
      layers[i]->observe(slice(y, 1, first, channels));
    }
    first += channels;
  }
  return y;
}

}  // namespace serenade
