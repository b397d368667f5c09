#include "nn/data/npy.h"

#include <array>
#include <cstring>
#include <ostream>
#include <utility>

#include "nn/data/npy_header.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace serenade {

namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr std::size_t kMagicBytes = sizeof kMagic - 1;
constexpr std::uint64_t kLongestHeader = 1 << 20;  // of plain numbers it takes a hundred bytes

// From the order in which the first axis runs fastest to that in which the last one does.
std::vector<char> row_major(const std::vector<char>& from, const Shape& shape, std::size_t width) {
  std::vector<char> to(from.size());
  std::vector<std::size_t> steps(shape.size());  // in `from`, in bytes
  std::size_t step = width;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    steps[axis] = step;
    step *= static_cast<std::size_t>(shape[axis]);
  }
  std::vector<std::int64_t> index(shape.size());
  std::size_t offset = 0;
  for (std::size_t done = 0; done < to.size(); done += width) {
    std::memcpy(to.data() + done, from.data() + offset, width);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      offset += steps[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= steps[axis] * static_cast<std::size_t>(shape[axis]);
      index[axis] = 0;
    }
  }
  return to;
}

void write_values(const std::string& path, const char* descr, const Shape& shape,
                  const void* values, std::size_t bytes) {
  std::string sizes;
  for (const std::int64_t size : shape) sizes += std::to_string(size) + ", ";
  std::string header =
      "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': (" + sizes + "), }";
  // Magic number, version, length and header together are a multiple of 64 bytes, so that the
  // values can be mapped as they lie.
  constexpr std::size_t kBefore = kMagicBytes + 4;
  header.append(63 - (kBefore + header.size()) % 64, ' ');
  header += '\n';
  write_file(path, [&](std::ostream& out) {
    out.write(kMagic, kMagicBytes);
    out << '\x01' << '\x00';
    out << static_cast<char>(header.size() & 0xFF) << static_cast<char>(header.size() >> 8);
    out << header;
    out.write(static_cast<const char*>(values), static_cast<std::streamsize>(bytes));
  });
}

}  // namespace

NumberArray read_npy(ByteSource& source) {
  std::array<char, kMagicBytes + 2> begin{};
  source.read(begin.data(), begin.size(), "its magic number");
  if (std::memcmp(begin.data(), kMagic, kMagicBytes) != 0) {
    source.fail("it does not begin with \\x93NUMPY");
  }
  const int major = static_cast<unsigned char>(begin[kMagicBytes]);
  const int minor = static_cast<unsigned char>(begin[kMagicBytes + 1]);
  if (major < 1 || major > 3 || minor != 0) {
    source.fail("its version is " + std::to_string(major) + "." + std::to_string(minor) +
                "; known are 1.0, 2.0 and 3.0");
  }
  std::array<char, 4> digits{};
  source.read(digits.data(), major == 1 ? 2 : 4, "the length of its header");
  std::uint64_t length = 0;
  for (std::size_t i = digits.size(); i-- > 0;) {
    length = length << 8 | static_cast<unsigned char>(digits[i]);
  }
  if (length > kLongestHeader) source.fail("its header would be longer than 1 MB");
  const std::vector<char> text = source.read_block(length, "its header");
  const NpyHeader header = parse_npy_header({text.data(), text.size()}, source);
  NumberArray array = read_numbers(source, header.shape, header.type, header.big_endian);
  source.expect_end();
  if (header.fortran_order && header.shape.size() > 1) {
    array.bytes = row_major(array.bytes, array.shape, bytes_of(array.type));
  }
  return array;
}

NumberArray read_npy(const std::string& path) { return read_npy(*open_bytes(path, "NPY file")); }

void write_npy(const std::string& path, const Tensor& tensor) {
  check(tensor.defined(), "write_npy", "the tensor must be defined");
  const Tensor dense = tensor.to(Device::cpu).contiguous();
  write_values(path, sizeof(real) == 8 ? "<f8" : "<f4", dense.shape(), dense.data(),
               static_cast<std::size_t>(dense.numel()) * sizeof(real));
}

void write_npy(const std::string& path, const Shape& shape,
               const std::vector<std::int64_t>& values) {
  check(element_count(shape, "write_npy") == std::ssize(values), "write_npy",
        "the values must fill the shape; got ", values.size(), " for ", shape);
  write_values(path, "<i8", shape, values.data(), values.size() * sizeof(std::int64_t));
}

}  // namespace serenade
