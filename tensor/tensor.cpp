#include "tensor/tensor.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/runtime/memory.h"
#include "tensor/check.h"

namespace serenade {

#ifdef SERENADE_DOUBLE
const char serenade_real_is_double = 0;
#else
const char serenade_real_is_float = 0;
#endif

Tensor::Tensor(Shape shape, Device device, Storage::Contents contents) {
  check(shape.size() <= kMaxDims, "tensor", "at most ", kMaxDims, " axes; got ", shape);
  numel_ = element_count(shape);
  strides_ = row_major_strides(shape);
  shape_ = std::move(shape);
  storage_ =
      std::make_shared<Storage>(static_cast<std::size_t>(numel_) * sizeof(real), device, contents);
}

Tensor::Tensor(Shape shape, Device device)
    : Tensor(std::move(shape), device, Storage::Contents::zeros) {}

Tensor Tensor::empty(Shape shape, Device device) {
  return Tensor(std::move(shape), device, Storage::Contents::anything);
}

Tensor Tensor::full(Shape shape, real value, Device device) {
  Tensor result = empty(std::move(shape), device);
  result.fill_(value);
  return result;
}

Tensor Tensor::from(const std::vector<real>& values, Shape shape, Device device) {
  check(static_cast<std::int64_t>(values.size()) == element_count(shape), "tensor",
        "the number of values must be the product of the shape; got ", values.size(),
        " values for shape ", shape);
  Tensor result = empty(std::move(shape), device);
  KERNEL(device, copy_from_host, result.data(), values.data(), values.size() * sizeof(real));
  return result;
}

std::int64_t Tensor::size(std::int64_t axis) const {
  return shape_[static_cast<std::size_t>(normalized_axis("size", axis, dim()))];
}

Device Tensor::device() const {
  check(defined(), "tensor", "an undefined tensor has no device");
  return storage_->device();
}

bool Tensor::is_contiguous() const {
  std::int64_t step = 1;
  for (std::size_t axis = shape_.size(); axis-- > 0;) {
    if (shape_[axis] != 1 && strides_[axis] != step) return false;
    step *= shape_[axis];
  }
  return true;
}

real* Tensor::data() { return const_cast<real*>(std::as_const(*this).data()); }

const real* Tensor::data() const {
  check(defined(), "tensor", "an undefined tensor has no data");
  return static_cast<const real*>(storage_->data()) + offset_;
}

real Tensor::item() const {
  check(defined() && numel_ == 1, "item", "the tensor must have exactly one element; got shape ",
        shape_);
  return to(Device::cpu).data()[0];
}

real Tensor::at(std::initializer_list<std::int64_t> indices) const {
  check(static_cast<std::int64_t>(indices.size()) == dim(), "at", "one index per axis; got ",
        indices.size(), " for shape ", shape_);
  std::int64_t offset = 0;
  std::size_t axis = 0;
  for (const std::int64_t index : indices) {
    check(index >= 0 && index < shape_[axis], "at", "index ", index, " is outside axis ", axis,
          " of shape ", shape_);
    offset += index * strides_[axis++];
  }
  real element = 0;
  KERNEL(device(), copy_to_host, &element, data() + offset, sizeof(real));
  return element;
}

std::vector<real> Tensor::to_vector() const {
  const Tensor dense = to(Device::cpu).contiguous();
  return std::vector<real>(dense.data(), dense.data() + numel_);
}

// Views -------------------------------------------------------------------------------------------

Tensor Tensor::reshape(Shape shape) const {
  check_defined("reshape");
  check(shape.size() <= kMaxDims, "reshape", "at most ", kMaxDims, " axes; got ", shape);
  Shape wanted = shape;
  const auto inferred = std::find(wanted.begin(), wanted.end(), -1);
  if (inferred != wanted.end()) {
    *inferred = 1;
    const std::int64_t known = element_count(wanted, "reshape");
    check(known > 0, "reshape",
          "-1 must not stand beside a size of 0, where any size would do; got ", shape_, " to ",
          shape);
    *inferred = numel_ / known;
  }
  check(element_count(wanted, "reshape") == numel_, "reshape",
        "the number of elements must stay the same; got ", shape_, " to ", shape);
  Tensor result = contiguous();
  result.strides_ = row_major_strides(wanted);
  result.shape_ = std::move(wanted);
  return result;
}

Tensor Tensor::permute(const std::vector<std::int64_t>& order) const {
  check_defined("permute");
  check(static_cast<std::int64_t>(order.size()) == dim(), "permute", "one entry per axis; got ",
        to_string(Shape(order)), " for shape ", shape_);
  Tensor result = *this;
  std::vector<bool> seen(order.size(), false);
  for (std::size_t axis = 0; axis < order.size(); ++axis) {
    const auto from = static_cast<std::size_t>(normalized_axis("permute", order[axis], dim()));
    check(!seen[from], "permute", "every axis must appear once; got ", to_string(Shape(order)));
    seen[from] = true;
    result.shape_[axis] = shape_[from];
    result.strides_[axis] = strides_[from];
  }
  return result;
}

Tensor Tensor::transpose(std::int64_t axis_a, std::int64_t axis_b) const {
  check_defined("transpose");
  const auto a = static_cast<std::size_t>(normalized_axis("transpose", axis_a, dim()));
  const auto b = static_cast<std::size_t>(normalized_axis("transpose", axis_b, dim()));
  Tensor result = *this;
  std::swap(result.shape_[a], result.shape_[b]);
  std::swap(result.strides_[a], result.strides_[b]);
  return result;
}

Tensor Tensor::slice(std::int64_t axis, std::int64_t start, std::int64_t length) const {
  check_defined("slice");
  const auto a = static_cast<std::size_t>(normalized_axis("slice", axis, dim()));
  check(start >= 0 && start <= shape_[a] && length >= 0 && length <= shape_[a] - start, "slice",
        length, " elements from ", start, " must lie in axis ", a, "; got shape ", shape_);
  Tensor result = *this;
  result.offset_ += start * strides_[a];
  result.shape_[a] = length;
  result.numel_ = element_count(result.shape_);
  return result;
}

Tensor Tensor::expand(const Shape& shape) const {
  check_defined("expand");
  check(shape.size() <= kMaxDims, "expand", "at most ", kMaxDims, " axes; got ", shape);
  check(shape.size() >= shape_.size() && broadcast_shapes("expand", shape_, shape) == shape,
        "expand", "the shape must broadcast to the larger one; got ", shape_, " to ", shape);
  Tensor result = *this;
  result.shape_ = shape;
  result.strides_.assign(shape.size(), 0);
  const std::size_t added = shape.size() - shape_.size();
  for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
    if (shape_[axis] == shape[added + axis]) result.strides_[added + axis] = strides_[axis];
  }
  result.numel_ = element_count(shape, "expand");
  return result;
}

