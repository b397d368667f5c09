#pragma once
// The images that are told apart: CIFAR-10, or made ones, so that the program runs anywhere.

#include <memory>
#include <string>

#include "nn/data/transform.h"

namespace serenade::darts {

struct Images {
  std::shared_ptr<const Dataset> training, test;
  std::int64_t classes = 0, side = 0;
  double majority = 0;  ///< accuracy on `test` of who always says what `training` has most of
  Transform normalise, augment;  ///< augment: crop, flip, normalise and, where asked for, cutout
};

/// folder: of CIFAR-10's binary files; "": made_shapes, `count` of them to learn from. Throws
/// std::invalid_argument for files that cannot be read.
Images load_images(const std::string& folder, std::int64_t count, std::uint64_t seed, bool cut);

}  // namespace serenade::darts
