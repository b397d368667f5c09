#pragma once
// A fully connected layer.

#include "nn/layer.h"

namespace serenade {

/// y = x W^T + b. x: [.., in_features]; result [.., out_features].
/// Parameters: weight [out_features, in_features], Xavier uniform; bias [out_features], zeros.
class Linear : public Layer {
 public:
  struct Options {
    std::int64_t in_features = 0;
    std::int64_t out_features = 0;
    bool bias = true;
  };

  explicit Linear(const Options& options);
  Variable forward(const Variable& x) override;
  std::optional<LinearForm> linear_form() override;

  const Options options;
  Parameter weight;
  Parameter bias;  ///< undefined without bias
};

}  // namespace serenade
