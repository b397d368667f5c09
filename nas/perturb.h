#pragma once
// Parameters moved for a moment, to look at a loss elsewhere.

#include <vector>

#include "autograd/variable.h"

namespace serenade {

/// While it lives, parameters may be somewhere else; when it goes, and whatever happens, they are
/// back where they were, bit for bit: from a copy, as steps there and back do not cancel in
/// floating point. Reads nothing from a device.
class Moved {
 public:
  explicit Moved(const std::vector<Variable>& parameters);
  ~Moved();
  Moved(const Moved&) = delete;
  Moved& operator=(const Moved&) = delete;

  /// Every parameter to its value at the beginning plus factor times its delta. An undefined delta
  /// is zero.
  void to(const std::vector<Variable>& deltas, real factor);
  /// The same with a factor that a device has computed: one element.
  void to(const std::vector<Variable>& deltas, const Variable& factor);
  void back();

 private:
  std::vector<Variable> parameters_;
  std::vector<Tensor> values_;
};

/// The root of the sum of all squares, one element: of all tensors taken as one vector. Undefined
/// ones are zero; undefined where all are.
Variable joint_norm(const std::vector<Variable>& tensors);

}  // namespace serenade
