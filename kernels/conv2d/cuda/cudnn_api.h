#pragma once
// The part of cuDNN 9 that we call: its types, values and functions under our own names, so that
// building asks for no header of it. Source: NVIDIA, cuDNN 9 API reference, libraries cudnn_ops and
// cudnn_cnn (convolutions).

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/runtime/cuda/device_code.h"
#include "kernels/runtime/cuda_device.h"
#include "kernels/runtime/real.h"

namespace serenade::cuda::cudnn {

using Handle = void*;      // cudnnHandle_t
using Status = int;        // cudnnStatus_t; 0: success
using Descriptor = void*;  // cudnn...Descriptor_t

// CUDNN_DATA_FLOAT, CUDNN_DATA_DOUBLE
inline constexpr int kDataType = sizeof(real) == 8 ? 1 : 0;
inline constexpr int kTensorNchw = 0;        // CUDNN_TENSOR_NCHW
inline constexpr int kCrossCorrelation = 1;  // CUDNN_CROSS_CORRELATION
inline constexpr int kDeterministic = 1;     // CUDNN_DETERMINISTIC
inline constexpr int kDefaultMath = 0;       // CUDNN_DEFAULT_MATH: TF32 where the device has it
inline constexpr int kFmaMath = 3;           // CUDNN_FMA_MATH: products in full float32

// CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, ..._BWD_DATA_ALGO_1, ..._BWD_FILTER_ALGO_1: sums in a
// fixed order, any strides and pads.
inline constexpr int kForwardImplicitGemm = 0, kForwardAlgorithms = 8;
inline constexpr int kBackwardDataAlgorithm = 1;
inline constexpr int kBackwardFilterAlgorithm = 1;

/// cudnnConvolutionFwdAlgoPerf_t: what the heuristics say of one algorithm.
struct ForwardAdvice {
  int algorithm;
  Status status;
  float time;
  std::size_t memory;
  int determinism;
  int math_type;
  int reserved[3];
};

/// The loaded library. Arguments: the reference's, in its order.
struct Library {
  std::string reason;  // why it cannot be used; empty if it can
  void* file = nullptr;
  Handle handle = nullptr;
  const char* (*error_string)(Status) = nullptr;
  Status (*create)(Handle*) = nullptr;
  Status (*set_stream)(Handle, cudaStream_t) = nullptr;

  Status (*create_tensor)(Descriptor*) = nullptr;
  Status (*destroy_tensor)(Descriptor) = nullptr;
  Status (*set_tensor_4d)(Descriptor, int, int, int, int, int, int) = nullptr;
  Status (*set_tensor_nd)(Descriptor, int, int, const int*, const int*) = nullptr;
  Status (*add_tensor)(Handle, const void*, Descriptor, const void*, const void*, Descriptor,
                       void*) = nullptr;
  Status (*create_filter)(Descriptor*) = nullptr;
  Status (*destroy_filter)(Descriptor) = nullptr;
  Status (*set_filter_4d)(Descriptor, int, int, int, int, int, int) = nullptr;

  Status (*create_convolution)(Descriptor*) = nullptr;
  Status (*destroy_convolution)(Descriptor) = nullptr;
  Status (*set_convolution_2d)(Descriptor, int, int, int, int, int, int, int, int) = nullptr;
  Status (*set_convolution_math)(Descriptor, int) = nullptr;
  Status (*advise_forward)(Handle, Descriptor, Descriptor, Descriptor, Descriptor, int, int*,
                           ForwardAdvice*) = nullptr;
  Status (*forward_workspace)(Handle, Descriptor, Descriptor, Descriptor, Descriptor, int,
                              std::size_t*) = nullptr;
  Status (*forward)(Handle, const void*, Descriptor, const void*, Descriptor, const void*,
                    Descriptor, int, void*, std::size_t, const void*, Descriptor, void*) = nullptr;
  Status (*backward_data_workspace)(Handle, Descriptor, Descriptor, Descriptor, Descriptor, int,
                                    std::size_t*) = nullptr;
  Status (*backward_data)(Handle, const void*, Descriptor, const void*, Descriptor, const void*,
                          Descriptor, int, void*, std::size_t, const void*, Descriptor,
                          void*) = nullptr;
  Status (*backward_filter_workspace)(Handle, Descriptor, Descriptor, Descriptor, Descriptor, int,
                                      std::size_t*) = nullptr;
  Status (*backward_filter)(Handle, const void*, Descriptor, const void*, Descriptor, const void*,
                            Descriptor, int, void*, std::size_t, const void*, Descriptor,
                            void*) = nullptr;
};

/// Looks names up in the loaded file and remembers the first that was not there.
class SymbolLoader {
 public:
  explicit SymbolLoader(void* file) : file_(file) {}

  template <class Function>
  void operator()(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(file_, name));
    if (function == nullptr && missing_.empty()) missing_ = name;
  }
  const std::string& missing() const { return missing_; }

 private:
  void* file_;
  std::string missing_;
};

/// The library as it was found; loaded at the first call, which must not be captured into a graph.
const Library& library();

/// The library, set to current_stream(). Throws where it is not available.
const Library& prepared_library();

inline void check(Status status, const char* what) {
  if (status == 0) return;
  const char* const text = library().error_string(status);
  throw std::runtime_error(std::string("cuDNN: ") + what + " failed: " + text);
}

/// The math type of float32_math().
inline int math_type() { return float32_math() == Float32Math::tf32 ? kDefaultMath : kFmaMath; }

/// A descriptor that ends with its scope.
class OwnedDescriptor {
 public:
  OwnedDescriptor(Status (*create)(Descriptor*), Status (*destroy)(Descriptor))
      : destroy_(destroy) {
    check(create(&descriptor_), "a descriptor");
  }
  ~OwnedDescriptor() { destroy_(descriptor_); }
  OwnedDescriptor(const OwnedDescriptor&) = delete;
  OwnedDescriptor& operator=(const OwnedDescriptor&) = delete;

  operator Descriptor() const { return descriptor_; }

 private:
  Descriptor descriptor_ = nullptr;
  Status (*destroy_)(Descriptor);
};

}  // namespace serenade::cuda::cudnn
