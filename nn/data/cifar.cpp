#include "nn/data/cifar.h"

#include <array>
#include <stdexcept>
#include <utility>

#include "nn/data/byte_source.h"
#include "nn/data/data_files.h"
#include "tensor/check.h"

namespace serenade {

namespace {

constexpr std::size_t kPixels = 3 * 32 * 32;

// The labels of a record, in order, with the number of classes of each; one of them is wanted.
struct Layout {
  const char* name;
  std::vector<std::int64_t> classes;
  std::size_t wanted;
};

void append_file(const std::string& path, const Layout& layout, std::vector<char>& pixels,
                 std::vector<std::int64_t>& labels) {
  const auto source = open_bytes(path, layout.name);
  const std::size_t before = labels.size();
  std::array<char, kPixels> picture{};
  for (;;) {
    const std::size_t record = labels.size() - before;
    const int first = source->next();
    if (first < 0) break;
    const std::string what = "record " + std::to_string(record);
    for (std::size_t i = 0; i < layout.classes.size(); ++i) {
      char byte = static_cast<char>(first);
      if (i > 0) source->read(&byte, 1, what);
      const std::int64_t label = static_cast<unsigned char>(byte);
      check_label(path, record, label, layout.classes[i]);
      if (i == layout.wanted) labels.push_back(label);
    }
    source->read(picture.data(), picture.size(), what);
    pixels.insert(pixels.end(), picture.begin(), picture.end());
  }
  if (labels.size() == before) source->fail("it holds no record");
}

ImageDataset read_files(const std::vector<std::string>& paths, const Layout& layout) {
  check(!paths.empty(), "read_cifar", "there must be a file to read");
  std::vector<char> pixels;
  std::vector<std::int64_t> labels;
  for (const std::string& path : paths) append_file(path, layout, pixels, labels);
  NumberArray pictures{
      .shape = {std::ssize(labels), 3, 32, 32}, .type = NumberType::u8, .bytes = std::move(pixels)};
  return ImageDataset(std::move(pictures), std::move(labels));
}

}  // namespace

ImageDataset read_cifar10(const std::vector<std::string>& paths) {
  return read_files(paths, {.name = "CIFAR-10 file", .classes = {10}, .wanted = 0});
}

ImageDataset read_cifar10(const std::string& folder, Split split) {
  if (split == Split::test) {
    return read_cifar10(std::vector<std::string>{find_data_file(folder, "test_batch.bin")});
  }
  std::vector<std::string> paths = {find_data_file(folder, "data_batch_1.bin")};
  for (int batch = 2; batch <= 5; ++batch) {
    const std::string path =
        find_optional_data_file(folder, "data_batch_" + std::to_string(batch) + ".bin");
    if (path.empty()) continue;
    if (std::ssize(paths) != batch - 1) {
      throw std::runtime_error(path + ": is there, but not the batches before it");
    }
    paths.push_back(path);
  }
  return read_cifar10(paths);
}

ImageDataset read_cifar100(const std::vector<std::string>& paths, Cifar100Labels labels) {
  const std::size_t wanted = labels == Cifar100Labels::coarse ? 0 : 1;
  return read_files(paths, {.name = "CIFAR-100 file", .classes = {20, 100}, .wanted = wanted});
}

ImageDataset read_cifar100(const std::string& folder, Split split, Cifar100Labels labels) {
  const char* name = split == Split::train ? "train.bin" : "test.bin";
  return read_cifar100(std::vector<std::string>{find_data_file(folder, name)}, labels);
}

}  // namespace serenade
