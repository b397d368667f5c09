// cuDNN's GRU beside ours (formulas: kernels/gru.h). Both order the gates of a step r, z, n, call z
// the weight of the old state and have two biases, so that the weights only move: cuDNN keeps all
// of them in one block and says where each matrix and bias of it lies.

#include <vector>

#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/cudnn_api.h"
#include "kernels/cuda/runtime.h"
#include "kernels/memory.h"

namespace serenade::cuda {
namespace {

using cudnn::Described;
using cudnn::Descriptor;
using cudnn::Library;

constexpr int kGates = 3;

int narrow(std::int64_t size) { return static_cast<int>(size); }

/// Lengths as cuDNN wants them.
std::vector<std::int32_t> narrow_lengths(const std::int64_t* lengths, const GruSizes& sizes) {
  std::vector<std::int32_t> narrowed(static_cast<std::size_t>(sizes.batch), narrow(sizes.steps));
  for (std::size_t n = 0; lengths != nullptr && n < narrowed.size(); ++n) {
    narrowed[n] = narrow(lengths[n]);
  }
  return narrowed;
}

/// Working memory of so many bytes.
DeviceArray<unsigned char> block(std::size_t bytes) {
  return DeviceArray<unsigned char>(static_cast<std::int64_t>(bytes));
}

}  // namespace

struct CudnnGru::State {
  const Library& l = cudnn::prepared_library();
  GruSizes sizes;
  std::vector<std::int32_t> host_lengths;
  OnDevice<std::int32_t> lengths;
  Described dropout{l.create_dropout, l.destroy_dropout};
  Described rnn{l.create_rnn, l.destroy_rnn};
  Described x{l.create_rnn_data, l.destroy_rnn_data};
  Described y{l.create_rnn_data, l.destroy_rnn_data};
  Described h{l.create_tensor, l.destroy_tensor};
  std::size_t weight_bytes = 0, work_bytes = 0, kept_bytes = 0;
  std::unique_ptr<DeviceArray<unsigned char>> weights;

  State(const GruParameters* parameters, const std::int64_t* all_lengths, const GruSizes& s)
      : sizes(s),
        host_lengths(narrow_lengths(all_lengths, s)),
        lengths(host_lengths.data(), s.batch) {
    describe();
    cudnn::check(l.rnn_weight_space(l.handle, rnn, &weight_bytes), "cudnnGetRNNWeightSpaceSize");
    weights = std::make_unique<DeviceArray<unsigned char>>(static_cast<std::int64_t>(weight_bytes));
    clear(weights->data(), weight_bytes);
    for (std::int64_t k = 0; k < sizes.directions; ++k) {
      const GruParameters& p = parameters[k];
      for (int gate = 0; gate < kGates; ++gate) {
        put_gate(k, gate, p.weight_ih, p.bias_ih, gate, sizes.inputs);
        put_gate(k, kGates + gate, p.weight_hh, p.bias_hh, gate, sizes.hidden);
      }
    }
    cudnn::check(
        l.rnn_temporary_space(l.handle, rnn, cudnn::kTraining, x, &work_bytes, &kept_bytes),
        "cudnnGetRNNTempSpaceSizes");
  }

  void describe() {
    cudnn::check(l.set_dropout(dropout, l.handle, 0.0f, nullptr, 0, 0),
                 "cudnnSetDropoutDescriptor");
    cudnn::check(
        l.set_rnn(rnn, cudnn::kRnnStandard, cudnn::kGru, cudnn::kDoubleBias,
                  cudnn::direction_mode(sizes.directions), cudnn::kLinearInput, cudnn::kDataType,
                  cudnn::kDataType, cudnn::math_type(), narrow(sizes.inputs), narrow(sizes.hidden),
                  narrow(sizes.hidden), 1, dropout, cudnn::kPaddedIo),
        "cudnnSetRNNDescriptor_v8");
    describe_sequences(x, sizes.inputs);
    describe_sequences(y, sizes.directions * sizes.hidden);
    const int shape[] = {narrow(sizes.directions), narrow(sizes.batch), narrow(sizes.hidden)};
    const int strides[] = {shape[1] * shape[2], shape[2], 1};
    cudnn::check(l.set_tensor_nd(h, cudnn::kDataType, 3, shape, strides),
                 "cudnnSetTensorNdDescriptor");
  }

  void describe_sequences(Descriptor data, std::int64_t width) const {
    real padding = 0;
    cudnn::check(
        l.set_rnn_data(data, cudnn::kDataType, cudnn::kBatchMajorUnpacked, narrow(sizes.steps),
                       narrow(sizes.batch), narrow(width), host_lengths.data(), &padding),
        "cudnnSetRNNDataDescriptor");
  }

  /// Copies one gate's matrix [H, width] and bias [H] to where direction k keeps them as its
  /// `layer`-th.
  void put_gate(std::int64_t k, int layer, const real* weight, const real* bias, int gate,
                std::int64_t width) const {
    const Described matrix(l.create_tensor, l.destroy_tensor);
    const Described vector(l.create_tensor, l.destroy_tensor);
    void* matrix_at = nullptr;
    void* vector_at = nullptr;
    cudnn::check(l.rnn_weight_place(l.handle, rnn, narrow(k), weight_bytes, weights->data(), layer,
                                    matrix, &matrix_at, vector, &vector_at),
                 "cudnnGetRNNWeightParams");
    const std::int64_t count = sizes.hidden * width;
    copy(static_cast<real*>(matrix_at), weight + gate * count, count);
    if (bias != nullptr) {
      copy(static_cast<real*>(vector_at), bias + gate * sizes.hidden, sizes.hidden);
    }
  }
};

CudnnGru::CudnnGru(const GruParameters* parameters, const std::int64_t* lengths,
                   const GruSizes& sizes)
    : state_(std::make_unique<State>(parameters, lengths, sizes)) {
  if (!sizes.reset_after) throw std::runtime_error("cuDNN: its GRU resets after the product only");
}

CudnnGru::~CudnnGru() = default;

void CudnnGru::forward(real* y, const real* x, const real* h0) {
  const State& s = *state_;
  const Library& l = cudnn::prepared_library();
  const DeviceArray<unsigned char> work = block(s.work_bytes), kept = block(s.kept_bytes);
  cudnn::check(
      l.rnn_forward(l.handle, s.rnn, cudnn::kTraining, s.lengths.data(), s.x, x, s.y, y, s.h, h0,
                    nullptr, s.h, nullptr, nullptr, s.weight_bytes, s.weights->data(), s.work_bytes,
                    work.data(), s.kept_bytes, kept.data()),
      "cudnnRNNForward");
}

}  // namespace serenade::cuda
