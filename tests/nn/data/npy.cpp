// NumPy's files: those that NumPy wrote, our own, and broken ones.

#include "nn/data/npy.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "nn/data/byte_source.h"
#include "tensor/files.h"
#include "tests/nn/data/broken_files.h"
#include "tests/nn/data/made_by_python.h"
#include "tests/temporary_folder.h"

using namespace serenade;

namespace {

std::string npy(const std::string& header, const std::string& values, char version = 1) {
  return "\x93NUMPY" + std::string{version, '\0'} +
         little_endian(header.size(), version == 1 ? 2 : 4) + header + values;
}

std::string header(const std::string& descr, const std::string& shape,
                   const std::string& order = "False") {
  return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

NumberArray read_hex(const std::string& path, const char* digits) {
  return read_npy(write_bytes(path, from_hex(digits)));
}

// A ZIP archive of one stored member, its directory as given.
struct Zip {
  std::string name = "x.npy", data, own_name = "x.npy";
  std::uint64_t method = 0, flags = 0, crc = 0, compressed = 0, bytes = 0, begin = 0, count = 1;

  std::string text() const {
    const std::string common = little_endian(crc, 4) + little_endian(compressed, 4) +
                               little_endian(bytes, 4) + little_endian(name.size(), 2) +
                               little_endian(0, 2);
    const std::string member = "PK\x03\x04" + std::string(22, '\0') +
                               little_endian(own_name.size(), 2) + little_endian(0, 2) + own_name +
                               data;
    const std::string record = "PK\x01\x02" + std::string(4, '\0') + little_endian(flags, 2) +
                               little_endian(method, 2) + std::string(4, '\0') + common +
                               std::string(10, '\0') + little_endian(begin, 4) + name;
    std::string records;
    for (std::uint64_t i = 0; i < count; ++i) records += record;
    return member + records + "PK\x05\x06" + std::string(4, '\0') + little_endian(count, 2) +
           little_endian(count, 2) + little_endian(records.size(), 4) +
           little_endian(member.size(), 4) + little_endian(0, 2);
  }
};

}  // namespace

TEST_CASE("npy: what NumPy wrote") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  const NumberArray floats = read_hex(path, made_by_python::kFloats);
  CHECK(floats.type == NumberType::f32);
  CHECK(floats.shape == Shape{2, 3});
  CHECK(floats.tensor().to_vector() == std::vector<real>{1, 2, 3, 4, 5, 6});
  const NumberArray fortran = read_hex(path, made_by_python::kFortran);
  CHECK(fortran.shape == Shape{2, 3});
  CHECK(fortran.integers() == std::vector<std::int64_t>{1, 2, 3, -4, 5, 6});
  CHECK(read_hex(path, made_by_python::kBigEndian).tensor().to_vector() ==
        std::vector<real>{real(1.5), -2});
  CHECK(read_hex(path, made_by_python::kTruths).integers() == std::vector<std::int64_t>{1, 0});
  CHECK(read_hex(path, made_by_python::kTruths).tensor().to_vector() == std::vector<real>{1, 0});
  const NumberArray scalar = read_hex(path, made_by_python::kScalar);
  CHECK(scalar.shape.empty());
  CHECK(scalar.integers() == std::vector<std::int64_t>{7});
  CHECK(read_hex(path, made_by_python::kHalves).tensor().to_vector() ==
        std::vector<real>{1, real(-0.5), 65504});
}

TEST_CASE("npy: every type as whole numbers and as reals, in both orders of bytes") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  for (const bool swapped : {false, true}) {
    const auto stored = [&](const std::string& type, const std::vector<std::uint64_t>& numbers) {
      const int width = type[1] - '0';
      std::string values;
      for (const std::uint64_t n : numbers) {
        values += swapped ? big_endian(n, width) : little_endian(n, width);
      }
      const std::string descr = (swapped ? "'>" : "'<") + type + "'";
      const std::string shape = "(" + std::to_string(numbers.size()) + ",)";
      return read_npy(write_bytes(path, npy(header(descr, shape), values)));
    };
    struct Whole {
      const char* type;
      std::int64_t least, most;
    };
    for (const Whole& row :
         {Whole{"u1", 0, 255}, Whole{"i1", -128, 127}, Whole{"u2", 0, 65535},
          Whole{"i2", INT16_MIN, INT16_MAX}, Whole{"u4", 0, UINT32_MAX},
          Whole{"i4", INT32_MIN, INT32_MAX}, Whole{"i8", INT64_MIN, INT64_MAX}}) {
      CAPTURE(row.type);
      const NumberArray array = stored(
          row.type, {static_cast<std::uint64_t>(row.least), static_cast<std::uint64_t>(row.most)});
      CHECK(array.integers() == std::vector<std::int64_t>{row.least, row.most});
      CHECK(array.tensor().to_vector() ==
            std::vector<real>{static_cast<real>(row.least), static_cast<real>(row.most)});
    }
    struct Fraction {
      const char *type, *name;
      std::uint64_t bits;  // of 1.5
    };
    for (const Fraction& row : {Fraction{"f2", "f16", 0x3E00}, Fraction{"f4", "f32", 0x3FC00000},
                                Fraction{"f8", "f64", 0x3FF8000000000000}}) {
      CAPTURE(row.type);
      const NumberArray array = stored(row.type, {row.bits, 0});
      CHECK(array.tensor().to_vector() == std::vector<real>{real(1.5), 0});
      CHECK_THROWS_WITH_AS(
          array.integers(),
          (std::string("NumberArray: integers() is for whole numbers; got ") + row.name).c_str(),
          std::invalid_argument);
    }
  }
}

