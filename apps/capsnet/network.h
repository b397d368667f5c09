#pragma once
// CapsNet (Sabour, Frosst & Hinton: Dynamic Routing Between Capsules, NIPS 2017, Figures 1 and 2):
// a convolution, primary capsules, a capsule for each digit, and a decoder that redraws the digit.

#include "nn/capsule.h"
#include "nn/conv.h"
#include "nn/data/batch.h"

namespace serenade::capsnet {

constexpr std::int64_t kDigits = 10, kPrimaryDim = 8, kDigitDim = 16;

/// The digits that labels name, the first of each (which = 0) or the second (1). A picture of one
/// digit has it as its label, one of two digits a < b has 10 a + b.
Indices digits_of(Indices labels, int overlaid, int which);

class CapsNet : public Module {
 public:
  struct Options {
    int overlaid = 1;             ///< digits in a picture: 1, or 2 different ones
    std::int64_t side = 28;       ///< of the pictures, in pixels; at least 17
    std::int64_t channels = 256;  ///< of the first convolution
    std::int64_t types = 32;      ///< of primary capsules
    int routings = 3;
    bool reconstruction = true;
  };
  explicit CapsNet(const Options& chosen);

  /// x: [N, 1, side, side] in [0, 1]; result [N, primary capsules, 8], and of these the digits'
  /// capsules, [N, 10, 16].
  Variable primary_capsules(const Variable& x) { return primary.forward(relu(conv.forward(x))); }
  Variable digit_capsules(const Variable& x) { return digits.forward(primary_capsules(x)); }
  /// The labels of the longest capsules of v, as many as there are digits in a picture.
  Indices guesses(const Variable& v) const;
  /// What the decoder draws of v [N, 10, 16] if it sees one digit of each: [N, side^2] in (0, 1).
  Variable reconstruct(const Variable& v, const Indices& seen);
  /// Mean over a batch of margin loss (Eq. 4) + 0.0005 sum (pixel - reconstruction)^2, that of each
  /// digit from its own capsule. Of two digits, batch.target has each alone: [N, 2, side, side].
  Variable loss(const Batch& batch);

  const Options options;
  Conv2d conv{{1, options.channels, {9, 9}, {1, 1}, Padding{}}};
  PrimaryCapsules primary{
      {options.channels, options.types, kPrimaryDim, {9, 9}, {2, 2}, Padding{}}};
  CapsuleLayer digits;  ///< without a bias, as in the paper's formulas
  Sequential decoder;   ///< 160 - 512 - 1024 - side^2; empty without reconstruction
};

}  // namespace serenade::capsnet
