#pragma once
// How the GRU's work is cut: a group is a few sequences of one direction that walk through time
// together. Groups need nothing from each other.

#include <algorithm>
#include <cstdint>

#include "kernels/gru/cpu/gru_simd.h"
#include "kernels/gru/gru.h"

namespace serenade::cpu {

inline std::int64_t gru_group_count(const GruSizes& s) {
  return (s.batch + kGruRows - 1) / kGruRows;
}

/// Below about a million multiply-adds (20 microseconds) threads cost more than they save.
inline bool gru_worth_threads(const GruSizes& s) {
  return s.directions * s.batch * s.steps * 3 * s.hidden * s.hidden >= 1 << 20;
}

/// A group of at most kGruRows sequences in one direction, and where their data lie.
class GruGroup {
 public:
  GruGroup(std::int64_t direction, std::int64_t group, const std::int64_t* lengths,
           const GruSizes& s)
      : sizes_(s), lengths_(lengths), direction_(direction), first_(group * kGruRows) {
    rows_ = std::min<std::int64_t>(kGruRows, s.batch - first_);
    for (std::int64_t row = 0; row < rows_; ++row) steps_ = std::max(steps_, length(row));
  }

  std::int64_t rows() const { return rows_; }
  /// Steps of the longest sequence.
  std::int64_t steps() const { return steps_; }
  std::int64_t length(std::int64_t row) const {
    return lengths_ != nullptr ? lengths_[first_ + row] : sizes_.steps;
  }
  /// Time of the i-th step that a sequence reads.
  std::int64_t time(std::int64_t row, std::int64_t i) const {
    return direction_ == 0 ? i : length(row) - 1 - i;
  }
  /// Index into [K, N], for h0.
  std::int64_t sequence(std::int64_t row) const { return direction_ * sizes_.batch + first_ + row; }
  /// Index into [K, N, T], for saved.
  std::int64_t at(std::int64_t row, std::int64_t t) const {
    return sequence(row) * sizes_.steps + t;
  }
  /// Index into [N, T, K], for y.
  std::int64_t output(std::int64_t row, std::int64_t t) const {
    return ((first_ + row) * sizes_.steps + t) * sizes_.directions + direction_;
  }
  /// The state before the i-th step that a sequence reads; zeros: [H], for a missing h0.
  const real* state_before(std::int64_t row, std::int64_t i, const real* y, const real* h0,
                           const real* zeros) const {
    const std::int64_t H = sizes_.hidden;
    if (i > 0) return y + output(row, time(row, i - 1)) * H;
    return h0 != nullptr ? h0 + sequence(row) * H : zeros;
  }

 private:
  const GruSizes& sizes_;
  const std::int64_t* lengths_;
  std::int64_t direction_, first_, rows_ = 0, steps_ = 0;
};

/// Hands out pieces of one block of memory, each at a multiple of 64 bytes.
class GruMemory {
 public:
  explicit GruMemory(real* block) : next_(block) {}

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