TEST_CASE("npy: axes in both orders, and a shape that no file may have") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  const auto integers = [&](const std::string& descr, const std::string& values) {
    return read_npy(write_bytes(path, npy(header(descr, "(1,)"), values))).integers();
  };
  CHECK(integers("'|u1'", "\xff") == std::vector<std::int64_t>{255});
  CHECK(integers("\"|i1\"", "\xff") == std::vector<std::int64_t>{-1});
  // Element (i, j, k) of [2, 3, 2] is stored at i + 2 j + 6 k.
  const std::string bytes("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b", 12);
  write_bytes(path, npy(header("'|u1'", "(2, 3, 2)", "True"), bytes));
  CHECK(read_npy(path).integers() ==
        std::vector<std::int64_t>{0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11});
  write_bytes(path, npy(header("'<f4'", "(0, 3)", "True"), ""));
  CHECK(read_npy(path).tensor().shape() == Shape{0, 3});
  write_bytes(path, npy(header("'|u1'", "(3,)", "True"), "\x01\x02\x03"));
  CHECK(read_npy(path).integers() == std::vector<std::int64_t>{1, 2, 3});
  // Headers say it in words of their own before the numbers are asked for.
  write_bytes(path, "abcd");
  const auto refused = [&](const Shape& shape) {
    return refusal_of(
        path, [&] { read_numbers(*open_plain_bytes(path, "file"), shape, NumberType::u8, false); });
  };
  CHECK(refused({4}) == "accepted");
  CHECK(refused(Shape(9, 1)) == "not a valid file: it has 9 axes; at most 8 are supported");
  CHECK(refused({2, -1}) ==
        "not a valid file: its header claims [2, -1] of u8, more than the file can hold");
}

TEST_CASE("npy: what is written is read again, and is as NumPy has it") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  const Tensor tensor = Tensor::from({1, 4, 2, 5, 3, 6}, {3, 2}).transpose(0, 1);
  write_npy(path, tensor);
  CHECK(read_npy(path).shape == Shape{2, 3});
  CHECK(read_npy(path).tensor().to_vector() == tensor.to_vector());
  CHECK(read_file(path).size() % 64 == 6 * sizeof(real));
  write_npy(path, {2, 0}, {});
  CHECK(read_npy(path).shape == Shape{2, 0});
  write_npy(path, {}, {-5});
  CHECK(read_npy(path).integers() == std::vector<std::int64_t>{-5});
  write_npy(path, {3}, {1, -2, INT64_MAX});
  CHECK(read_npy(path).integers() == std::vector<std::int64_t>{1, -2, INT64_MAX});
  CHECK_THROWS_AS(write_npy(path, {2}, {1}), std::invalid_argument);
  CHECK_THROWS_AS(write_npy(path, Tensor()), std::invalid_argument);
  CHECK_THROWS_AS(write_npy(folder / "no/x.npy", tensor), std::runtime_error);
}

