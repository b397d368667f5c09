// MNIST's IDX and CIFAR's records: what is read, and what is refused.

#include <doctest/doctest.h>

#include <filesystem>
#include <set>

#include "nn/data/byte_source.h"
#include "nn/data/cifar.h"
#include "nn/data/data_files.h"
#include "nn/data/idx.h"
#include "tests/nn/data/broken_files.h"
#include "tests/nn/data/made_by_python.h"
#include "tests/temporary_folder.h"

using namespace serenade;

namespace {

// Says that bytes without end can follow.
class Endless : public ByteSource {
 public:
  Endless() : ByteSource("nowhere", "file") {}
  std::size_t read_some(char*, std::size_t) override { return 0; }
  std::uint64_t most_left() const override { return UINT64_MAX; }
};

std::string idx(int type, const std::vector<std::uint64_t>& sizes, const std::string& values) {
  std::string bytes =
      std::string(2, '\0') + static_cast<char>(type) + static_cast<char>(sizes.size());
  for (const std::uint64_t size : sizes) bytes += big_endian(size, 4);
  return bytes + values;
}

std::string cifar_record(const std::string& labels, int first_pixel) {
  std::string record = labels;
  for (int i = 0; i < 3 * 32 * 32; ++i) record += static_cast<char>(first_pixel + i);
  return record;
}

std::string shared_images(const std::string& name) {
  return (std::filesystem::path(SERENADE_SOURCE_DIR).parent_path() / "shared" / "images" / name)
      .string();
}

}  // namespace

TEST_CASE("idx: all types, big-endian") {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  const NumberArray bytes = read_idx(write_bytes(path, idx(8, {2, 2}, "\x01\x02\x03\xff")));
  CHECK(bytes.shape == Shape{2, 2});
  CHECK(bytes.integers() == std::vector<std::int64_t>{1, 2, 3, 255});
  CHECK(read_idx(write_bytes(path, idx(9, {1}, "\xff"))).integers() ==
        std::vector<std::int64_t>{-1});
  CHECK(read_idx(write_bytes(path, idx(0x0B, {2}, "\xff\xfe\x01\x02"))).integers() ==
        std::vector<std::int64_t>{-2, 258});
  CHECK(read_idx(write_bytes(path, idx(0x0C, {1}, big_endian(70000, 4)))).integers() ==
        std::vector<std::int64_t>{70000});
  CHECK(
      read_idx(write_bytes(path, idx(0x0D, {1}, big_endian(0x3FC00000, 4)))).tensor().to_vector() ==
      std::vector<real>{real(1.5)});
  const NumberArray doubles =
      read_idx(write_bytes(path, idx(0x0E, {1, 1}, big_endian(0x3FF8000000000000, 8))));
  CHECK(doubles.tensor().at({0, 0}) == real(1.5));
  CHECK_THROWS_AS(doubles.integers(), std::invalid_argument);
  CHECK(read_idx(write_bytes(path, idx(8, {0, 5}, ""))).tensor().shape() == Shape{0, 5});
}

