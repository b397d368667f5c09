#pragma once
// Tensor: a value type that names a block of reals by shape and strides.
//
// Copying a Tensor copies the handle, not the numbers; `clone()` copies the numbers. Views
// (`permute`, `slice`, `expand`, `reshape` of a contiguous tensor) share storage with their source.
// Kernels want contiguous memory: call `contiguous()` first, which is free when it already is.

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "kernels/runtime/device.h"
#include "kernels/runtime/real.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace serenade {

// A program that was compiled for one real does not link with a library that was compiled for the
// other: its reals would be taken for something else.
#ifdef SERENADE_DOUBLE
extern "C" const char serenade_real_is_double;
[[gnu::used]] static const char* const kRealOfLibrary = &serenade_real_is_double;
#else
extern "C" const char serenade_real_is_float;
[[gnu::used]] static const char* const kRealOfLibrary = &serenade_real_is_float;
#endif

class Tensor {
 public:
  /// Undefined: no storage. `defined()` is false.
  Tensor() = default;

  /// All zeros.
  explicit Tensor(Shape shape, Device device = Device::cpu);

  /// Not initialised: for outputs that a kernel writes whole.
  static Tensor empty(Shape shape, Device device = Device::cpu);
  static Tensor full(Shape shape, real value, Device device = Device::cpu);
  static Tensor ones(Shape shape, Device device = Device::cpu) { return full(shape, 1, device); }
  static Tensor scalar(real value, Device device = Device::cpu) { return full({}, value, device); }

  /// Row-major values; their number must be the product of the shape.
  static Tensor from(const std::vector<real>& values, Shape shape, Device device = Device::cpu);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }
  std::int64_t dim() const { return static_cast<std::int64_t>(shape_.size()); }
  /// Size along an axis; negative axes count from the end.
  std::int64_t size(std::int64_t axis) const;
  std::int64_t numel() const { return numel_; }
  Device device() const;
  bool is_contiguous() const;

  /// The first element of this view.
  real* data();
  const real* data() const;

  /// The only element of a tensor with one element.
  real item() const;
  /// One element by its indices; for tests and printing, not for loops.
  real at(std::initializer_list<std::int64_t> indices) const;
  /// All elements, row-major.
  std::vector<real> to_vector() const;

  // Views -----------------------------------------------------------------------------------------

  /// Same elements in row-major order; one size may be -1. A copy if this is not contiguous.
  Tensor reshape(Shape shape) const;
  /// Axis i of the result is axis order[i] of this.
  Tensor permute(const std::vector<std::int64_t>& order) const;
  Tensor transpose(std::int64_t axis_a, std::int64_t axis_b) const;
  /// `length` elements from `start` along an axis; all of them must be there.
  Tensor slice(std::int64_t axis, std::int64_t start, std::int64_t length) const;
  /// Broadcast to a larger shape, by stride 0.
  Tensor expand(const Shape& shape) const;

  // Copies ----------------------------------------------------------------------------------------

  /// This if already contiguous, else a row-major copy.
  Tensor contiguous() const;
  Tensor clone() const;
  Tensor to(Device device) const;

  // Writing (through the shared storage) ----------------------------------------------------------

  void fill_(real value);
  void zero_() { fill_(0); }
  /// Copies the elements of a tensor of the same shape; the two may overlap. Not for a view that
  /// names an element twice (expand).
  void copy_(const Tensor& source);
  /// this += source, same shape; the two may overlap.
  void add_(const Tensor& source);

  /// To be called after writing through data(), where a graph may have saved the numbers; the
  /// functions above do it themselves.
  void mark_changed();

  bool shares_storage_with(const Tensor& other) const { return storage_ == other.storage_; }
  /// Null where undefined. Does not keep the numbers alive.
  std::weak_ptr<const Storage> storage() const { return storage_; }

 private:
  Tensor(Shape shape, Device device, Storage::Contents contents);

  void check_defined(const char* op) const;
  /// `source` dense on this device, its elements safe from what is written to this.
  Tensor apart_from_this(const Tensor& source) const;

  std::shared_ptr<Storage> storage_;
  Shape shape_;
  Strides strides_;
  std::int64_t offset_ = 0;
  std::int64_t numel_ = 0;
};

/// NumPy's nested brackets, long axes shortened, four significant digits.
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);
std::string to_string(const Tensor& tensor);

/// Index, row-major, of the first element that is NaN or infinite; -1 where all are finite.
std::int64_t first_non_finite(const Tensor& tensor);

/// Same shape and every element within absolute + relative * |expected|.
bool all_close(const Tensor& actual, const Tensor& expected, double relative = 1e-5,
               double absolute = 1e-8);

}  // namespace serenade