TEST_CASE("npy: every cut, and headers that lie") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  const auto read = [&] { read_npy(path); };
  check_every_cut(path, from_hex(made_by_python::kFloats), read);
  check_every_cut(path, from_hex(made_by_python::kFortran), read);
  const auto refused = [&](const std::string& bytes) {
    write_bytes(path, bytes);
    const std::string message = refusal_of(path, read), begin = "not a valid NPY file: ";
    CHECK(message.rfind(begin, 0) == 0);
    return message.size() > begin.size() ? message.substr(begin.size()) : message;
  };
  CHECK(refused(npy(header("'<f4'", "(1099511627776,)"), "abcd")) ==
        "cut short, or its header is wrong: it claims [1099511627776] of f32, that is "
        "4398046511104 bytes, and at most 4 can follow");
  for (const char* shape :
       {"(4611686018427387904, 4)", "(4294967296, 4294967296)", "(0, 4611686018427387904, 8)"}) {
    CAPTURE(shape);
    CHECK(refused(npy(header("'<f4'", shape), "")).find("more than the file can hold") !=
          std::string::npos);
  }
  CHECK(refused(npy(header("'<f4'", "(1,)"), "abcde")) == "there are bytes behind its end");
  CHECK(refused("\x92" + from_hex(made_by_python::kFloats).substr(1)) ==
        "it does not begin with \\x93NUMPY");
  CHECK(refused(npy(header("'<f4'", "(1,)"), "abcd", 4)) ==
        "its version is 4.0; known are 1.0, 2.0 and 3.0");
  CHECK(refused("\x93NUMPY" + std::string("\x02\x00\xff\xff\xff\xff", 6)) ==
        "its header would be longer than 1 MB");
  CHECK(refused("\x93NUMPY" + std::string("\x02\x00\x00\x10\x00\x00", 6)) ==
        "cut short in its header");
}

TEST_CASE("npy: headers that are something else") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  const auto refused = [&](const std::string& text) {
    write_bytes(path, npy(text, "abcd"));
    const std::string message = refusal_of(path, [&] { read_npy(path); });
    const std::string begin = "not a valid NPY file: its header ";
    CHECK(message.rfind(begin, 0) == 0);
    return message.size() > begin.size() ? message.substr(begin.size()) : message;
  };
  CHECK(refused(header("'|O'", "(1,)")) ==
        "says that it holds Python objects, a pickle, which could run any program");
  CHECK(refused(header("[('a', '<f4'), ('b', '<i4')]", "(1,)")) ==
        "describes a structure of several fields; only plain numbers are supported");
  CHECK(refused(header("'<U7'", "(1,)")).find("says the type \"<U7\"; supported are") == 0);
  CHECK(refused(header("'|f4'", "(1,)")).find("says the type \"|f4\"") == 0);
  CHECK(refused(header("''", "(1,)")).find("says the type \"\"") == 0);
  CHECK(refused(header("'<f4'", "(1,)", "Maybe")) ==
        "says neither True nor False of 'fortran_order'");
  CHECK(refused(header("'<f4'", "(-1,)")) == "has a size that is no whole number from 0 on");
  CHECK(refused(header("'<f4'", "(99999999999999999999,)")) ==
        "has a size that is no whole number from 0 on");
  CHECK(refused(header("'<f4'", "(1)")) == "has a number in place of the tuple 'shape'");
  CHECK(refused(header("'<f4'", "(1, 1, 1, 1, 1, 1, 1, 1, 1)")) ==
        "has more than the 8 axes that are supported");
  CHECK(refused(header("'<f4'", "[1]")) == "lacks a '(' at byte 50");
  CHECK(refused("") == "lacks a '{' at byte 0");
  for (const char* text : {"{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False}",
                           "{'descr': '<f4', 'shape': (1,)}"}) {
    CHECK(refused(text) == "lacks one of 'descr', 'fortran_order' and 'shape'");
  }
  CHECK(refused("{'descr': ") == "lacks a '\'' at byte 10");
  CHECK(refused("{'shape': (1,), 'shape': (1,)}") == "has the key 'shape' twice");
  CHECK(refused("{'size': 1}") == "has the unknown key \"size\"");
  CHECK(refused("{'descr") == "has a text without an end");
  CHECK(refused(header("'<f4'", "(1,)") + "x") == "goes on behind its closing brace");
}

