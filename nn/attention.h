#pragma once
// Attention pooling over time: bottom-up times top-down (Li et al., Interspeech 2018, after Girdhar
// & Ramanan 2017).

#include "nn/linear.h"

namespace serenade {

/// h: [N, T, input_size]; result [N, classes], the class scores before the softmax:
///   z_t = relu(proj(h_t))
///   a = softmax over t of z_t . bottom_up
///   score_k = sum_t a_t top_down_k(z_t)
/// Parameters (C = channels): proj.weight [C, input_size], proj.bias [C], bottom_up [C],
/// top_down.weight [classes, C], top_down.bias [classes]. Xavier uniform, biases zero.
class AttentionPooling : public Layer {
 public:
  struct Options {
    std::int64_t input_size = 0;
    std::int64_t channels = 0;
    std::int64_t classes = 0;
    bool relu = true;  ///< false leaves z_t linear
  };

  explicit AttentionPooling(const Options& options);

  Variable forward(const Variable& h) override { return forward(h, Indices{}); }
  /// lengths: one per sequence, or empty; steps at and beyond it get no attention.
  Variable forward(const Variable& h, const Indices& lengths);

  const Options options;
  Linear proj;
  Parameter bottom_up;
  Linear top_down;
};

}  // namespace serenade
