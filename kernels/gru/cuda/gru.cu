// The GRU on a device, in the steps of the CPU's:
//   forward:  1. input projection: one matrix product over all steps of both directions, straight
//                into `saved`
//             2. recurrence: all steps of all sequences in one launch (versions.h)
//   backward: 1. recurrence in reverse, which leaves the gradients of the gates of all steps
//             2. dx and each weight gradient as a matrix product over all steps; biases as sums
//                over sequences in their order
//
// The projection does D / H times the operations of the recurrence: 32 times for 2048 inputs and 64
// units. What limits the recurrence is the chain from step to step, not arithmetic.
// Formulas: kernels/gru/gru.h.

#include "kernels/gru/gru.h"

#include <stdexcept>
#include <string>

#include "kernels/gemm/cuda/versions.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gru/cuda/recurrence.cuh"
#include "kernels/gru/cuda/versions.h"
#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/cuda_device.h"

namespace serenade::cuda {

namespace {

constexpr int kBiasThreads = 64;

/// bias gradients of one direction += the sums of its sequences. sums: [N, 4, H].
__global__ void __launch_bounds__(kBiasThreads)
    add_bias_gradients(GlobalPointer<real> bias_ih, GlobalPointer<real> bias_hh,
                       GlobalPointer<const real> sums, int sequences, int H) {
  const int column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (column >= 3 * H) return;
  const int other = column >= 2 * H ? column + H : column;
  real input = 0, recurrent = 0;
  SERENADE_UNROLL_BY(8) for (int sequence = 0; sequence < sequences; ++sequence) {
    const std::int64_t at = std::int64_t{sequence} * 4 * H;
    const real a = sums[at + column], b = sums[at + other];
    input += a;
    recurrent += b;
  }
  if (bias_ih != nullptr) bias_ih[column] += input;
  if (bias_hh != nullptr) bias_hh[column] += recurrent;
}

/// Whether the rows of W_hh are whole groups of 16 bytes.
bool has_whole_rows(const GruParameters* parameters, const GruSizes& s) {
  bool whole = s.hidden * static_cast<std::int64_t>(sizeof(real)) % 16 == 0;
  for (std::int64_t k = 0; k < s.directions; ++k) {
    whole = whole && reinterpret_cast<std::uintptr_t>(parameters[k].weight_hh) % 16 == 0;
  }
  return whole;
}

GruDimensions dimensions(const GruParameters* parameters, const GruSizes& s) {
  return {static_cast<int>(s.batch),
          static_cast<int>(s.steps),
          static_cast<int>(s.hidden),
          static_cast<int>(s.directions),
          s.reset_after,
          has_whole_rows(parameters, s)};
}

GruWeights weights(const GruParameters* parameters, std::int64_t direction, const GruSizes& s) {
  if (direction >= s.directions) return {nullptr, nullptr, nullptr};
  const GruParameters& p = parameters[direction];
  return {p.weight_hh, p.bias_ih, p.bias_hh};
}

void require(GruVersion version, const GruSizes& s) {
  if (gru_version_supports(version, s.hidden, s.reset_after)) return;
  throw std::logic_error("gru: this version does not take " + std::to_string(s.hidden) +
                         " hidden units");
}

bool is_empty(const GruSizes& s) {
  return s.batch == 0 || s.steps == 0 || s.hidden == 0 || s.directions == 0;
}

auto forward_recurrence(GruVersion version) {
  switch (version) {
    case GruVersion::registers:
      return recurrence_forward_v1_registers;
    case GruVersion::split_rows:
      return recurrence_forward_v2_split_rows;
    case GruVersion::whole_units:
      return recurrence_forward_v3_whole_units;
    default:
      return recurrence_forward_v0_plain;
  }
}

auto backward_recurrence(GruVersion version) {
  switch (version) {
    case GruVersion::registers:
      return recurrence_backward_v1_registers;
    case GruVersion::split_rows:
      return recurrence_backward_v2_split_rows;
    case GruVersion::whole_units:
      return recurrence_backward_v3_whole_units;
    default:
      return recurrence_backward_v0_plain;
  }
}

/// Gradient [m, n] += d [rows, m]^T x [rows, n], with d part of rows of 3 H.
void add_weight_gradient(real* gradient, std::int64_t m, std::int64_t n, const real* d,
                         const real* x, std::int64_t ldx, const GruSizes& s) {
  gemm(true, false, m, n, s.batch * s.steps, 1, d, 3 * s.hidden, x, ldx, 1, gradient, n);
}

/// The first step forward: one product for both directions, x being the same and W_ih elsewhere.
void project_inputs(real* saved, const real* x, const GruParameters* parameters,
                    const GruSizes& s) {
  GemmCall call{.transpose_b = true,
                .batch = s.directions,
                .m = s.batch * s.steps,
                .n = 3 * s.hidden,
                .k = s.inputs,
                .a = x,
                .b = parameters[0].weight_ih,
                .c = saved,
                .lda = s.inputs,
                .ldb = s.inputs,
                .ldc = 4 * s.hidden};
  call.stride_c = call.m * call.ldc;
  if (s.directions == 2) call.second_b = parameters[1].weight_ih;
  run_gemm(call, gemm_plan(call, float32_math() == Float32Math::tf32));
}

/// What the first step of the backward pass writes. [K, N, T, 3 H] twice, [K, N, T, H], [K, N, 4,
/// H].
struct GateGradients {
  DeviceArray<real> input, recurrent, previous, bias_sums;

