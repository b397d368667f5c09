// The recurrence of the GRU by whole units (v3), with the reset gate after the product.
//
// Where the threads of a gate are others than those of the next (v1, v2), gates meet in shared
// memory, with a barrier each time, and every thread reads the state for one row of weights only:
// in v2 at H = 64 that is 96 reads of 16 bytes per warp and step, which occupy the path from shared
// memory to the registers longer than the products do. Here neighbouring lanes have all three gates
// of a unit, so gates never leave the registers, a value read serves three rows (backward: two
// columns), and a step has one barrier: the new state (backward: the gates' gradients) lies in the
// other of two buffers.
//
//   forward   2 lanes per unit, 96 weights each. Per step and warp 8 reads of 16 bytes, 96
//             multiply-adds, 3 shuffles
//   backward  4 lanes per 2 units, 96 weights each. Per step and warp 12 reads, 96 multiply-adds,
//             2 shuffles, of which the first also tells the units apart
//
// At H = 64 these are 4 warps, one for each scheduler. A step's chain in cycles, from the latencies
// of instructions: forward 30 for the first value of the state, 70 for the others and the products
// of the reset gate (those of the other gates fill the gaps), 30 for the shuffle, 75 for the
// logistic function, 85 for tanh, 10 for the state and 40 to publish it: 340, or 8.6 us for 50
// steps at 1.98 GHz. Backward 30, 100 for the products, 55 for the shuffles, 10 for the gates and
// 40: 235, 5.9 us. Fetching the weights comes on top, about a microsecond.

#include "kernels/gru/cuda/recurrence.cuh"
#include "kernels/runtime/cuda/runtime.h"

