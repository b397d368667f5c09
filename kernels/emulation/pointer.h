#pragma once
// Checked pointers and arrays: what stands in for T* and T[...] in emulated kernels.
//
// An index carries its source location: `x[i]` converts i to an Index, whose default
// argument is evaluated where the conversion happens, in the kernel's source. That is how a report
// can name file and line although the kernel looks like any other.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/emulation/memory.h"
#include "kernels/emulation/source_location.h"

namespace serenade::emulation {

struct Index {
  std::ptrdiff_t value;
  SourceLocation where;

  template <std::integral I>
  Index(I i, SourceLocation at = SourceLocation::current())
      : value(static_cast<std::ptrdiff_t>(i)), where(at) {}
};

template <class T>
inline void check_alignment(const T* address, const SourceLocation& where) {
  if (reinterpret_cast<std::uintptr_t>(address) % alignof(T) == 0) return;
  fail(Fault::misaligned, where,
       "accesses " + std::to_string(sizeof(T)) + " bytes at an address that is no multiple of " +
           std::to_string(alignof(T)));
}

template <class T>
inline void check_access(AccessKind kind, Region* region, const T* address,
                         const SourceLocation& where) {
  check_alignment(address, where);
  if (region != nullptr) region->access(kind, address, sizeof(T), where);
}

template <class T>
class CheckedPointer;

/// One element of memory: reading converts it to its value, assigning writes it. Write
/// `const float v = x[i];`, not `auto`, which would keep the element and read it later.
template <class T>
class Element {
 public:
  using Value = std::remove_const_t<T>;

  Element(T* address, Region* region, const SourceLocation& where)
      : address_(address), region_(region), where_(where) {}
  Element(const Element&) = default;

  operator Value() const {
    check_access(AccessKind::read, region_, address_, where_);
    return *address_;
  }
  Element& operator=(const Value& value) {
    check_access(AccessKind::write, region_, address_, where_);
    *address_ = value;
    return *this;
  }
  Element& operator=(const Element& other) { return *this = static_cast<Value>(other); }
  Element& operator+=(const Value& v) { return *this = static_cast<Value>(Value(*this) + v); }
  Element& operator-=(const Value& v) { return *this = static_cast<Value>(Value(*this) - v); }
  Element& operator*=(const Value& v) { return *this = static_cast<Value>(Value(*this) * v); }
  Element& operator/=(const Value& v) { return *this = static_cast<Value>(Value(*this) / v); }
  Element& operator|=(const Value& v) { return *this = static_cast<Value>(Value(*this) | v); }

  CheckedPointer<T> operator&() const { return {address_, region_}; }

 private:
  T* address_;
  Region* region_;
  SourceLocation where_;
};

/// A pointer that knows the region it came from. Without one (memory that nobody registered, a
/// local array) only alignment is checked.
template <class T>
class CheckedPointer {
 public:
  CheckedPointer() = default;
  CheckedPointer(std::nullptr_t) {}
  CheckedPointer(T* address) : address_(address), region_(find_region(address)) {}
  CheckedPointer(T* address, Region* region) : address_(address), region_(region) {}
  template <class U>
  requires std::convertible_to<U*, T*> CheckedPointer(const CheckedPointer<U>& other)
      : address_(other.address()), region_(other.region()) {}

  Element<T> operator[](Index i) const { return {address_ + i.value, region_, i.where}; }

  CheckedPointer operator+(std::ptrdiff_t n) const { return {address_ + n, region_}; }
  CheckedPointer operator-(std::ptrdiff_t n) const { return {address_ - n, region_}; }
  CheckedPointer& operator+=(std::ptrdiff_t n) { return *this = *this + n; }
  CheckedPointer& operator-=(std::ptrdiff_t n) { return *this = *this - n; }
  std::ptrdiff_t operator-(const CheckedPointer& other) const { return address_ - other.address_; }
  bool operator==(const CheckedPointer& other) const { return address_ == other.address_; }
  explicit operator bool() const { return address_ != nullptr; }

  T* address() const { return address_; }
  Region* region() const { return region_; }

 private:
  T* address_ = nullptr;
  Region* region_ = nullptr;
};

/// A shared array of any number of dimensions; every index is checked against its own dimension.
template <class Array>
class SharedArray;

template <class T, std::size_t N>
class SharedArray<T[N]> {
 public:
  using Scalar = std::remove_all_extents_t<T>;

  SharedArray(Scalar* first, Region* region) : first_(first), region_(region) {}

  auto operator[](Index i) const {
    if (i.value < 0 || i.value >= static_cast<std::ptrdiff_t>(N)) {
      fail(Fault::out_of_range, i.where,
           "uses index " + std::to_string(i.value) + " into an axis of " + std::to_string(N) +
               " of shared array " + region_->name());
    }
    Scalar* const address = first_ + i.value * static_cast<std::ptrdiff_t>(kStride);
    if constexpr (std::is_array_v<T>) {
      return SharedArray<T>(address, region_);
    } else {
      return Element<T>(address, region_, i.where);
    }
  }

  // A row is a pointer to its first element, as in C.
  operator CheckedPointer<Scalar>() const requires(!std::is_array_v<T>) {
    return {first_, region_};
  }
  CheckedPointer<Scalar> operator+(std::ptrdiff_t n) const requires(!std::is_array_v<T>) {
    return {first_ + n, region_};
  }

 private:
  static constexpr std::size_t kStride = sizeof(T) / sizeof(Scalar);

  Scalar* first_;
  Region* region_;
};

}  // namespace serenade::emulation