TEST_CASE("npz: what NumPy wrote, stored and deflated") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npz";
  const auto read = [&] { return read_npz(path); };
  write_bytes(path, from_hex(made_by_python::kStored));
  auto arrays = read();
  REQUIRE(arrays.size() == 2);
  CHECK(arrays.at("x").tensor().to_vector() == std::vector<real>{real(1.5), -2});
  CHECK(arrays.at("labels").integers() == std::vector<std::int64_t>{3, 1});
  write_bytes(path, from_hex(made_by_python::kDeflated));
  arrays = read();
  REQUIRE(arrays.size() == 2);
  CHECK(arrays.at("x").shape == Shape{2, 3});
  CHECK(arrays.at("x").tensor().to_vector() == std::vector<real>{0, 1, 2, 3, 4, 5});
  CHECK(arrays.at("y").integers() == std::vector<std::int64_t>{1, 0});
  for (const char* digits : {made_by_python::kStored, made_by_python::kDeflated}) {
    const std::string whole = from_hex(digits);
    check_every_cut(path, whole, read);
    const auto expected = read();
    // A flipped bit is noticed, or it was one of those that say when and by what it was made.
    for (std::size_t i = 0; i < 8 * whole.size(); ++i) {
      std::string damaged = whole;
      damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << (i % 8)));
      write_bytes(path, damaged);
      CAPTURE(i);
      if (refusal_of(path, read) != "accepted") continue;
      const auto same = read();
      REQUIRE(same.size() == 2);
      for (const auto& [name, array] : expected) REQUIRE(same.at(name).bytes == array.bytes);
    }
  }
}

TEST_CASE("npz: archives that are something else") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npz";
  const auto refused_bytes = [&](const std::string& bytes) {
    write_bytes(path, bytes);
    const std::string message = refusal_of(path, [&] { read_npz(path); });
    const std::string begin = "not a valid NPZ file";
    CHECK(message.rfind(begin, 0) == 0);
    return message.size() > begin.size() + 2 ? message.substr(begin.size() + 2) : message;
  };
  const auto refused = [&](const Zip& zip) { return refused_bytes(zip.text()); };
  const std::string data = from_hex(made_by_python::kTruths);
  const Zip good{.data = data, .compressed = data.size(), .bytes = data.size()};
  CHECK(refused(good) == "in \"x.npy\": it is damaged: its checksum is another");
  Zip zip = good;
  zip.name = zip.own_name = "x.txt";
  CHECK(refused(zip) == "in \"x.txt\": its name does not end in .npy");
  zip = good;
  zip.own_name = "y.npy";
  CHECK(refused(zip) == "its member \"x.npy\" has another name where it begins");
  zip = good;
  zip.flags = 1;
  CHECK(refused(zip) == "its member \"x.npy\" is encrypted");
  zip = good;
  zip.method = 14;
  CHECK(refused(zip) ==
        "its member \"x.npy\" is compressed by method 14; known are 0, stored, and 8, deflated");
  zip = good;
  zip.method = 8;
  zip.data[0] = '\xff';  // a kind of block that deflate does not have
  CHECK(refused(zip).find("in \"x.npy\": its compressed data is damaged") == 0);
  zip = good;
  zip.bytes = 4'000'000'000;
  CHECK(refused(zip) == "in \"x.npy\": its directory claims more bytes than it can hold");
  zip = good;
  zip.bytes -= 1;
  CHECK(refused(zip).find("in \"x.npy\": ") == 0);
  zip = good;
  zip.compressed = 4'000'000'000;
  CHECK(refused(zip) == "its member \"x.npy\" lies outside the archive");
  zip = good;
  zip.begin = 3'000'000'000;
  CHECK(refused(zip) == "its member \"x.npy\" lies outside the archive");
  const std::string zip64 =
      "it is an archive in the zip64 form (4 GB, or 65,535 members), which is not supported";
  for (std::uint64_t Zip::*size : {&Zip::compressed, &Zip::bytes, &Zip::begin}) {
    zip = good;
    zip.*size = 0xFFFFFFFF;
    CHECK(refused(zip) == zip64);
  }
  for (const std::size_t from_end : {10, 6}) {  // the size and the place of the directory
    const std::string text = good.text();
    CHECK(refused_bytes(std::string(text).replace(text.size() - from_end, 4, 4, '\xff')) == zip64);
  }
  zip = good;
  zip.count = 2;
  CHECK(refused(zip) == "its member \"x.npy\" overlaps the one before it");
  zip = good;
  zip.count = 0xFFFF;
  CHECK(refused(zip) == zip64);
  // Another member of the same name, with bytes of its own.
  std::string twice = from_hex(made_by_python::kDeflated);
  for (std::size_t at; (at = twice.find("y.npy")) != std::string::npos;) twice[at] = 'x';
  CHECK(refused_bytes(twice) == "in \"x.npy\": there are two members of that name");
  write_bytes(path, std::string(40, 'x'));
  CHECK(refusal_of(path, [&] { read_npz(path); }) ==
        "not a valid NPZ file: cut short or no archive: it has no directory at its end");
  zip = good;
  zip.count = 0;
  write_bytes(path, zip.text());
  CHECK(read_npz(path).empty());
}
