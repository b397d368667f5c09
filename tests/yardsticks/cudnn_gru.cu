// cuDNN's GRU beside ours (formulas: kernels/gru/gru.h). Both order the gates of a step r, z, n,
// call z the weight of the old state and have two biases, so that the weights only move: cuDNN
// keeps all of them in one block and says where each matrix and bias of it lies.
//
// The part of cuDNN 9 that this calls stands at the top, under our own names. Source: NVIDIA, cuDNN
// 9 API reference, library cudnn_adv.

#include "tests/yardsticks/cudnn_gru.h"

#include <memory>
#include <stdexcept>
#include <vector>

#include "kernels/conv2d/cuda/cudnn_api.h"
#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/memory.h"

namespace serenade::cuda {
namespace {

using cudnn::Descriptor;
using cudnn::Handle;
using cudnn::Library;
using cudnn::OwnedDescriptor;
using cudnn::Status;

constexpr int kRnnStandard = 0;         // CUDNN_RNN_ALGO_STANDARD
constexpr int kGru = 3;                 // CUDNN_GRU
constexpr int kDoubleBias = 2;          // CUDNN_RNN_DOUBLE_BIAS
constexpr int kLinearInput = 0;         // CUDNN_LINEAR_INPUT
constexpr int kBatchMajorUnpacked = 2;  // CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED
constexpr int kTraining = 1;            // CUDNN_FWD_MODE_TRAINING
constexpr int kAddGradients = 0;        // CUDNN_WGRAD_MODE_ADD
constexpr unsigned kPaddedIo = 1;       // CUDNN_RNN_PADDED_IO_ENABLED
// CUDNN_UNIDIRECTIONAL, CUDNN_BIDIRECTIONAL
constexpr int direction_mode(std::int64_t directions) { return directions == 2 ? 1 : 0; }

/// Arguments: the reference's, in its order.
struct RecurrentLibrary {
  Status (*create_dropout)(Descriptor*) = nullptr;
  Status (*destroy_dropout)(Descriptor) = nullptr;
  Status (*set_dropout)(Descriptor, Handle, float, void*, std::size_t,
                        unsigned long long) = nullptr;
  Status (*create_rnn)(Descriptor*) = nullptr;
  Status (*destroy_rnn)(Descriptor) = nullptr;
  Status (*set_rnn)(Descriptor, int, int, int, int, int, int, int, int, std::int32_t, std::int32_t,
                    std::int32_t, std::int32_t, Descriptor, std::uint32_t) = nullptr;
  Status (*create_rnn_data)(Descriptor*) = nullptr;
  Status (*destroy_rnn_data)(Descriptor) = nullptr;
  Status (*set_rnn_data)(Descriptor, int, int, int, int, int, const int*, void*) = nullptr;
  Status (*rnn_weight_space)(Handle, Descriptor, std::size_t*) = nullptr;
  Status (*rnn_weight_place)(Handle, Descriptor, std::int32_t, std::size_t, const void*,
                             std::int32_t, Descriptor, void**, Descriptor, void**) = nullptr;
  Status (*rnn_temporary_space)(Handle, Descriptor, int, Descriptor, std::size_t*,
                                std::size_t*) = nullptr;
  Status (*rnn_forward)(Handle, Descriptor, int, const std::int32_t*, Descriptor, const void*,
                        Descriptor, void*, Descriptor, const void*, void*, Descriptor, const void*,
                        void*, std::size_t, const void*, std::size_t, void*, std::size_t,
                        void*) = nullptr;
  Status (*rnn_backward_data)(Handle, Descriptor, const std::int32_t*, Descriptor, const void*,
                              const void*, Descriptor, void*, Descriptor, const void*, const void*,
                              void*, Descriptor, const void*, const void*, void*, std::size_t,
                              const void*, std::size_t, void*, std::size_t, void*) = nullptr;
  Status (*rnn_backward_weights)(Handle, Descriptor, int, const std::int32_t*, Descriptor,
                                 const void*, Descriptor, const void*, Descriptor, const void*,
                                 std::size_t, void*, std::size_t, void*, std::size_t,
                                 void*) = nullptr;
};

RecurrentLibrary load() {
  RecurrentLibrary l;
  cudnn::SymbolLoader find(cudnn::prepared_library().file);
  find(l.create_dropout, "cudnnCreateDropoutDescriptor");
  find(l.destroy_dropout, "cudnnDestroyDropoutDescriptor");
  find(l.set_dropout, "cudnnSetDropoutDescriptor");
  find(l.create_rnn, "cudnnCreateRNNDescriptor");
  find(l.destroy_rnn, "cudnnDestroyRNNDescriptor");
  find(l.set_rnn, "cudnnSetRNNDescriptor_v8");
  find(l.create_rnn_data, "cudnnCreateRNNDataDescriptor");
  find(l.destroy_rnn_data, "cudnnDestroyRNNDataDescriptor");
  find(l.set_rnn_data, "cudnnSetRNNDataDescriptor");
  find(l.rnn_weight_space, "cudnnGetRNNWeightSpaceSize");
  find(l.rnn_weight_place, "cudnnGetRNNWeightParams");
  find(l.rnn_temporary_space, "cudnnGetRNNTempSpaceSizes");
  find(l.rnn_forward, "cudnnRNNForward");
  find(l.rnn_backward_data, "cudnnRNNBackwardData_v8");
  find(l.rnn_backward_weights, "cudnnRNNBackwardWeights_v8");
  if (!find.missing().empty()) {
    throw std::runtime_error("cuDNN: libcudnn.so.9 lacks " + find.missing());
  }
  return l;
}

/// Throws where the library is not available.
const RecurrentLibrary& recurrent_library() {
  static const RecurrentLibrary loaded = load();
  return loaded;
}

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

using Bytes = DeviceArray<unsigned char>;

std::unique_ptr<Bytes> new_bytes(std::size_t bytes) {
  return std::make_unique<Bytes>(static_cast<std::int64_t>(bytes));
}

}  // namespace

struct CudnnGru::State {
  const Library& l = cudnn::prepared_library();
  const RecurrentLibrary& api = recurrent_library();
  GruSizes sizes;
  std::vector<std::int32_t> host_lengths;
  OnDevice<std::int32_t> lengths;
  OwnedDescriptor dropout{api.create_dropout, api.destroy_dropout};
  OwnedDescriptor rnn{api.create_rnn, api.destroy_rnn};
  OwnedDescriptor x{api.create_rnn_data, api.destroy_rnn_data};
  OwnedDescriptor y{api.create_rnn_data, api.destroy_rnn_data};
  OwnedDescriptor h{l.create_tensor, l.destroy_tensor};
  std::size_t weight_bytes = 0, work_bytes = 0, kept_bytes = 0;
  std::unique_ptr<Bytes> weights, gradients, kept;
  const real *last_y = nullptr, *last_x = nullptr, *last_h0 = nullptr;  // of the last forward

