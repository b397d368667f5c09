// cuDNN by dlopen, and its convolutions (shapes: kernels/conv2d/conv2d.h).
//
// cuDNN pads both sides of an image alike. Where ours differ, as `same` padding of an even kernel
// does, the image is first copied into a padded one in working memory.

#include "kernels/conv2d/cuda/cudnn.h"

#include <array>
#include <map>

#include "kernels/conv2d/cuda/cudnn_api.h"
#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/memory.h"

namespace serenade::cuda {
namespace cudnn {
namespace {

void find_convolutions(Library& l, SymbolLoader& find) {
  find(l.create_tensor, "cudnnCreateTensorDescriptor");
  find(l.destroy_tensor, "cudnnDestroyTensorDescriptor");
  find(l.set_tensor_4d, "cudnnSetTensor4dDescriptor");
  find(l.set_tensor_nd, "cudnnSetTensorNdDescriptor");
  find(l.add_tensor, "cudnnAddTensor");
  find(l.create_filter, "cudnnCreateFilterDescriptor");
  find(l.destroy_filter, "cudnnDestroyFilterDescriptor");
  find(l.set_filter_4d, "cudnnSetFilter4dDescriptor");
  find(l.create_convolution, "cudnnCreateConvolutionDescriptor");
  find(l.destroy_convolution, "cudnnDestroyConvolutionDescriptor");
  find(l.set_convolution_2d, "cudnnSetConvolution2dDescriptor");
  find(l.set_convolution_math, "cudnnSetConvolutionMathType");
  find(l.advise_forward, "cudnnGetConvolutionForwardAlgorithm_v7");
  find(l.forward_workspace, "cudnnGetConvolutionForwardWorkspaceSize");
  find(l.forward, "cudnnConvolutionForward");
  find(l.backward_data_workspace, "cudnnGetConvolutionBackwardDataWorkspaceSize");
  find(l.backward_data, "cudnnConvolutionBackwardData");
  find(l.backward_filter_workspace, "cudnnGetConvolutionBackwardFilterWorkspaceSize");
  find(l.backward_filter, "cudnnConvolutionBackwardFilter");
}

Library load() {
  Library l;
  if (!device().usable) {
    l.reason = device().reason;
    return l;
  }
  l.file = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
  if (l.file == nullptr) {
    l.reason =
        "libcudnn.so.9 cannot be loaded; install cuDNN 9 or put its folder into LD_LIBRARY_PATH";
    return l;
  }
  SymbolLoader find(l.file);
  find(l.error_string, "cudnnGetErrorString");
  find(l.create, "cudnnCreate");
  find(l.set_stream, "cudnnSetStream");
  find_convolutions(l, find);
  if (!find.missing().empty()) {
    l.reason = "libcudnn.so.9 lacks " + find.missing();
    return l;
  }
  const Status status = l.create(&l.handle);
  if (status != 0) l.reason = std::string("cudnnCreate failed: ") + l.error_string(status);
  return l;
}

}  // namespace

const Library& library() {
  static const Library loaded = load();
  return loaded;
}

const Library& prepared_library() {
  const Library& l = library();
  if (!l.reason.empty()) throw std::runtime_error("cuDNN: " + l.reason);
  check(l.set_stream(l.handle, current_stream()), "cudnnSetStream");
  return l;
}

}  // namespace cudnn

namespace {

using cudnn::Descriptor;
using cudnn::Library;
using cudnn::OwnedDescriptor;

constexpr real kOne = 1, kZero = 0;

/// The padding that cuDNN cannot do, as a shape with none left: the image in the middle of a larger
/// one.
class Padding {
 public:
  explicit Padding(const Conv2dShape& p)
      : needed_(p.pad_top != p.pad_bottom || p.pad_left != p.pad_right), p_(p), padded_(p) {
    if (!needed_) return;
    padded_.H += p.pad_top + p.pad_bottom;
    padded_.W += p.pad_left + p.pad_right;
    padded_.pad_top = padded_.pad_bottom = padded_.pad_left = padded_.pad_right = 0;
  }

  bool needed() const { return needed_; }
  /// What cuDNN is asked for.
  const Conv2dShape& shape() const { return padded_; }
  std::int64_t count() const { return needed_ ? padded_.N * padded_.C * padded_.H * padded_.W : 0; }

