#pragma once
// Numbers as a file stores them: bytes stay bytes until a tensor is asked for.

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/enum_names.h"
#include "tensor/tensor.h"

namespace serenade {

class ByteSource;

/// How a number is stored: bool (a byte), whole numbers with and without sign, IEEE 754.
enum class NumberType { boolean, u8, i8, u16, i16, u32, i32, i64, f16, f32, f64 };

inline EnumNames<NumberType> enum_names(NumberType) {
  return {{NumberType::boolean, "bool"}, {NumberType::u8, "u8"},   {NumberType::i8, "i8"},
          {NumberType::u16, "u16"},      {NumberType::i16, "i16"}, {NumberType::u32, "u32"},
          {NumberType::i32, "i32"},      {NumberType::i64, "i64"}, {NumberType::f16, "f16"},
          {NumberType::f32, "f32"},      {NumberType::f64, "f64"}};
}

std::size_t bytes_of(NumberType type);
bool is_fraction(NumberType type);  ///< f16, f32 or f64

struct NumberArray {
  Shape shape;
  NumberType type = NumberType::u8;
  std::vector<char> bytes;  ///< row-major, little-endian; as many as shape and type need

  std::int64_t numel() const { return element_count(shape, "NumberArray"); }
  /// All values as reals; a bool is 0 or 1. Whole numbers beyond the digits of a real are rounded.
  Tensor tensor() const;
  /// All values, row-major. Throws std::invalid_argument where they are stored as fractions.
  std::vector<std::int64_t> integers() const;
};

/// The next values of a file, a shape full of them. Checks that the source can hold as many before
/// any memory is taken for them; the axes are at most kMaxDims. Throws by the source's fail().
NumberArray read_numbers(ByteSource& source, const Shape& shape, NumberType type, bool big_endian);

}  // namespace serenade
