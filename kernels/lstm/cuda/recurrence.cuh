#pragma once
// The arguments of the recurrences. How a block walks through its sequence is the GRU's:
// kernels/gru/cuda/recurrence.cuh.

#include "kernels/gru/cuda/recurrence.cuh"
#include "kernels/lstm/lstm.h"

namespace serenade::cuda {

/// Of one direction; a bias may be null: zeros.
struct LstmWeights {
  GlobalPointer<const real> weight_hh, bias_ih, bias_hh;
};

/// All below 2^31, offsets are not.
struct LstmDimensions {
  int batch, steps, hidden, directions;
  RecurrentCell cell;

  __host__ __device__ __forceinline__ int gates() const {
    return cell == RecurrentCell::lstm ? 4 : 1;
  }
  __host__ __device__ __forceinline__ int saved_rows() const {
    return cell == RecurrentCell::lstm ? 5 : 1;
  }
  __host__ __device__ __forceinline__ GruDimensions walk() const {
    return {batch, steps, hidden, directions, true, false};
  }
};

/// saved: the input projection in the rows of the gates at first, everything afterwards. Any but y
/// and saved may be null.
struct LstmForwardArrays {
  GlobalPointer<real> y, saved, last_h, last_c;
  GlobalPointer<const real> h0, c0;
  GlobalPointer<const std::int64_t> lengths;
};

struct LstmBackwardArrays {
  // What the reverse walk writes for the products over all steps; zero at and beyond the lengths.
  GlobalPointer<real> d_gates;    ///< [K, N, T, G H]: D(a); see cpu/definition.cpp
  GlobalPointer<real> previous;   ///< [K, N, T, H]: the state that each step started from
  GlobalPointer<real> bias_sums;  ///< [K, N, G, H]: of D(a) over all steps
  GlobalPointer<real> dh, dc;     ///< [K, N, H]: what a step hands to the one before it
  GlobalPointer<real> dh0, dc0;   ///< added to; may be null
  GlobalPointer<const real> dy, dh_n, dc_n, y, saved, h0, c0;  ///< but dy, y, saved may be null
  GlobalPointer<const std::int64_t> lengths;
};

// On the host: the recurrences. second: null pointers where there is one direction.
void lstm_recurrence_forward_v0_plain(const LstmForwardArrays& arrays, const LstmWeights& first,
                                      const LstmWeights& second, const LstmDimensions& s);
void lstm_recurrence_backward_v0_plain(const LstmBackwardArrays& arrays, const LstmWeights& first,
                                       const LstmWeights& second, const LstmDimensions& s);

}  // namespace serenade::cuda
