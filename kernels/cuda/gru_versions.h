#pragma once
// The ladder of the recurrence, the part of a GRU that no matrix product can take over. All steps
// of a sequence run in one launch, a block per sequence and direction: what one step hands to the
// next never leaves the multiprocessor.
//
//   v0 plain       a thread per hidden unit; weights are read from memory at every step; any H
//   v1 registers   a thread per row of W_hh (backward: per column and gate), which it keeps in
//                  registers over all steps; H up to 128
//   v2 split rows  two neighbouring threads share a row and add their halves by a shuffle: twice
//                  the warps for the four schedulers, half as long a chain; H up to 64

#include "kernels/gru.h"

namespace serenade::cuda {

enum class GruVersion { plain, registers, split_rows };

/// The version in use for a number of hidden units.
GruVersion gru_version(std::int64_t hidden);

/// gru_forward and gru_backward with the recurrence of a version; it must take sizes.hidden.
void gru_forward_with(GruVersion version, real* y, real* saved, const real* x, const real* h0,
                      const GruParameters* parameters, const std::int64_t* lengths,
                      const GruSizes& sizes);
void gru_backward_with(GruVersion version, real* dx, real* dh0,
                       const GruParameterGradients* gradients, const real* dy, const real* y,
                       const real* saved, const real* x, const real* h0,
                       const GruParameters* parameters, const std::int64_t* lengths,
                       const GruSizes& sizes);

}  // namespace serenade::cuda
