#pragma once
// The inner loops of a recurrent step of the GRU, one table of functions per instruction set
// (source: kernels/cpu/simd/gru.cpp). H: hidden units.

#include <cstdint>

#include "kernels/real.h"

namespace serenade::cpu {

/// Sequences that walk through time together: how often a loaded weight is used.
inline constexpr std::int64_t kGruRows = 4;
/// Columns of a panel of packed weights: 128 bytes, whole vectors of any instruction set.
inline constexpr std::int64_t kGruColumns = 128 / sizeof(real);

struct GruSimd {
  /// out [rows, columns] += a [rows, depth] * matrix [depth, columns], 1 <= rows <= kGruRows.
  /// panels: the matrix as [columns / kGruColumns, depth, kGruColumns]; out_stride, a_stride:
  /// numbers from row to row. columns is a multiple of kGruColumns.
  void (*multiply_add)(real* out, std::int64_t out_stride, const real* a, std::int64_t a_stride,
                       const real* panels, std::int64_t depth, std::int64_t columns,
                       std::int64_t rows);

  /// Reset and update gate of one sequence and step: gate[j] = s(gate[j] + recurrent[j]), j < 2 H.
  void (*gates)(real* gate, const real* recurrent, std::int64_t H);

  /// Reset before: m = r * h, [H] each.
  void (*reset_state)(real* m, const real* r, const real* h, std::int64_t H);

  /// Candidate and next state of one sequence and step. gates: r, z, n, m, [4, H], where n comes in
  /// as the input projection W_in x; h: [H], old state in, new out; bias: b_in, [H]; product: [H].
  /// after:  n = tanh(n + bias + r * product), m = product;
  /// before: n = tanh(n + bias + product), m is already there.
  void (*candidate_after)(real* gates, real* h, const real* bias, const real* product,
                          std::int64_t H);
  void (*candidate_before)(real* gates, real* h, const real* bias, const real* product,
                           std::int64_t H);
};

/// The table of the active instruction set.
const GruSimd& gru_simd();

}  // namespace serenade::cpu