namespace serenade::cuda {

namespace {

constexpr int kGroup = static_cast<int>(16 / sizeof(real));

struct alignas(16) UnitGroup {
  real v[kGroup];
};

/// The index of the i-th value of one of `Lanes` lanes: every Lanes-th group of 16 bytes is its
/// own, so that the lanes read different banks.
template <int Lanes>
__device__ __forceinline__ int element_index(int i, int lane) {
  return (i / kGroup * Lanes + lane) * kGroup + i % kGroup;
}

/// The sum of w x, in four chains.
template <int count>
__device__ __forceinline__ real dot(const real (&w)[count], const real (&x)[count], real start) {
  real sums[4] = {start, 0, 0, 0};
  SERENADE_UNROLL for (int i = 0; i < count; ++i) sums[i % 4] += w[i] * x[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// The gates in one chain of instructions without a branch, which the products of other gates can
// share the scheduler with. In float both are right to 2e-7, beside states of up to 1.

__device__ __forceinline__ real short_logistic(real x) { return reciprocal(1 + exp(-x)); }

__device__ __forceinline__ real short_tanh(real x) { return 1 - 2 * reciprocal(1 + exp(2 * x)); }

/// What the gates of a unit get from x at one step. r and z only in the lane that begins the sum.
struct UnitInput {
  real r = 0, z = 0, n = 0;
};

/// `at`: of the unit and step in saved.
__device__ __forceinline__ UnitInput read_input(GlobalPointer<real> saved, std::int64_t at, int H,
                                                bool there, bool begins) {
  UnitInput input;
  if (there) input.n = saved[at + 2 * H];
  if (there && begins) {
    input.r = saved[at];
    input.z = saved[at + H];
  }
  return input;
}

/// Width: 32 or 64, at least H.
template <int Width>
__global__ void __launch_bounds__(2 * Width)
    forward_whole_units(GruForwardArrays arrays, GruWeights first, GruWeights second,
                        GruDimensions s) {
  constexpr int kWeights = Width / 2;
  SERENADE_SHARED(real, states, [2][Width]);
  const GruWalk walk(arrays.lengths, s);
  const GruWeights w = walk.direction == 0 ? first : second;
  const int H = s.hidden, thread = static_cast<int>(threadIdx.x);
  const int unit = thread / 2, part = thread % 2;
  const bool exists = unit < H, begins = part == 0;

  real weights[3][kWeights];
  SERENADE_UNROLL for (int gate = 0; gate < 3; ++gate) {
    SERENADE_UNROLL for (int i = 0; i < kWeights; i += kGroup) {
      const int from = element_index<2>(i, part), row = (gate * H + unit) * H;
      UnitGroup group{};
      if (s.whole_rows) {
        if (exists && from < H) group = load_vector<UnitGroup>(w.weight_hh + (row + from));
      } else {
        SERENADE_UNROLL for (int e = 0; e < kGroup; ++e) {
          if (exists && from + e < H) group.v[e] = w.weight_hh[row + from + e];
        }
      }
      SERENADE_UNROLL for (int e = 0; e < kGroup; ++e) weights[gate][i + e] = group.v[e];
    }
  }
  real bias_r = 0, bias_z = 0, bias_n = 0, bias_m = 0;
  if (exists) bias_n = value_or_zero(w.bias_ih, 2 * H + unit);
  if (exists && begins) {
    bias_r = value_or_zero(w.bias_ih, unit) + value_or_zero(w.bias_hh, unit);
    bias_z = value_or_zero(w.bias_ih, H + unit) + value_or_zero(w.bias_hh, H + unit);
    bias_m = value_or_zero(w.bias_hh, 2 * H + unit);
  }

  // Of the unit and step in saved and y; where the next step has them.
  std::int64_t at = walk.step(walk.time(0)) * 4 * H + unit, out = walk.output(walk.time(0)) + unit;
  const int onwards = walk.direction == 0 ? 4 * H : -4 * H;
  const int out_onwards = walk.direction == 0 ? s.directions * H : -s.directions * H;
  const auto read = [&](int ahead, int i) {
    return read_input(arrays.saved, at + ahead * onwards, H, exists && i < walk.length, begins);
  };
  real h = exists ? walk.state_before(0, unit, arrays.y, arrays.h0) : real(0);
  if (begins) states[0][unit] = h;
  UnitInput input = read(0, 0), next = read(1, 1);  // two steps ahead, all the time
  __syncthreads();
  for (int i = 0; i < walk.length; ++i) {
    real x[kWeights];
    SERENADE_UNROLL for (int q = 0; q < kWeights; q += kGroup) {
      const auto group = load_vector<UnitGroup>(&states[i % 2][0] + element_index<2>(q, part));
      SERENADE_UNROLL for (int e = 0; e < kGroup; ++e) x[q + e] = group.v[e];
    }
    const UnitInput later = read(2, i + 2);
    real r = dot(weights[0], x, bias_r + input.r), m = dot(weights[2], x, bias_m);
    real z = dot(weights[1], x, bias_z + input.z);
    r += __shfl_xor_sync(0xFFFFFFFFu, r, 1);
    m += __shfl_xor_sync(0xFFFFFFFFu, m, 1);
    z += __shfl_xor_sync(0xFFFFFFFFu, z, 1);
    r = short_logistic(r);
    z = short_logistic(z);
    const real n = short_tanh(bias_n + input.n + r * m);
    h = (1 - z) * n + z * h;
    if (begins) states[1 - i % 2][unit] = h;
    if (exists) {
      arrays.saved[at + part * H] = begins ? r : z;
      arrays.saved[at + (2 + part) * H] = begins ? n : m;
      if (begins) arrays.y[out] = h;
    }
    at += onwards;
    out += out_onwards;
    __syncthreads();
    input = next;
    next = later;
  }
  walk.clear_padding(arrays.saved, 4 * H);
  walk.clear_padded_output(arrays.y);
}

/// What the reverse step of one unit needs, and what its gradients are per unit of D(h).
struct UnitStep {
  real n = 0, z = 0, h = 0, dy = 0;
  real by_r = 0, by_z = 0, by_n = 0, by_m = 0;
};

/// `at`: of the unit and step in saved; `out`: in y.
__device__ __forceinline__ UnitStep read_step(const GruBackwardArrays& arrays, const GruWalk& walk,
                                              std::int64_t at, std::int64_t out, int i, int unit) {
  UnitStep x;
  const int H = walk.s.hidden;
  if (unit >= H || i < 0) return x;
  x.by_r = arrays.saved[at];  // r, until its gradient is formed
  x.z = arrays.saved[at + H];
  x.n = arrays.saved[at + 2 * H];
  x.by_m = arrays.saved[at + 3 * H];  // m
  x.h = walk.state_before(i, unit, arrays.y, arrays.h0);
  x.dy = arrays.dy[out];
  return x;
}

/// While the step before is still under way.
__device__ __forceinline__ void form_factors(UnitStep& x) {
  const real r = x.by_r, m = x.by_m;
  x.by_n = (1 - x.z) * (1 - x.n * x.n);
  x.by_z = (x.h - x.n) * x.z * (1 - x.z);
  x.by_m = x.by_n * r;
  x.by_r = x.by_m * m * (1 - r);
}

/// Lanes 4 k .. 4 k + 3 have the columns of units 2 k and 2 k + 1; each has every fourth group of
/// the rows of all gates. Afterwards the first two of them have unit 2 k, the others 2 k + 1.
template <int Width>
__global__ void __launch_bounds__(2 * Width)
    backward_whole_units(GruBackwardArrays arrays, GruWeights first, GruWeights second,
                         GruDimensions s) {
  constexpr int kWeights = 3 * Width / 4;
  SERENADE_SHARED(real, d_gates, [2][3 * Width]);  // D(a_r), D(a_z), D(m)
  const GruWalk walk(arrays.lengths, s);
  const GruWeights w = walk.direction == 0 ? first : second;
  const int H = s.hidden, thread = static_cast<int>(threadIdx.x), lane = thread % 4;
  const int pair = thread / 4 * 2, unit = pair + lane / 2, odd = lane % 2;
  const bool exists = unit < H;

  real weights[2][kWeights];
  SERENADE_UNROLL for (int i = 0; i < kWeights; ++i) {
    const int at = element_index<4>(i, lane), gate = at / Width, row = at % Width;
    SERENADE_UNROLL for (int u = 0; u < 2; ++u) {
      weights[u][i] = 0;
      if (row < H && pair + u < H) weights[u][i] = w.weight_hh[(gate * H + row) * H + pair + u];
    }
  }
  real carried = 0, sum = 0, other_sum = 0;  // sums: D(a_r) and D(a_n), in odd lanes D(a_z), D(m)
  // Of the unit in [K, N, T]; what lies one step earlier in the walk.
  std::int64_t step = walk.step(walk.time(walk.length - 1));
  std::int64_t out = walk.output(walk.time(walk.length - 1)) + unit;
  const int back = walk.direction == 0 ? -1 : 1, out_back = back * s.directions * H;
  const auto read = [&](int ahead, int i) {
    return read_step(arrays, walk, (step + ahead * back) * 4 * H + unit, out + ahead * out_back, i,
                     unit);
  };
  UnitStep x = read(0, walk.length - 1), next = read(1, walk.length - 2);
  form_factors(x);
  for (int i = walk.length - 1; i >= 0; --i) {
    const int buffer_now = i % 2;
    const real d = carried + x.dy;
    const real gate = d * (odd == 0 ? x.by_r : x.by_z), other = d * (odd == 0 ? x.by_n : x.by_m);
    d_gates[buffer_now][odd * Width + unit] = gate;
    if (odd == 1) d_gates[buffer_now][2 * Width + unit] = other;
    __syncthreads();
    const UnitStep later = read(2, i - 2);
    real sums[2][2] = {};
    SERENADE_UNROLL for (int q = 0; q < kWeights; q += kGroup) {
      const auto group =
          load_vector<UnitGroup>(&d_gates[buffer_now][0] + element_index<4>(q, lane));
      SERENADE_UNROLL for (int e = 0; e < kGroup; ++e) {
        SERENADE_UNROLL for (int u = 0; u < 2; ++u) sums[u][e % 2] +=
            weights[u][q + e] * group.v[e];
      }
    }
    const real lower = sums[0][0] + sums[0][1], upper = sums[1][0] + sums[1][1];
    real product = lane < 2 ? lower : upper;
    product += __shfl_xor_sync(0xFFFFFFFFu, lane < 2 ? upper : lower, 2);
    product += __shfl_xor_sync(0xFFFFFFFFu, product, 1);
    sum += gate;
    other_sum += other;
    if (exists) {
      const std::int64_t at = step * 3 * H + unit;
      arrays.d_input[at + odd * H] = gate;
      arrays.d_recurrent[at + odd * H] = gate;
      if (odd == 0) {
        arrays.d_input[at + 2 * H] = other;
        arrays.previous[step * H + unit] = x.h;
      } else {
        arrays.d_recurrent[at + 2 * H] = other;
      }
    }
    step += back;
    out += out_back;
    carried = d * x.z + product;
    x = next;
    form_factors(x);
    next = later;
  }
  if (exists) {
    const std::int64_t at = walk.row() * 4 * H + unit;
    arrays.bias_sums[at + odd * H] = sum;
    arrays.bias_sums[at + (2 + odd) * H] = other_sum;
    if (odd == 0 && arrays.dh0 != nullptr) arrays.dh0[walk.row() * H + unit] += carried;
  }
  walk.clear_padding(arrays.d_input, 3 * H);
  walk.clear_padding(arrays.d_recurrent, 3 * H);
  walk.clear_padding(arrays.previous, H);
}

dim3 grid_for(const GruDimensions& s) {
  return dim3(static_cast<unsigned>(s.batch), static_cast<unsigned>(s.directions));
}

}  // namespace

void recurrence_forward_v3_whole_units(const GruForwardArrays& arrays, const GruWeights& first,
                                       const GruWeights& second, const GruDimensions& s) {
  if (s.hidden <= 32) {
    SERENADE_LAUNCH(forward_whole_units<32>, grid_for(s), dim3(64), 0, current_stream(), arrays,
                    first, second, s);
  } else {
    SERENADE_LAUNCH(forward_whole_units<64>, grid_for(s), dim3(128), 0, current_stream(), arrays,
                    first, second, s);
  }
}

void recurrence_backward_v3_whole_units(const GruBackwardArrays& arrays, const GruWeights& first,
                                        const GruWeights& second, const GruDimensions& s) {
  if (s.hidden <= 32) {
    SERENADE_LAUNCH(backward_whole_units<32>, grid_for(s), dim3(64), 0, current_stream(), arrays,
                    first, second, s);
  } else {
    SERENADE_LAUNCH(backward_whole_units<64>, grid_for(s), dim3(128), 0, current_stream(), arrays,
                    first, second, s);
  }
}

}  // namespace serenade::cuda
