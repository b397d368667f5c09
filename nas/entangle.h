#pragma once
// Weight entanglement: candidates that are crops of one weight (Single-Path NAS, Stamoulis et al.
// 2019; AutoFormer, Chen et al., ICCV 2021; with gradients, TangleNAS, Sukthanker et al. 2023).

#include <memory>
#include <vector>

#include "nn/layer.h"

namespace serenade {

/// Replaces the candidates that could be merged with the first that has a linear form (can_merge in
/// mixed_layer.h) by crops of one weight and one bias that they share: convolutions by the taps
/// that they see, dense layers by their first rows. The weight starts as those of the candidates
/// laid over each other, the last on top. Others, and a single one, stay as they are.
void entangle(std::vector<std::unique_ptr<Layer>>& candidates);

/// Whether the layer is such a crop.
bool is_crop(const Layer& layer);

}  // namespace serenade
