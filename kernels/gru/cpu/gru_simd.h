#pragma once
// The inner loops of a step of the GRU, one table of functions per instruction set (source:
// kernels/gru/cpu/simd/gates.cpp). H: hidden units; `gates`: r, z, n, m of one sequence and step,
// [4, H].

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

struct GruSimd {
  /// Reset after: the whole cell. gates: in, the input projections of r, z, n; out, all four.
  /// product: h' W_hh and all biases but b_in, [3, H]; bias: b_in, [H]; h: the old state; y: the
  /// new.
  void (*cell_after)(real* y, real* gates, const real* product, const real* bias, const real* h,
                     std::int64_t H);
  /// Reset before, first half: r and z, and m = r h. product: of r and z, [2, H].
  void (*reset_before)(real* gates, const real* product, const real* h, std::int64_t H);
  /// Second half: n and the new state. product: of n, [H].
  void (*candidate_before)(real* y, real* gates, const real* product, const real* bias,
                           const real* h, std::int64_t H);

  /// Backward. D(v): gradient at v; a: what a gate's function is applied to. d_input: D(a) of r, z,
  /// n, [3, H]. d_state: [H], D(h') without dy in, that part of D(h) which needs no product out.
  /// bias_sums: d_input and, reset after, D(m) are added there, [4, H].
  /// Reset after: all of it. d_recurrent: D(a_r), D(a_z), D(m), [3, H].
  void (*backward_after)(real* d_input, real* d_recurrent, real* d_state, real* bias_sums,
                         const real* dy, const real* gates, const real* h, std::int64_t H);
  /// Reset before, first half: all but D(a_r).
  void (*candidate_backward)(real* d_input, real* d_state, real* bias_sums, const real* dy,
                             const real* gates, const real* h, std::int64_t H);
  /// Second half, with dm = D(m), [H].
  void (*reset_backward)(real* d_input, real* d_state, real* bias_sums, const real* dm,
                         const real* gates, const real* h, std::int64_t H);
};

/// The table of the active instruction set.
const GruSimd& gru_simd();

}  // namespace serenade::cpu
