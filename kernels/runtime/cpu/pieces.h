#pragma once
// Cuts one block of working memory (kernels/runtime/cpu/scratch.h) into pieces.

#include <algorithm>
#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

/// Hands out pieces of one block of memory, each at a multiple of 64 bytes.
class Pieces {
 public:
  explicit Pieces(real* block) : next_(block) {}

  /// What a piece of `count` reals takes of the block.
  static std::int64_t size(std::int64_t count) {
    constexpr std::int64_t kLine = 64 / sizeof(real);
    return (count + kLine - 1) / kLine * kLine;
  }
  real* take(std::int64_t count) {
    real* piece = next_;
    next_ += size(count);
    return piece;
  }
  /// Filled with zeros.
  real* take_zeros(std::int64_t count) {
    real* piece = take(count);
    std::fill_n(piece, count, real(0));
    return piece;
  }

 private:
  real* next_;
};

}  // namespace serenade::cpu
