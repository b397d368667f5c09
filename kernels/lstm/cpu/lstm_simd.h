#pragma once
// The inner loops of a step of the recurrent layers, one table of functions per instruction set
// (source: kernels/lstm/cpu/simd/cells.cpp). All pointers are of one sequence and step. H: hidden
// units; product: W_hh h and all biases, [G, H]; saved: the input projection in, what lstm.h says
// of a step out, [S, H].

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

struct LstmSimd {
  /// c: the old cell state in, the new out, [H]; h, y: the new state out, [H].
  void (*lstm_cell)(real* y, real* h, real* c, real* saved, const real* product, std::int64_t H);
  void (*tanh_cell)(real* y, real* h, real* saved, const real* product, std::int64_t H);
  void (*relu_cell)(real* y, real* h, real* saved, const real* product, std::int64_t H);

  /// Backward. D(v): gradient at v; a: what the functions of the gates are applied to. D(h') is
  /// dy + dh; d_gates and d_next: D(a) out, twice, [G, H]; bias_sums: D(a) is added there, [G, H].
  /// dc: D(c') in, D(c) out, [H]; c: the cell state before, [H].
  void (*lstm_backward)(real* d_gates, real* d_next, real* dc, real* bias_sums, const real* dy,
                        const real* dh, const real* saved, const real* c, std::int64_t H);
  void (*tanh_backward)(real* d_gates, real* d_next, real* bias_sums, const real* dy,
                        const real* dh, const real* saved, std::int64_t H);
  void (*relu_backward)(real* d_gates, real* d_next, real* bias_sums, const real* dy,
                        const real* dh, const real* saved, std::int64_t H);
};

/// The table of the active instruction set.
const LstmSimd& lstm_simd();

}  // namespace serenade::cpu