  State(const GruParameters* parameters, const std::int64_t* all_lengths, const GruSizes& s)
      : sizes(s),
        host_lengths(narrow_lengths(all_lengths, s)),
        lengths(host_lengths.data(), s.batch) {
    describe();
    cudnn::check(api.rnn_weight_space(l.handle, rnn, &weight_bytes), "cudnnGetRNNWeightSpaceSize");
    weights = new_bytes(weight_bytes);
    gradients = new_bytes(weight_bytes);
    clear(weights->data(), weight_bytes);
    clear(gradients->data(), weight_bytes);
    for_gates(*weights, [&](std::int64_t k, std::int64_t gate, bool recurrent, const Gate& at) {
      const real* weight = recurrent ? parameters[k].weight_hh : parameters[k].weight_ih;
      const real* bias = recurrent ? parameters[k].bias_hh : parameters[k].bias_ih;
      copy(at.weight, weight + gate * at.count, at.count);
      if (bias != nullptr) copy(at.bias, bias + gate * sizes.hidden, sizes.hidden);
    });
    cudnn::check(api.rnn_temporary_space(l.handle, rnn, kTraining, x, &work_bytes, &kept_bytes),
                 "cudnnGetRNNTempSpaceSizes");
  }

  void describe() {
    cudnn::check(api.set_dropout(dropout, l.handle, 0.0f, nullptr, 0, 0),
                 "cudnnSetDropoutDescriptor");
    cudnn::check(api.set_rnn(rnn, kRnnStandard, kGru, kDoubleBias, direction_mode(sizes.directions),
                             kLinearInput, cudnn::kDataType, cudnn::kDataType, cudnn::math_type(),
                             narrow(sizes.inputs), narrow(sizes.hidden), narrow(sizes.hidden), 1,
                             dropout, kPaddedIo),
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
        api.set_rnn_data(data, cudnn::kDataType, kBatchMajorUnpacked, narrow(sizes.steps),
                         narrow(sizes.batch), narrow(width), host_lengths.data(), &padding),
        "cudnnSetRNNDataDescriptor");
  }