  /// padded: x with zeros around it.
  void put(real* padded, const real* x) const {
    clear(padded, static_cast<std::size_t>(count()) * sizeof(real));
    scatter_strided(padded + offset(), x, image().data(), strides().data(), 4);
  }
  /// dx += the middle of padded.
  void add_middle(real* dx, const real* padded) const {
    const std::int64_t size = p_.N * p_.C * p_.H * p_.W;
    const DeviceArray<real> middle(size);
    gather_strided(middle.data(), padded + offset(), image().data(), strides().data(), 4);
    accumulate(dx, middle.data(), size);
  }

 private:
  std::int64_t offset() const { return p_.pad_top * padded_.W + p_.pad_left; }
  std::array<std::int64_t, 4> image() const { return {p_.N, p_.C, p_.H, p_.W}; }
  std::array<std::int64_t, 4> strides() const {
    const std::int64_t map = padded_.H * padded_.W;
    return {p_.C * map, map, padded_.W, 1};
  }

  bool needed_;
  Conv2dShape p_, padded_;
};

int narrow(std::int64_t size) { return static_cast<int>(size); }

/// The four descriptors of a convolution whose pads are alike on both sides.
struct Problem {
  const Library& l;
  OwnedDescriptor x{l.create_tensor, l.destroy_tensor};
  OwnedDescriptor y{l.create_tensor, l.destroy_tensor};
  OwnedDescriptor weight{l.create_filter, l.destroy_filter};
  OwnedDescriptor convolution{l.create_convolution, l.destroy_convolution};

  Problem(const Library& library, const Conv2dShape& p) : l(library) {
    set_tensor(x, p.N, p.C, p.H, p.W);
    set_tensor(y, p.N, p.K, p.out_h(), p.out_w());
    cudnn::check(l.set_filter_4d(weight, cudnn::kDataType, cudnn::kTensorNchw, narrow(p.K),
                                 narrow(p.C), narrow(p.R), narrow(p.S)),
                 "cudnnSetFilter4dDescriptor");
    cudnn::check(
        l.set_convolution_2d(convolution, narrow(p.pad_top), narrow(p.pad_left), narrow(p.stride_h),
                             narrow(p.stride_w), 1, 1, cudnn::kCrossCorrelation, cudnn::kDataType),
        "cudnnSetConvolution2dDescriptor");
    set_math(cudnn::math_type());
  }

  void set_tensor(Descriptor tensor, std::int64_t n, std::int64_t c, std::int64_t h,
                  std::int64_t w) const {
    cudnn::check(l.set_tensor_4d(tensor, cudnn::kTensorNchw, cudnn::kDataType, narrow(n), narrow(c),
                                 narrow(h), narrow(w)),
                 "cudnnSetTensor4dDescriptor");
  }
  void set_math(int type) const {
    cudnn::check(l.set_convolution_math(convolution, type), "cudnnSetConvolutionMathType");
  }
};

struct ForwardChoice {
  int algorithm = cudnn::kForwardImplicitGemm;
  int math_type = 0;
};

/// The fastest algorithm, by cuDNN's heuristics, of those that give the same bits every time and
/// keep to float32_math().
ForwardChoice ask_for_algorithm(const Problem& problem) {
  const Library& l = problem.l;
  cudnn::ForwardAdvice advice[cudnn::kForwardAlgorithms];
  int count = 0;
  cudnn::check(l.advise_forward(l.handle, problem.x, problem.weight, problem.convolution, problem.y,
                                cudnn::kForwardAlgorithms, &count, advice),
               "cudnnGetConvolutionForwardAlgorithm_v7");
  const bool exact = cudnn::math_type() == cudnn::kFmaMath;
  for (int i = 0; i < count; ++i) {
    if (advice[i].status == 0 && advice[i].determinism == cudnn::kDeterministic) {
      return {advice[i].algorithm, exact ? cudnn::kFmaMath : advice[i].math_type};
    }
  }
  return {cudnn::kForwardImplicitGemm, cudnn::math_type()};
}

/// The same, remembered by shape: the heuristics take longer than a small convolution.
ForwardChoice forward_choice(const Problem& problem, const Conv2dShape& p) {
  using Key = std::array<std::int64_t, 12>;
  static std::map<Key, ForwardChoice> known;
  const Key key = {p.N, p.C,        p.H,        p.W,       p.K,        p.R,
                   p.S, p.stride_h, p.stride_w, p.pad_top, p.pad_left, cudnn::math_type()};
  const auto found = known.find(key);
  if (found != known.end()) return found->second;
  return known[key] = ask_for_algorithm(problem);
}

/// Working memory of so many bytes; the pointer is null for none.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes)
      : memory_(static_cast<std::int64_t>(bytes)), bytes_(bytes) {}
  void* data() const { return bytes_ == 0 ? nullptr : memory_.data(); }
  std::size_t bytes() const { return bytes_; }