  explicit GateGradients(const GruSizes& s)
      : input(s.directions * s.batch * s.steps * 3 * s.hidden),
        recurrent(s.reset_after ? s.directions * s.batch * s.steps * 3 * s.hidden : 0),
        previous(s.directions * s.batch * s.steps * s.hidden),
        bias_sums(s.directions * s.batch * 4 * s.hidden) {}
};

/// The second step of the backward pass, for direction k.
void products_over_steps(real* dx, const GruParameterGradients& g, const GateGradients& d,
                         const real* saved, const real* x, const real* weight_ih, std::int64_t k,
                         const GruSizes& s) {
  const std::int64_t rows = s.batch * s.steps, H = s.hidden, D = s.inputs;
  const real* d_input = d.input.data() + k * rows * 3 * H;
  const real* previous = d.previous.data() + k * rows * H;
  if (dx != nullptr) gemm(false, false, rows, D, 3 * H, 1, d_input, 3 * H, weight_ih, D, 1, dx, D);
  if (g.weight_ih != nullptr) add_weight_gradient(g.weight_ih, 3 * H, D, d_input, x, D, s);
  if (g.weight_hh != nullptr && s.reset_after) {
    const real* d_recurrent = d.recurrent.data() + k * rows * 3 * H;
    add_weight_gradient(g.weight_hh, 3 * H, H, d_recurrent, previous, H, s);
  } else if (g.weight_hh != nullptr) {  // the candidate's weights saw m = r * h
    const real* m = saved + k * rows * 4 * H + 3 * H;
    add_weight_gradient(g.weight_hh, 2 * H, H, d_input, previous, H, s);
    add_weight_gradient(g.weight_hh + 2 * H * H, H, H, d_input + 2 * H, m, 4 * H, s);
  }
  if (g.bias_ih == nullptr && g.bias_hh == nullptr) return;
  SERENADE_LAUNCH(add_bias_gradients, dim3(blocks_for(3 * H, kBiasThreads)), dim3(kBiasThreads), 0,
                  current_stream(), g.bias_ih, g.bias_hh, d.bias_sums.data() + k * s.batch * 4 * H,
                  static_cast<int>(s.batch), static_cast<int>(H));
}

}  // namespace

bool gru_version_supports(GruVersion version, std::int64_t hidden, bool reset_after) {
  switch (version) {
    case GruVersion::plain:
      return true;
    case GruVersion::registers:
      return hidden <= (reset_after ? 128 : 64);
    case GruVersion::split_rows:
      return hidden <= 64;
    case GruVersion::whole_units:
      return hidden <= 64 && reset_after;
  }
  return false;
}

GruVersion gru_version(std::int64_t hidden, bool reset_after) {
  for (const GruVersion version :
       {GruVersion::whole_units, GruVersion::split_rows, GruVersion::registers}) {
    if (gru_version_supports(version, hidden, reset_after)) return version;
  }
  return GruVersion::plain;
}

void gru_forward_with(GruVersion version, real* y, real* saved, const real* x, const real* h0,
                      const GruParameters* parameters, const std::int64_t* lengths,
                      const GruSizes& s) {
  require(version, s);
  if (is_empty(s)) return;
  project_inputs(saved, x, parameters, s);
  const OnDevice<std::int64_t> device_lengths(lengths, s.batch);
  const GruForwardArrays arrays{y, saved, h0, device_lengths.data()};
  forward_recurrence(version)(arrays, weights(parameters, 0, s), weights(parameters, 1, s),
                              dimensions(parameters, s));
}

void gru_backward_with(GruVersion version, real* dx, real* dh0,
                       const GruParameterGradients* gradients, const real* dy, const real* y,
                       const real* saved, const real* x, const real* h0,
                       const GruParameters* parameters, const std::int64_t* lengths,
                       const GruSizes& s) {
  require(version, s);
  if (is_empty(s)) return;
  const GateGradients d(s);
  const OnDevice<std::int64_t> device_lengths(lengths, s.batch);
  const GruBackwardArrays arrays{d.input.data(),
                                 d.recurrent.data(),
                                 d.previous.data(),
                                 d.bias_sums.data(),
                                 dh0,
                                 dy,
                                 y,
                                 saved,
                                 h0,
                                 device_lengths.data()};
  backward_recurrence(version)(arrays, weights(parameters, 0, s), weights(parameters, 1, s),
                               dimensions(parameters, s));
  for (std::int64_t k = 0; k < s.directions; ++k) {
    products_over_steps(dx, gradients[k], d, saved, x, parameters[k].weight_ih, k, s);
  }
}

void gru_forward(real* y, real* saved, const real* x, const real* h0,
                 const GruParameters* parameters, const std::int64_t* lengths, const GruSizes& s) {
  gru_forward_with(gru_version(s.hidden, s.reset_after), y, saved, x, h0, parameters, lengths, s);
}

void gru_backward(real* dx, real* dh0, const GruParameterGradients* gradients, const real* dy,
                  const real* y, const real* saved, const real* x, const real* h0,
                  const GruParameters* parameters, const std::int64_t* lengths, const GruSizes& s) {
  gru_backward_with(gru_version(s.hidden, s.reset_after), dx, dh0, gradients, dy, y, saved, x, h0,
                    parameters, lengths, s);
}

}  // namespace serenade::cuda
