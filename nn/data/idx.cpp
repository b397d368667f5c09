#include "nn/data/idx.h"

#include <array>
#include <stdexcept>
#include <utility>

#include "kernels/runtime/memory.h"
#include "nn/data/byte_source.h"
#include "nn/data/data_files.h"

namespace serenade {

namespace {

NumberType type_of(const ByteSource& source, unsigned char code) {
  switch (code) {
    case 0x08:
      return NumberType::u8;
    case 0x09:
      return NumberType::i8;
    case 0x0B:
      return NumberType::i16;
    case 0x0C:
      return NumberType::i32;
    case 0x0D:
      return NumberType::f32;
    case 0x0E:
      return NumberType::f64;
    default:
      source.fail("its third byte, the type, is " + std::to_string(code) +
                  "; known are 8, 9, 11, 12, 13 and 14");
  }
}

}  // namespace

NumberArray read_idx(const std::string& path) {
  const auto source = open_bytes(path, "IDX file");
  std::array<char, 4> magic{};
  source->read(magic.data(), magic.size(), "its magic number");
  if (magic[0] != 0 || magic[1] != 0) source->fail("it does not begin with two zero bytes");
  const NumberType type = type_of(*source, static_cast<unsigned char>(magic[2]));
  const int axes = static_cast<unsigned char>(magic[3]);
  if (axes == 0 || axes > kMaxDims) {
    source->fail("its fourth byte, the number of axes, is " + std::to_string(axes) +
                 "; it must be in 1 .. " + std::to_string(kMaxDims));
  }
  Shape shape;
  for (int axis = 0; axis < axes; ++axis) {
    std::array<char, 4> digits{};
    source->read(digits.data(), digits.size(), "the size of axis " + std::to_string(axis));
    std::int64_t size = 0;
    for (const char digit : digits) size = size << 8 | static_cast<unsigned char>(digit);
    shape.push_back(size);
  }
  NumberArray array = read_numbers(*source, shape, type, /*big_endian=*/true);
  source->expect_end();
  return array;
}

ImageDataset read_mnist(const std::string& folder, Split split) {
  const std::string begin = split == Split::train ? "train" : "t10k";
  const std::string image_path = find_data_file(folder, begin + "-images-idx3-ubyte");
  const std::string label_path = find_data_file(folder, begin + "-labels-idx1-ubyte");
  NumberArray images = read_idx(image_path);
  if (images.type != NumberType::u8 || images.shape.size() != 3) {
    throw std::runtime_error(image_path + ": pictures must be bytes of shape [N, H, W]; got " +
                             to_string(images.type) + " of " + to_string(images.shape));
  }
  const NumberArray labels = read_idx(label_path);
  if (labels.type != NumberType::u8 || labels.shape.size() != 1) {
    throw std::runtime_error(label_path + ": labels must be bytes of shape [N]; got " +
                             to_string(labels.type) + " of " + to_string(labels.shape));
  }
  if (labels.shape[0] != images.shape[0]) {
    throw std::runtime_error(label_path + ": holds " + std::to_string(labels.shape[0]) +
                             " labels for the " + std::to_string(images.shape[0]) +
                             " pictures of " + image_path);
  }
  std::vector<std::int64_t> classes = labels.integers();
  for (std::size_t i = 0; i < classes.size(); ++i) check_label(label_path, i, classes[i], 10);
  return ImageDataset(std::move(images), std::move(classes));
}

}  // namespace serenade
