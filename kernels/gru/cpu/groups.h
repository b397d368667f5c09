#pragma once
// How a recurrent layer's work is cut: a group is a few sequences of one direction that walk
// through time together. Groups need nothing from each other.

#include <algorithm>
#include <cstdint>

#include "kernels/gru/gru.h"

namespace serenade::cpu {

/// Sequences of the GRU that walk through time together: how often a loaded weight is used.
inline constexpr std::int64_t kGruRows = 8;

inline std::int64_t gru_group_count(const GruSizes& s) {
  return (s.batch + kGruRows - 1) / kGruRows;
}

/// Below about a million multiply-adds (20 microseconds) threads cost more than they save.
inline bool gru_worth_threads(const GruSizes& s) {
  return s.directions * s.batch * s.steps * 3 * s.hidden * s.hidden >= 1 << 20;
}

/// What a walk needs to know of all sequences. Letters: kernels/gru/gru.h.
struct WalkSizes {
  std::int64_t batch, steps, hidden, directions;
};

/// A group of at most `most_rows` sequences in one direction, and where their data lie.
class SequenceGroup {
 public:
  SequenceGroup(std::int64_t direction, std::int64_t group, std::int64_t most_rows,
                const std::int64_t* lengths, const WalkSizes& s)
      : sizes_(s), lengths_(lengths), direction_(direction), first_(group * most_rows) {
    rows_ = std::min(most_rows, s.batch - first_);
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
  WalkSizes sizes_;
  const std::int64_t* lengths_;
  std::int64_t direction_, first_, rows_ = 0, steps_ = 0;
};

inline SequenceGroup gru_group(std::int64_t direction, std::int64_t group,
                               const std::int64_t* lengths, const GruSizes& s) {
  return SequenceGroup(direction, group, kGruRows, lengths,
                       {s.batch, s.steps, s.hidden, s.directions});
}

}  // namespace serenade::cpu
