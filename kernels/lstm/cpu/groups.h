#pragma once
// How the recurrent layers cut their work: as the GRU does (kernels/gru/cpu/groups.h), in groups of
// sequences that walk through time together.

#include "kernels/gemm/cpu/panels.h"
#include "kernels/gru/cpu/groups.h"
#include "kernels/lstm/lstm.h"

namespace serenade::cpu {

/// Sequences of a group: how often a loaded weight is used. Recurrent weights that fill the
/// second-level cache (as of 256 units of an lstm) come from beyond it at every step, and are worth
/// longer groups where enough of them are left for many threads.
inline std::int64_t lstm_rows(const LstmSizes& s) {
  constexpr std::int64_t kFew = 8, kMany = 16, kGroups = 8, kBytes = 512 << 10;
  const std::int64_t weights = s.gates() * s.hidden * s.hidden;
  const bool large = weights * static_cast<std::int64_t>(sizeof(real)) > kBytes;
  return large && s.directions * s.batch >= kGroups * kMany ? kMany : kFew;
}

inline std::int64_t lstm_group_count(const LstmSizes& s) {
  return (s.batch + lstm_rows(s) - 1) / lstm_rows(s);
}

/// Unit of work number `unit`, of directions * lstm_group_count.
inline SequenceGroup lstm_group(std::int64_t unit, const std::int64_t* lengths,
                                const LstmSizes& s) {
  const std::int64_t groups = lstm_group_count(s);
  return SequenceGroup(unit / groups, unit % groups, lstm_rows(s), lengths,
                       {s.batch, s.steps, s.hidden, s.directions});
}

/// Below about a million multiply-adds (20 microseconds) threads cost more than they save.
inline bool lstm_worth_threads(const LstmSizes& s) {
  return s.directions * s.batch * s.steps * s.gates() * s.hidden * s.hidden >= 1 << 20;
}

/// The distance between the rows of a matrix that a group keeps at hand, [rows, columns]: whole
/// panels, and a cache line more. Rows a multiple of 4 KB apart would meet in one set of the
/// first-level cache.
inline std::int64_t row_stride(std::int64_t columns) {
  return padded_columns(columns) + 64 / static_cast<std::int64_t>(sizeof(real));
}

}  // namespace serenade::cpu
