#pragma once
// Layers computed together with what follows them. The result is that of the layers one after the
// other; where these are convolutions (Layer::linear_form) it takes a single pass.

#include <array>
#include <cstdint>
#include <vector>

#include "nn/layer.h"

namespace serenade {

/// max_pool2d(relu(layer.forward(x)), window). One pass never stores the map before pooling.
Variable relu_maxpool(Layer& layer, const Variable& x, std::array<std::int64_t, 2> window);

/// relu_maxpool of several layers of the same input, concatenated over channels. One pass where all
/// are 'same' convolutions of stride 1.
Variable relu_maxpool_branches(const std::vector<Layer*>& layers, const Variable& x,
                               std::array<std::int64_t, 2> window);

}  // namespace serenade
