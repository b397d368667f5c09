#pragma once
// Pictures of digits beside MNIST's: made ones, for where there is no data, and two in one.

#include "nn/data/idx.h"
#include "nn/data/transform.h"

namespace serenade::capsnet {

/// Digits drawn with strokes: place, slant, turn, size, thickness, wobble and noise of number n are
/// a function of (seed, split, n), its label is n % 10. [count, 1, 28, 28] in [0, 1].
TensorDataset made_digits(std::uint64_t seed, Split split, std::int64_t count);

/// MultiMNIST (section 6 of the paper): a digit of another class is drawn from `others`, which must
/// have one, both are shifted by up to 4 pixels each way and laid over one another. [1, H, W]
/// becomes [1, H + 8, W + 8], the label 10 a + b with a < b, the target [2, H + 8, W + 8]: each
/// digit alone.
Transform overlay(const TensorDataset& others);

}  // namespace serenade::capsnet