// Copies ------------------------------------------------------------------------------------------

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::clone() const {
  check_defined("clone");
  Tensor result = empty(shape_, device());
  if (numel_ == 0) return result;
  if (is_contiguous()) {
    KERNEL(device(), copy, result.data(), data(), numel_);
  } else {
    KERNEL(device(), gather_strided, result.data(), data(), shape_.data(), strides_.data(),
           static_cast<int>(dim()));
  }
  return result;
}

Tensor Tensor::to(Device target) const {
  check_defined("to");
  if (device() == target) return *this;
  const Tensor dense = contiguous();
  Tensor result = empty(shape_, target);
  const std::size_t bytes = static_cast<std::size_t>(numel_) * sizeof(real);
  if (in_host_memory(target)) {
    KERNEL(device(), copy_to_host, result.data(), dense.data(), bytes);
  } else {
    KERNEL(target, copy_from_host, result.data(), dense.data(), bytes);
  }
  return result;
}

// Writing -----------------------------------------------------------------------------------------

void Tensor::fill_(real value) {
  check_defined("fill_");
  check(is_contiguous(), "fill_", "the tensor must be contiguous; got shape ", shape_);
  KERNEL(device(), fill, data(), value, numel_);
  mark_changed();
}

void Tensor::copy_(const Tensor& source) {
  check_defined("copy_");
  source.check_defined("copy_");
  check(shape_ == source.shape_, "copy_", "shapes must be equal; got ", shape_, " and ",
        source.shape_);
  for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
    check(shape_[axis] <= 1 || strides_[axis] != 0, "copy_",
          "the destination must not be an expanded view; got shape ", shape_);
  }
  if (numel_ == 0) return;
  const Tensor dense = apart_from_this(source);
  KERNEL(device(), scatter_strided, data(), dense.data(), shape_.data(), strides_.data(),
         static_cast<int>(dim()));
  mark_changed();
}

void Tensor::add_(const Tensor& source) {
  check_defined("add_");
  source.check_defined("add_");
  check(shape_ == source.shape_ && is_contiguous(), "add_",
        "shapes must be equal and the destination contiguous; got ", shape_, " and ",
        source.shape_);
  const Tensor dense = apart_from_this(source);
  KERNEL(device(), accumulate, data(), dense.data(), numel_);
  mark_changed();
}

void Tensor::mark_changed() {
  check_defined("mark_changed");
  storage_->mark_changed();
}

void Tensor::check_defined(const char* op) const {
  check(defined(), op, "a tensor must be defined; got an undefined one");
}

Tensor Tensor::apart_from_this(const Tensor& source) const {
  // The same elements in the same order are read before they are written.
  const bool same = offset_ == source.offset_ && strides_ == source.strides_;
  if (shares_storage_with(source) && !same) return source.clone();
  return source.to(device()).contiguous();
}

std::int64_t first_non_finite(const Tensor& tensor) {
  const Tensor dense = tensor.to(Device::cpu).contiguous();
  const real* values = dense.data();
  for (std::int64_t i = 0; i < dense.numel(); ++i) {
    if (!std::isfinite(values[i])) return i;
  }
  return -1;
}

bool all_close(const Tensor& actual, const Tensor& expected, double relative, double absolute) {
  if (actual.shape() != expected.shape()) return false;
  const std::vector<real> a = actual.to_vector(), e = expected.to_vector();
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double allowed = absolute + relative * std::abs(static_cast<double>(e[i]));
    if (!(std::abs(static_cast<double>(a[i]) - static_cast<double>(e[i])) <= allowed)) return false;
  }
  return true;
}

}  // namespace serenade