  /// Where cuDNN keeps a gate: its matrix, `count` elements, and its bias, H.
  struct Gate {
    real *weight, *bias;
    std::int64_t count;
  };

  /// Calls f(direction, gate, recurrent, pointers) for all gates of `space`: the weights or
  /// gradients.
  template <class F>
  void for_gates(const Bytes& space, const F& f) const {
    const OwnedDescriptor matrix(l.create_tensor, l.destroy_tensor);
    const OwnedDescriptor vector(l.create_tensor, l.destroy_tensor);
    for (std::int64_t k = 0; k < sizes.directions; ++k) {
      for (int layer = 0; layer < 2 * kGates; ++layer) {
        const bool recurrent = layer >= kGates;
        void* weight = nullptr;
        void* bias = nullptr;
        cudnn::check(api.rnn_weight_place(l.handle, rnn, narrow(k), weight_bytes, space.data(),
                                          layer, matrix, &weight, vector, &bias),
                     "cudnnGetRNNWeightParams");
        f(k, std::int64_t{layer % kGates}, recurrent,
          Gate{static_cast<real*>(weight), static_cast<real*>(bias),
               sizes.hidden * (recurrent ? sizes.hidden : sizes.inputs)});
      }
    }
  }
};

CudnnGru::CudnnGru(const GruParameters* parameters, const std::int64_t* lengths,
                   const GruSizes& sizes) {
  if (!sizes.reset_after) throw std::runtime_error("cuDNN: its GRU resets after the product only");
  state_ = std::make_unique<State>(parameters, lengths, sizes);
}

CudnnGru::~CudnnGru() = default;

void CudnnGru::forward(real* y, const real* x, const real* h0) {
  State& s = *state_;
  const Library& l = cudnn::prepared_library();
  const Bytes work(static_cast<std::int64_t>(s.work_bytes));
  s.kept = new_bytes(s.kept_bytes);
  cudnn::check(
      s.api.rnn_forward(l.handle, s.rnn, kTraining, s.lengths.data(), s.x, x, s.y, y, s.h, h0,
                        nullptr, s.h, nullptr, nullptr, s.weight_bytes, s.weights->data(),
                        s.work_bytes, work.data(), s.kept_bytes, s.kept->data()),
      "cudnnRNNForward");
  s.last_y = y;
  s.last_x = x;
  s.last_h0 = h0;
}

void CudnnGru::backward(real* dx, const real* dy, real* dh0) {
  const State& s = *state_;
  const Library& l = cudnn::prepared_library();
  const Bytes work(static_cast<std::int64_t>(s.work_bytes));
  cudnn::check(s.api.rnn_backward_data(l.handle, s.rnn, s.lengths.data(), s.y, s.last_y, dy, s.x,
                                       dx, s.h, s.last_h0, nullptr, dh0, s.h, nullptr, nullptr,
                                       nullptr, s.weight_bytes, s.weights->data(), s.work_bytes,
                                       work.data(), s.kept_bytes, s.kept->data()),
               "cudnnRNNBackwardData_v8");
  cudnn::check(
      s.api.rnn_backward_weights(l.handle, s.rnn, kAddGradients, s.lengths.data(), s.x, s.last_x,
                                 s.h, s.last_h0, s.y, s.last_y, s.weight_bytes, s.gradients->data(),
                                 s.work_bytes, work.data(), s.kept_bytes, s.kept->data()),
      "cudnnRNNBackwardWeights_v8");
}

void CudnnGru::add_gradients(const GruParameterGradients* gradients) {
  const State& s = *state_;
  s.for_gates(*s.gradients,
              [&](std::int64_t k, std::int64_t gate, bool recurrent, const State::Gate& at) {
                real* weight = recurrent ? gradients[k].weight_hh : gradients[k].weight_ih;
                real* bias = recurrent ? gradients[k].bias_hh : gradients[k].bias_ih;
                if (weight != nullptr) accumulate(weight + gate * at.count, at.weight, at.count);
                if (bias != nullptr)
                  accumulate(bias + gate * s.sizes.hidden, at.bias, s.sizes.hidden);
              });
}

}  // namespace serenade::cuda