TEST_CASE("idx: gzip, of one member or several, cut and damaged") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.gz", whole = from_hex(made_by_python::kGzippedIdx);
  const auto read = [&] { return read_idx(path); };
  write_bytes(path, whole);
  CHECK(read().shape == Shape{2, 2, 3});
  CHECK(read().integers() == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  check_every_cut(path, whole, read);
  // A flipped bit is noticed, but for those that say when and by what it was made.
  const std::vector<std::int64_t> values = read().integers();
  for (std::size_t i = 0; i < 8 * whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << (i % 8)));
    write_bytes(path, damaged);
    CAPTURE(i);
    if (refusal_of(path, [&] { read(); }) == "accepted") CHECK(read().integers() == values);
  }
  write_bytes(path, whole + whole);
  CHECK(refusal_of(path, [&] { read(); }) ==
        "not a valid IDX file: there are bytes behind its end");
  write_bytes(path, whole + "x");
  CHECK(refusal_of(path, [&] { read(); }) ==
        "not a valid IDX file: there are bytes behind the end of its compressed data");
  // A name that fills the first block that is read: nothing can be inflated of that one.
  std::string named = whole;
  named[3] = 8;
  named.insert(10, std::string(70'000, 'n') + '\0');
  write_bytes(path, named);
  CHECK(read().integers() == values);
  CHECK(refusal_of(write_bytes(path, named.substr(0, 69'000)), [&] { read(); }) ==
        "not a valid IDX file: its compressed data is cut short");
}

TEST_CASE("bytes: how many can follow, parts of a file, and a file that shrinks meanwhile") {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  write_bytes(path, from_hex(made_by_python::kGzippedIdx));
  const auto inflated = open_bytes(path, "file");
  CHECK(inflated->read_block(27, "it").size() == 27);
  CHECK(inflated->most_left() > 0);
  CHECK(inflated->next() == 11);
  inflated->expect_end();
  CHECK(inflated->most_left() == 0);
  CHECK(inflate_bytes(std::make_unique<Endless>(), Compression::raw)->most_left() == UINT64_MAX);

  write_bytes(path, "abcd");
  CHECK(open_byte_range(path, "part", 2, 9)->most_left() == 2);
  CHECK(open_byte_range(path, "part", 4, 9)->next() == -1);
  CHECK(refusal_of(path, [&] { open_byte_range(path, "part", 5, 9); }) ==
        "not a valid part: cut short");
  const auto shrinking = open_plain_bytes(path, "file");
  std::filesystem::resize_file(path, 3);
  CHECK(refusal_of(path, [&] { shrinking->read_block(4, "it"); }) == "cannot be read to its end");
}

TEST_CASE("idx: every cut, and headers that lie") {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  const auto read = [&] { read_idx(path); };
  check_every_cut(path, idx(8, {2, 3}, "abcdef"), read);
  check_every_cut(path, idx(0x0E, {1}, "abcdefgh"), read);
  const auto refused = [&](const std::string& bytes) {
    write_bytes(path, bytes);
    return refusal_of(path, read);
  };
  CHECK(refused(idx(8, {3}, "ab")) ==
        "not a valid IDX file: cut short, or its header is wrong: it claims [3] of u8, that is 3 "
        "bytes, and at most 2 can follow");
  CHECK(refused(idx(8, {3}, "abcd")) == "not a valid IDX file: there are bytes behind its end");
  CHECK(refused(idx(8, {0xFFFFFFFF, 0x100}, "abcd")).find("1099511627520 bytes") !=
        std::string::npos);
  CHECK(refused(idx(0x0E, {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, "abcd"))
            .find("more than the file can hold") != std::string::npos);
  CHECK(refused(idx(8, {0, 0xFFFFFFFF, 0xFFFFFFFF}, "")).find("more than the file can hold") !=
        std::string::npos);
  CHECK(refused("x" + idx(8, {1}, "a")) ==
        "not a valid IDX file: it does not begin with two zero bytes");
  CHECK(refused(idx(10, {1}, "a")) ==
        "not a valid IDX file: its third byte, the type, is 10; known are 8, 9, 11, 12, 13 and 14");
  CHECK(refused(idx(8, {}, "a")) ==
        "not a valid IDX file: its fourth byte, the number of axes, is 0; it must be in 1 .. 8");
  CHECK(refused(idx(8, std::vector<std::uint64_t>(9, 1), "a")).find("is 9") != std::string::npos);
  CHECK(refusal_of(folder / "absent", [&] { read_idx(folder / "absent"); }) == "cannot be opened");
  CHECK(refusal_of(folder.path(), [&] { read_idx(folder.path()); }) == "is not a regular file");
}

TEST_CASE("mnist: pictures and labels that belong together") {
  const TemporaryFolder folder;
  const std::string images = folder / "train-images-idx3-ubyte";
  const std::string labels = folder / "train-labels-idx1-ubyte";
  const auto read = [&] { read_mnist(folder.path(), Split::train); };
  CHECK(refusal_of(images, read) == "is not there, nor is train-images-idx3-ubyte.gz beside it");
  write_bytes(images + ".gz", from_hex(made_by_python::kGzippedIdx));
  CHECK(refusal_of(labels, read) == "is not there, nor is train-labels-idx1-ubyte.gz beside it");
  write_bytes(labels, idx(8, {2}, "\x09\x04"));
  const ImageDataset digits = read_mnist(folder.path(), Split::train);
  CHECK(digits.size() == 2);
  CHECK(digits.image_shape() == Shape{1, 2, 3});
  CHECK(digits.labels() == std::vector<std::int64_t>{9, 4});
  CHECK(digits.get(1).input.at({0, 1, 2}) == real(11) / 255);
  write_bytes(labels, idx(8, {2}, "\x04\x0a"));
  CHECK(refusal_of(labels, read) == "label 1 is 10; it must be in 0 .. 9");
  write_bytes(labels, idx(8, {3}, "\x01\x02\x03"));
  CHECK(refusal_of(labels, read) == "holds 3 labels for the 2 pictures of " + images + ".gz");
  write_bytes(labels, idx(8, {2, 1}, "\x01\x02"));
  CHECK(refusal_of(labels, read) == "labels must be bytes of shape [N]; got u8 of [2, 1]");
  write_bytes(images, idx(9, {1, 1, 1}, "a"));  // found before the one that is gzipped
  CHECK(refusal_of(images, read) ==
        "pictures must be bytes of shape [N, H, W]; got i8 of [1, 1, 1]");
  write_bytes(images, idx(8, {1, 1}, "a"));
  CHECK(refusal_of(images, read) == "pictures must be bytes of shape [N, H, W]; got u8 of [1, 1]");
}

TEST_CASE("cifar: records of both sets") {
  const TemporaryFolder folder;
  const std::string path = folder / "data_batch_1.bin";
  write_bytes(path, cifar_record("\x03", 0) + cifar_record("\x09", 7));
  const ImageDataset ten = read_cifar10(folder.path(), Split::train);
  CHECK(ten.size() == 2);
  CHECK(ten.image_shape() == Shape{3, 32, 32});
  CHECK(ten.labels() == std::vector<std::int64_t>{3, 9});
  CHECK(ten.get(1).input.at({0, 0, 0}) == real(7) / 255);
  CHECK(ten.get(1).input.at({2, 31, 31}) == real((7 + 3071) % 256) / 255);

  write_bytes(folder / "data_batch_2.bin", cifar_record("\x01", 0));
  CHECK(read_cifar10(folder.path(), Split::train).labels() == std::vector<std::int64_t>{3, 9, 1});
  const std::string fourth = folder / "data_batch_4.bin";
  write_bytes(fourth, cifar_record("\x01", 0));
  CHECK(refusal_of(fourth, [&] { read_cifar10(folder.path(), Split::train); }) ==
        "is there, but not the batches before it");

  const std::string hundred = folder / "test.bin";
  write_bytes(hundred, cifar_record("\x13\x63", 0));
  CHECK(read_cifar100(folder.path(), Split::test).labels() == std::vector<std::int64_t>{99});
  CHECK(read_cifar100(folder.path(), Split::test, Cifar100Labels::coarse).labels() ==
        std::vector<std::int64_t>{19});
  CHECK(read_cifar100(folder.path(), Split::test).get(0).input.at({0, 0, 5}) == real(5) / 255);
  write_bytes(folder / "train.bin", cifar_record("\x12\x62", 0));
  CHECK(read_cifar100(folder.path(), Split::train).labels() == std::vector<std::int64_t>{98});
}

TEST_CASE("cifar: every cut, and labels beyond the classes") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.bin";
  const auto ten = [&] { read_cifar10(std::vector<std::string>{path}); };
  const auto hundred = [&] { read_cifar100(std::vector<std::string>{path}); };
  check_every_cut(path, cifar_record("\x03", 0), ten);
  check_every_cut(path, cifar_record(std::string("\x03\x00", 2), 0), hundred);
  write_bytes(path, cifar_record("\x03", 0) + "\x03");
  CHECK(refusal_of(path, ten) == "not a valid CIFAR-10 file: cut short in record 1");
  write_bytes(path, cifar_record("\x03", 0) + cifar_record("\x0a", 0));
  CHECK(refusal_of(path, ten) == "label 1 is 10; it must be in 0 .. 9");
  write_bytes(path, cifar_record("\x14\x63", 0));
  CHECK(refusal_of(path, hundred) == "label 0 is 20; it must be in 0 .. 19");
  CHECK(refusal_of("set", [] { check_label("set", 2, -1, 10); }) ==
        "label 2 is -1; it must be in 0 .. 9");
  write_bytes(path, "");
  CHECK(refusal_of(path, ten) == "not a valid CIFAR-10 file: it holds no record");
  CHECK_THROWS_AS(read_cifar10(std::vector<std::string>{}), std::invalid_argument);
}

TEST_CASE("mnist and cifar: the real files, where they are") {
  if (!std::filesystem::exists(shared_images("mnist"))) {
    MESSAGE("no ../shared/images: skipped");
    return;
  }
  const ImageDataset train = read_mnist(shared_images("mnist"), Split::train);
  CHECK(train.image_shape() == Shape{1, 28, 28});
  CHECK(train.size() == 20000);
  // The first ten labels of MNIST's training set.
  CHECK(std::vector<std::int64_t>(train.labels().begin(), train.labels().begin() + 10) ==
        std::vector<std::int64_t>{5, 0, 4, 1, 9, 2, 1, 3, 1, 4});
  CHECK(read_mnist(shared_images("mnist"), Split::test).size() == 5000);
  const ImageDataset pictures = read_cifar10(shared_images("cifar10"), Split::train);
  CHECK(pictures.size() == 3000);
  CHECK(std::set<std::int64_t>(pictures.labels().begin(), pictures.labels().end()).size() == 10);
  CHECK(read_cifar10(shared_images("cifar10"), Split::test).size() == 1000);
}
