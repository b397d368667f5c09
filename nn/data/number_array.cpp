#include "nn/data/number_array.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/runtime/half.h"
#include "kernels/runtime/memory.h"
#include "nn/data/byte_source.h"
#include "tensor/check.h"

namespace serenade {

namespace {

static_assert(std::endian::native == std::endian::little, "bytes are taken as they are stored");

struct Half {
  std::uint16_t bits;
  explicit operator real() const { return half_to_float(bits); }
  explicit operator std::int64_t() const { return static_cast<std::int64_t>(half_to_float(bits)); }
};

struct SignedByte {
  std::uint8_t byte;
  std::int64_t number() const { return byte < 128 ? byte : byte - 256; }
  explicit operator real() const { return static_cast<real>(number()); }
  explicit operator std::int64_t() const { return number(); }
};

struct Bool {
  std::uint8_t byte;
  explicit operator real() const { return byte != 0; }
  explicit operator std::int64_t() const { return byte != 0; }
};

template <class Stored, class Wanted>
void convert(const NumberArray& array, Wanted* to) {
  const std::size_t count = array.bytes.size() / sizeof(Stored);
  for (std::size_t i = 0; i < count; ++i) {
    Stored value;
    std::memcpy(&value, array.bytes.data() + i * sizeof value, sizeof value);
    to[i] = static_cast<Wanted>(value);
  }
}

template <class Wanted>
void convert_all(const NumberArray& array, Wanted* to) {
  switch (array.type) {
    case NumberType::boolean:
      return convert<Bool>(array, to);
    case NumberType::u8:
      return convert<std::uint8_t>(array, to);
    case NumberType::i8:
      return convert<SignedByte>(array, to);
    case NumberType::u16:
      return convert<std::uint16_t>(array, to);
    case NumberType::i16:
      return convert<std::int16_t>(array, to);
    case NumberType::u32:
      return convert<std::uint32_t>(array, to);
    case NumberType::i32:
      return convert<std::int32_t>(array, to);
    case NumberType::i64:
      return convert<std::int64_t>(array, to);
    case NumberType::f16:
      return convert<Half>(array, to);
    case NumberType::f32:
      return convert<float>(array, to);
    case NumberType::f64:
      return convert<double>(array, to);
  }
}

void check_filled(const NumberArray& array) {
  const auto needed = static_cast<std::size_t>(array.numel()) * bytes_of(array.type);
  check(array.bytes.size() == needed, "NumberArray", "the bytes must fill the shape; got ",
        array.bytes.size(), " for ", array.shape, " of ", to_string(array.type));
}

}  // namespace

std::size_t bytes_of(NumberType type) {
  switch (type) {
    case NumberType::boolean:
    case NumberType::u8:
    case NumberType::i8:
      return 1;
    case NumberType::u16:
    case NumberType::i16:
    case NumberType::f16:
      return 2;
    case NumberType::u32:
    case NumberType::i32:
    case NumberType::f32:
      return 4;
    case NumberType::i64:
    case NumberType::f64:
      break;
  }
  return 8;
}

bool is_fraction(NumberType type) {
  return type == NumberType::f16 || type == NumberType::f32 || type == NumberType::f64;
}

Tensor NumberArray::tensor() const {
  check_filled(*this);
  Tensor result = Tensor::empty(shape);
  convert_all(*this, result.data());
  return result;
}

std::vector<std::int64_t> NumberArray::integers() const {
  check_filled(*this);
  check(!is_fraction(type), "NumberArray", "integers() is for whole numbers; got ",
        to_string(type));
  std::vector<std::int64_t> values(static_cast<std::size_t>(numel()));
  convert_all(*this, values.data());
  return values;
}

NumberArray read_numbers(ByteSource& source, const Shape& shape, NumberType type, bool big_endian) {
  if (shape.size() > kMaxDims) {
    source.fail("it has " + std::to_string(shape.size()) + " axes; at most " +
                std::to_string(kMaxDims) + " are supported");
  }
  const std::string what = to_string(shape) + " of " + to_string(type);
  // As element_count() has it: zeros count as ones, and a number of any type fits 64 bits in bytes.
  std::uint64_t count = 1;
  for (const std::int64_t size : shape) {
    const auto factor = static_cast<std::uint64_t>(std::max<std::int64_t>(size, 1));
    if (size < 0 || __builtin_mul_overflow(count, factor, &count) ||
        count > static_cast<std::uint64_t>(kMaxElements)) {
      source.fail("its header claims " + what + ", more than the file can hold");
    }
  }
  const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  const std::uint64_t needed = empty ? 0 : count * bytes_of(type);
  if (needed > source.most_left()) {
    source.fail("cut short, or its header is wrong: it claims " + what + ", that is " +
                std::to_string(needed) + " bytes, and at most " +
                std::to_string(source.most_left()) + " can follow");
  }
  NumberArray array{.shape = shape, .type = type, .bytes = source.read_block(needed, what)};
  const std::size_t width = bytes_of(type);
  if (big_endian && width > 1) {
    for (std::size_t i = 0; i < array.bytes.size(); i += width) {
      const auto first = array.bytes.begin() + static_cast<std::ptrdiff_t>(i);
      std::reverse(first, first + static_cast<std::ptrdiff_t>(width));
    }
  }
  return array;
}

}  // namespace serenade
