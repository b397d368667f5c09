#pragma once
// The ladder of the recurrence, the part of a GRU that no matrix product can take over. All steps
// of a sequence run in one launch, a block per sequence and direction: what one step hands to the
// next never leaves the multiprocessor.
//
//   v0 plain       a thread per hidden unit; weights are read from memory at every step; any H
//   v1 registers   a thread per row of W_hh (backward: per column and gate), which it keeps in
//                  registers over all steps; H up to 128, or 64 with reset before (which has two
//                  products in a row per step, too much for what 128 leaves of the registers)
//   v2 split rows  two neighbouring threads share a row and add their halves by a shuffle: twice
//                  the warps for the four schedulers, half as long a chain; H up to 64
//   v3 whole units two neighbouring threads have all three gates of a unit, so that gates stay in
//                  registers and a step has one barrier; reset after, H up to 64

#include "kernels/gru/gru.h"

namespace serenade::cuda {

enum class GruVersion { plain, registers, split_rows, whole_units };

/// Whether a version takes so many hidden units.
bool gru_version_supports(GruVersion version, std::int64_t hidden, bool reset_after);

/// The version in use: the last that takes them.
GruVersion gru_version(std::int64_t hidden, bool reset_after);

/// gru_forward and gru_backward with the recurrence of a version, which must take the sizes.
void gru_forward_with(GruVersion version, real* y, real* saved, const real* x, const real* h0,
                      const GruParameters* parameters, const std::int64_t* lengths,
                      const GruSizes& sizes);
void gru_backward_with(GruVersion version, real* dx, real* dh0,
                       const GruParameterGradients* gradients, const real* dy, const real* y,
                       const real* saved, const real* x, const real* h0,
                       const GruParameters* parameters, const std::int64_t* lengths,
                       const GruSizes& sizes);

}  // namespace serenade::cuda