 private:
  DeviceArray<unsigned char> memory_;
  std::size_t bytes_;
};

}  // namespace

bool cudnn_available(std::string* reason) {
  if (reason != nullptr) *reason = cudnn::library().reason;
  return cudnn::library().reason.empty();
}

void conv2d_forward_cudnn(real* y, const real* x, const real* weight, const real* bias,
                          const Conv2dShape& shape) {
  const Library& l = cudnn::prepared_library();
  if (shape.N == 0) return;
  const Padding padding(shape);
  const DeviceArray<real> padded(padding.count());
  if (padding.needed()) padding.put(padded.data(), x);
  const Problem problem(l, padding.shape());
  const ForwardChoice choice = forward_choice(problem, padding.shape());
  problem.set_math(choice.math_type);
  std::size_t bytes = 0;
  cudnn::check(l.forward_workspace(l.handle, problem.x, problem.weight, problem.convolution,
                                   problem.y, choice.algorithm, &bytes),
               "cudnnGetConvolutionForwardWorkspaceSize");
  const Workspace work(bytes);
  cudnn::check(l.forward(l.handle, &kOne, problem.x, padding.needed() ? padded.data() : x,
                         problem.weight, weight, problem.convolution, choice.algorithm, work.data(),
                         work.bytes(), &kZero, problem.y, y),
               "cudnnConvolutionForward");
  if (bias == nullptr) return;
  const OwnedDescriptor per_channel(l.create_tensor, l.destroy_tensor);
  problem.set_tensor(per_channel, 1, shape.K, 1, 1);
  cudnn::check(l.add_tensor(l.handle, &kOne, per_channel, bias, &kOne, problem.y, y),
               "cudnnAddTensor");
}

void conv2d_backward_input_cudnn(real* dx, const real* dy, const real* weight,
                                 const Conv2dShape& shape) {
  const Library& l = cudnn::prepared_library();
  if (shape.N == 0) return;
  const Padding padding(shape);
  const DeviceArray<real> padded(padding.count());
  const Problem problem(l, padding.shape());
  std::size_t bytes = 0;
  cudnn::check(l.backward_data_workspace(l.handle, problem.weight, problem.y, problem.convolution,
                                         problem.x, cudnn::kBackwardDataAlgorithm, &bytes),
               "cudnnGetConvolutionBackwardDataWorkspaceSize");
  const Workspace work(bytes);
  cudnn::check(l.backward_data(l.handle, &kOne, problem.weight, weight, problem.y, dy,
                               problem.convolution, cudnn::kBackwardDataAlgorithm, work.data(),
                               work.bytes(), padding.needed() ? &kZero : &kOne, problem.x,
                               padding.needed() ? padded.data() : dx),
               "cudnnConvolutionBackwardData");
  if (padding.needed()) padding.add_middle(dx, padded.data());
}

void conv2d_backward_weight_cudnn(real* dweight, const real* dy, const real* x,
                                  const Conv2dShape& shape) {
  const Library& l = cudnn::prepared_library();
  if (shape.N == 0) return;
  const Padding padding(shape);
  const DeviceArray<real> padded(padding.count());
  if (padding.needed()) padding.put(padded.data(), x);
  const Problem problem(l, padding.shape());
  std::size_t bytes = 0;
  cudnn::check(l.backward_filter_workspace(l.handle, problem.x, problem.y, problem.convolution,
                                           problem.weight, cudnn::kBackwardFilterAlgorithm, &bytes),
               "cudnnGetConvolutionBackwardFilterWorkspaceSize");
  const Workspace work(bytes);
  cudnn::check(
      l.backward_filter(l.handle, &kOne, problem.x, padding.needed() ? padded.data() : x, problem.y,
                        dy, problem.convolution, cudnn::kBackwardFilterAlgorithm, work.data(),
                        work.bytes(), &kOne, problem.weight, dweight),
      "cudnnConvolutionBackwardFilter");
}

}  // namespace serenade::cuda
