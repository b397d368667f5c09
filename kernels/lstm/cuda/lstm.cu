// The recurrent layers on a device, in the steps of the CPU's (and of the GRU's):
//   forward:  1. input projection: one matrix product over all steps of both directions, straight
//                into `saved`
//             2. recurrence: all steps of all sequences in one launch (plain.cu)
//   backward: 1. recurrence in reverse, which leaves the gradients of the gates of all steps
//             2. dx and each weight gradient as a matrix product over all steps; biases as sums
//                over sequences in their order
// Formulas: kernels/lstm/lstm.h.

#include "kernels/lstm/lstm.h"

#include "kernels/gemm/cuda/versions.h"
#include "kernels/gemm/gemm.h"
#include "kernels/lstm/cuda/recurrence.cuh"
#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/cuda_device.h"

namespace serenade::cuda {

namespace {

constexpr int kBiasThreads = 64;

/// Both bias gradients of one direction += the sums of its sequences. sums: [N, columns].
__global__ void __launch_bounds__(kBiasThreads)
    add_lstm_bias_gradients(GlobalPointer<real> bias_ih, GlobalPointer<real> bias_hh,
                            GlobalPointer<const real> sums, int sequences, int columns) {
  const int column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (column >= columns) return;
  real total = 0;
  SERENADE_UNROLL_BY(8) for (int sequence = 0; sequence < sequences; ++sequence) {
    const real sum = sums[std::int64_t{sequence} * columns + column];
    total += sum;
  }
  if (bias_ih != nullptr) bias_ih[column] += total;
  if (bias_hh != nullptr) bias_hh[column] += total;
}

LstmDimensions dimensions(const LstmSizes& s) {
  return {static_cast<int>(s.batch), static_cast<int>(s.steps), static_cast<int>(s.hidden),
          static_cast<int>(s.directions), s.cell};
}

LstmWeights weights(const LstmParameters* parameters, std::int64_t direction, const LstmSizes& s) {
  if (direction >= s.directions) return {nullptr, nullptr, nullptr};
  const LstmParameters& p = parameters[direction];
  return {p.weight_hh, p.bias_ih, p.bias_hh};
}

bool is_empty(const LstmSizes& s) {
  return s.batch == 0 || s.steps == 0 || s.hidden == 0 || s.directions == 0;
}

/// The first step forward: one product for both directions, x being the same and W_ih elsewhere.
void project_inputs(real* saved, const real* x, const LstmParameters* parameters,
                    const LstmSizes& s) {
  GemmCall call{.transpose_b = true,
                .batch = s.directions,
                .m = s.batch * s.steps,
                .n = s.gates() * s.hidden,
                .k = s.inputs,
                .a = x,
                .b = parameters[0].weight_ih,
                .c = saved,
                .lda = s.inputs,
                .ldb = s.inputs,
                .ldc = s.saved_rows() * s.hidden};
  call.stride_c = call.m * call.ldc;
  if (s.directions == 2) call.second_b = parameters[1].weight_ih;
  run_gemm(call, gemm_plan(call, float32_math() == Float32Math::tf32));
}

/// What the recurrence in reverse works with (recurrence.cuh says what is where).
struct GateGradients {
  DeviceArray<real> d_gates, previous, bias_sums, dh, dc;

  explicit GateGradients(const LstmSizes& s)
      : d_gates(s.directions * s.batch * s.steps * s.gates() * s.hidden),
        previous(s.directions * s.batch * s.steps * s.hidden),
        bias_sums(s.directions * s.batch * s.gates() * s.hidden),
        dh(s.directions * s.batch * s.hidden),
        dc(s.directions * s.batch * s.hidden) {}
};

/// The second step of the backward pass, for direction k.
void products_over_steps(real* dx, const LstmParameterGradients& g, const GateGradients& d,
                         const real* x, const real* weight_ih, std::int64_t k, const LstmSizes& s) {
  const std::int64_t rows = s.batch * s.steps, H = s.hidden, D = s.inputs, wide = s.gates() * H;
  const real* d_gates = d.d_gates.data() + k * rows * wide;
  const real* previous = d.previous.data() + k * rows * H;
  if (dx != nullptr) gemm(false, false, rows, D, wide, 1, d_gates, wide, weight_ih, D, 1, dx, D);
  if (g.weight_ih != nullptr) {
    gemm(true, false, wide, D, rows, 1, d_gates, wide, x, D, 1, g.weight_ih, D);
  }
  if (g.weight_hh != nullptr) {
    gemm(true, false, wide, H, rows, 1, d_gates, wide, previous, H, 1, g.weight_hh, H);
  }
  if (g.bias_ih == nullptr && g.bias_hh == nullptr) return;
  SERENADE_LAUNCH(add_lstm_bias_gradients, dim3(blocks_for(wide, kBiasThreads)), dim3(kBiasThreads),
                  0, current_stream(), g.bias_ih, g.bias_hh,
                  d.bias_sums.data() + k * s.batch * wide, static_cast<int>(s.batch),
                  static_cast<int>(wide));
}

}  // namespace

void lstm_forward(real* y, const StatePointers<real*>& last, real* saved, const real* x,
                  const StatePointers<const real*>& start, const LstmParameters* parameters,
                  const std::int64_t* lengths, const LstmSizes& s) {
  if (is_empty(s)) return;
  project_inputs(saved, x, parameters, s);
  const OnDevice<std::int64_t> device_lengths(lengths, s.batch);
  const LstmForwardArrays arrays{y, saved, last.h, last.c, start.h, start.c, device_lengths.data()};
  lstm_recurrence_forward_v0_plain(arrays, weights(parameters, 0, s), weights(parameters, 1, s),
                                   dimensions(s));
}

void lstm_backward(real* dx, const StatePointers<real*>& d_start,
                   const LstmParameterGradients* gradients, const real* dy,
                   const StatePointers<const real*>& d_last, const real* y, const real* saved,
                   const real* x, const StatePointers<const real*>& start,
                   const LstmParameters* parameters, const std::int64_t* lengths,
                   const LstmSizes& s) {
  if (is_empty(s)) return;
  const GateGradients d(s);
  const OnDevice<std::int64_t> device_lengths(lengths, s.batch);
  const LstmBackwardArrays arrays{.d_gates = d.d_gates.data(),
                                  .previous = d.previous.data(),
                                  .bias_sums = d.bias_sums.data(),
                                  .dh = d.dh.data(),
                                  .dc = d.dc.data(),
                                  .dh0 = d_start.h,
                                  .dc0 = d_start.c,
                                  .dy = dy,
                                  .dh_n = d_last.h,
                                  .dc_n = d_last.c,
                                  .y = y,
                                  .saved = saved,
                                  .h0 = start.h,
                                  .c0 = start.c,
                                  .lengths = device_lengths.data()};
  lstm_recurrence_backward_v0_plain(arrays, weights(parameters, 0, s), weights(parameters, 1, s),
                                    dimensions(s));
  for (std::int64_t k = 0; k < s.directions; ++k) {
    products_over_steps(dx, gradients[k], d, x, parameters[k].weight_ih, k, s);
  }
}

}  // namespace serenade::cuda
