// The readers of nn/data: the first byte of an input says which, the rest is the file.

#include <cmath>
#include <functional>
#include <string>
#include <utility>

#include "nn/data/cifar.h"
#include "nn/data/idx.h"
#include "nn/data/npy.h"
#include "nn/data/number_table.h"
#include "tests/fuzz/target.h"
#include "tests/nn/data/made_by_python.h"

namespace serenade::fuzz {

namespace {

std::string bytes_of_hex(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// An array is as long as its shape, becomes a tensor, and whole numbers survive a file of our own.
void check_array(const NumberArray& array) {
  const auto count = static_cast<std::size_t>(array.numel());
  if (array.bytes.size() != count * bytes_of(array.type)) fault("bytes that do not fill the shape");
  if (array.tensor().shape() != array.shape) fault("a tensor of another shape");
  if (is_fraction(array.type)) return;
  const std::vector<std::int64_t> values = array.integers();
  const std::string again = scratch_folder() + "/again.npy";
  write_npy(again, array.shape, values);
  const NumberArray back = read_npy(again);
  if (back.shape != array.shape || back.integers() != values)
    fault("other numbers when read again");
}

void check_images(const ImageDataset& images, std::int64_t classes) {
  if (images.size() == 0 || images.size() != std::ssize(images.labels()))
    fault("labels are missing");
  for (const std::int64_t label : images.labels()) {
    if (label < 0 || label >= classes) fault("a label beyond the classes");
  }
  const Sample last = images.get(images.size() - 1);
  for (const real value : last.input.to_vector()) {
    if (!(value >= 0 && value <= 1)) fault("a pixel beyond [0, 1]");
  }
}

void check_table(const NumberTable& table, bool labelled) {
  const Shape shape = {table.values.size(0), std::ssize(table.columns)};
  if (table.values.shape() != shape || shape[0] == 0) fault("values that do not fit the columns");
  if (first_non_finite(table.values) >= 0) fault("a value that is not finite");
  if (labelled != !table.labels.empty()) fault("labels that nobody asked for, or none");
  table.dataset();
}

const std::vector<std::function<void(const std::string&)>>& readers() {
  static const std::vector<std::function<void(const std::string&)>> all = {
      [](const std::string& path) { check_array(read_idx(path)); },
      [](const std::string& path) {
        check_images(read_cifar10(std::vector<std::string>{path}), 10);
      },
      [](const std::string& path) {
        check_images(read_cifar100(std::vector<std::string>{path}), 100);
      },
      [](const std::string& path) { check_array(read_npy(path)); },
      [](const std::string& path) {
        for (const auto& [name, array] : read_npz(path)) check_array(array);
      },
      [](const std::string& path) { check_table(read_number_table(path), false); },
      [](const std::string& path) {
        check_table(read_number_table(path, {.label = "y", .separator = ';'}), true);
      },
  };
  return all;
}

std::vector<std::string> seeds() {
  using namespace made_by_python;
  const auto seed = [](char reader, const std::string& file) { return reader + file; };
  const std::string idx(
      "\x00\x00\x0c\x02\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x01\xff\xff\xff\xff", 20);
  std::vector<std::string> all = {
      seed(0, idx),
      seed(0, bytes_of_hex(kGzippedIdx)),
      seed(1, std::string(3073, '\x05')),
      seed(2, std::string(3074, '\x05')),
      seed(5, "a,\"b \"\"c\"\"\"\n1,-2.5e3\n\n+3,4\r\n"),
      seed(5, "1,2\n3,4\n"),
      seed(6, "\xef\xbb\xbfx;y\n0.5;1\n1;0\n"),
  };
  for (const char* file : {kFloats, kFortran, kBigEndian, kTruths, kScalar, kHalves}) {
    all.push_back(seed(3, bytes_of_hex(file)));
  }
  for (const char* file : {kStored, kDeflated}) all.push_back(seed(4, bytes_of_hex(file)));
  return all;
}

void run(const std::string& input) {
  if (input.empty()) return;
  const auto reader = static_cast<unsigned char>(input[0]) % readers().size();
  const std::string path = scratch_file("input.data", input.substr(1));
  const std::string message = refusal([&] { readers()[reader](path); });
  if (message.find('\n') != std::string::npos) fault("a refusal of several lines");
  if (!message.empty() && message.rfind(path + ": ", 0) != 0) {
    fault("a refusal that does not begin with the file: " + message);
  }
}

}  // namespace

Target data_readers_target() {
  return {.name = "data_readers",
          .seeds = seeds,
          .run = run,
          .words = {"\x93NUMPY", "'descr'", "'fortran_order'", "'shape'", "'<f4'", "'>i8'", "'|b1'",
                    "True", "False", "PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "\x1f\x8b\x08",
                    "\xff\xff\xff\xff", "1099511627776", "nan", "1e308", ";y"}};
}

}  // namespace serenade::fuzz
