#include "tensor/safetensors.h"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>

using namespace serenade;

namespace {

std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("serenade_test_" + name)).string();
}

// A file with any header text and body, for the reader to refuse.
std::string with_header(const std::string& header, const std::string& body) {
  const std::string path = temporary("header.safetensors");
  std::ofstream out(path, std::ios::binary);
  const std::uint64_t size = header.size();
  out.write(reinterpret_cast<const char*>(&size), 8);
  out << header << body;
  return path;
}
std::string with_header(const std::string& header, std::size_t body_bytes = 0) {
  return with_header(header, std::string(body_bytes, '\0'));
}

// A file of one tensor "x" of `dtype`.
template <class Stored>
SafetensorsFile read_stored(const std::string& dtype, const std::vector<Stored>& values) {
  const std::size_t bytes = values.size() * sizeof(Stored);
  return read_safetensors(with_header(
      "{\"x\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + std::to_string(values.size()) +
          "],\"data_offsets\":[0," + std::to_string(bytes) + "]}}",
      std::string(reinterpret_cast<const char*>(values.data()), bytes)));
}

}  // namespace

TEST_CASE("what is written is read back, bit for bit") {
  SafetensorsFile file;
  file.tensors["a.weight"] = Tensor::from({1, real(-2.5), real(1e-30), 4, 5, 6}, {2, 3});
  file.tensors["transposed"] = file.tensors["a.weight"].transpose(0, 1);
  file.tensors["scalar"] = Tensor::scalar(7);
  file.tensors["none"] = Tensor({0});
  file.integers["labels"] = {{3}, {3, -1, INT64_MAX}};
  file.metadata["about"] = "a \"quoted\" word";
  const std::string path = temporary("round_trip.safetensors");
  write_safetensors(path, file);
  const SafetensorsFile back = read_safetensors(path);
  CHECK(back.tensor("a.weight").to_vector() == file.tensors["a.weight"].to_vector());
  CHECK(back.tensor("transposed").shape() == Shape{3, 2});
  CHECK(back.tensor("transposed").to_vector() == file.tensors["transposed"].to_vector());
  CHECK(back.tensor("scalar").dim() == 0);
  CHECK(back.tensor("none").numel() == 0);
  CHECK(back.integer("labels").values == file.integers["labels"].values);
  CHECK(back.metadata.at("about") == file.metadata["about"]);
}

TEST_CASE("every dtype is read, whatever a real is, and in pieces where it must be changed") {
  constexpr std::size_t kMany = 40'000;
  std::vector<std::int32_t> narrow(kMany);
  for (std::size_t i = 0; i < kMany; ++i) narrow[i] = static_cast<std::int32_t>(i) - 20'000;
  narrow.front() = INT32_MIN;
  narrow.back() = INT32_MAX;
  const std::vector<std::int64_t> wide(narrow.begin(), narrow.end());
  const std::vector<float> singles(wide.begin(), wide.end());
  const std::vector<double> doubles(singles.begin(), singles.end());
  const std::vector<real> reals(singles.begin(), singles.end());
  CHECK(read_stored("I32", narrow).integer("x").values == wide);
  CHECK(read_stored("I64", wide).integer("x").values == wide);
  CHECK(read_stored("F32", singles).tensor("x").to_vector() == reals);
  CHECK(read_stored("F64", doubles).tensor("x").to_vector() == reals);
  CHECK(read_stored<std::int32_t>("I32", {}).integer("x").values.empty());
  CHECK(read_stored<double>("F64", {}).tensor("x").shape() == Shape{0});
}

TEST_CASE("a bad file is refused with its path and the reason") {
  CHECK_THROWS_WITH(read_safetensors("/nowhere/x.safetensors"),
                    "/nowhere/x.safetensors: cannot be opened");
  CHECK_THROWS_WITH_AS(read_safetensors(with_header("{")), doctest::Contains("bad header"),
                       std::runtime_error);
  CHECK_THROWS_WITH_AS(read_safetensors(with_header(
                           R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 8)),
                       doctest::Contains("tensor \"a\""), std::runtime_error);
  CHECK_THROWS_WITH_AS(read_safetensors(with_header(
                           R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}})", 2)),
                       doctest::Contains("BF16"), std::runtime_error);
  CHECK_THROWS_WITH_AS(
      read_safetensors(with_header(
          R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 8)),
      doctest::Contains("larger than the file"), std::runtime_error);
  const std::string path = temporary("short.safetensors");
  std::ofstream(path, std::ios::binary) << "abc";
  CHECK_THROWS_WITH_AS(read_safetensors(path), doctest::Contains("cut short"), std::runtime_error);
  std::ofstream(path, std::ios::binary) << "\xff\xff\xff\xff\xff\xff\xff\x7f{}";
  CHECK_THROWS_WITH_AS(read_safetensors(path), doctest::Contains("longer than the file"),
                       std::runtime_error);
}

namespace {

// What the reader says of a header over 16 bytes of data.
std::string refusal(const std::string& header, std::size_t body_bytes = 16) {
  try {
    read_safetensors(with_header(header, body_bytes));
  } catch (const std::runtime_error& error) {
    const std::string what = error.what(), start = ": not a valid safetensors file: ";
    const std::size_t at = what.find(start);
    return at == std::string::npos ? "raw: " + what : what.substr(at + start.size());
  }
  return "accepted";
}

// {"a": {"dtype": "F32", "shape": .., "data_offsets": ..}}.
std::string entry(const std::string& shape, const std::string& offsets,
                  const std::string& name = "a") {
  return "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}";
}

}  // namespace

TEST_CASE("a header whose sizes overflow or do not fit is refused") {
  CHECK(refusal("{" + entry("[4]", "[0,16]") + "}") == "accepted");
  CHECK(refusal("{" + entry("[]", "[0,4]") + "," + entry("[3]", "[4,16]", "b") + "}") ==
        "accepted");
  // 2^62 floats are 2^64 bytes, which is 0; the three sizes multiply to 4 in 64 bits.
  for (const char* shape :
       {"[4611686018427387904]", "[4611686018427387904,4]", "[1099511627776,1099511627776]",
        "[4294967297,4294967297,2147483652]", "[9223372036854775807]", "[288230376151711744,2]",
        "[18446744073709551615]", "[288230376151711744]"}) {
    CAPTURE(shape);
    CHECK(refusal("{" + entry(shape, "[0,0]") + "}").find("is larger than the file") !=
          std::string::npos);
    CHECK(refusal("{" + entry(shape, "[0,16]") + "}").find("is larger than the file") !=
          std::string::npos);
  }
  CHECK(refusal("{" + entry("[-4]", "[0,16]") + "}") ==
        "tensor \"a\": has a negative size or offset");
  CHECK(refusal("{" + entry("[4]", "[-1,15]") + "}") ==
        "tensor \"a\": has a negative size or offset");
  for (const char* number : {"4.0", "4e0", "1e3", "1e300", "36893488147419103232"}) {
    CAPTURE(number);
    CHECK(refusal("{" + entry("[" + std::string(number) + "]", "[0,16]") + "}") ==
          "tensor \"a\": has a number that is not a whole one below 2^63");
  }
  const std::string unfit = "tensor \"a\" has a byte range that does not fit its shape or the file";
  for (const char* offsets : {"[0,12]", "[16,0]", "[0,17]", "[8,24]", "[0,18446744073709551615]",
                              "[18446744073709551600,18446744073709551615]"}) {
    CAPTURE(offsets);
    CHECK(refusal("{" + entry("[4]", offsets) + "}") == unfit);
  }
}

TEST_CASE("the ranges of a file lie side by side from the first byte of its data to the last") {
  const std::string a = entry("[2]", "[0,8]"), b = entry("[2]", "[8,16]", "b");
  CHECK(refusal("{" + b + "," + a + "}") == "accepted");  // in any order
  CHECK(refusal("{" + a + "," + b + "}", 17) == "1 bytes at its end belong to no tensor");
  CHECK(refusal("{" + a + "}") == "8 bytes at its end belong to no tensor");
  CHECK(refusal("{}") == "16 bytes at its end belong to no tensor");
  CHECK(refusal("{" + b + "}") ==
        "tensor \"b\" begins at byte 8 of the data, where 0 have an owner");
  CHECK(refusal("{" + a + "," + entry("[3]", "[4,16]", "b") + "}") ==
        "tensor \"b\" begins at byte 4 of the data, where 8 are taken");
  CHECK(refusal("{" + a + "," + entry("[2]", "[0,8]", "b") + "}", 8).find("are taken") !=
        std::string::npos);
  // Empty tensors take no room, wherever they stand.
  CHECK(refusal("{" + a + "," + b + "," + entry("[0,3]", "[8,8]", "c") + "," +
                entry("[0]", "[16,16]", "d") + "}") == "accepted");
  CHECK(refusal("{" + entry("[4]", "[0,16]") + "," + entry("[0]", "[8,8]", "c") + "}")
            .find("are taken") != std::string::npos);
}

TEST_CASE("a header is an object of objects with three keys each, and of nothing else") {
  const std::string a = entry("[4]", "[0,16]");
  CHECK(refusal("{" + a + "," + a + "}") == "the name \"a\" stands twice");
  CHECK(refusal("{" + a + ",\"__metadata__\":{},\"__metadata__\":{}}").find("stands twice") !=
        std::string::npos);
  CHECK(refusal("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}," + a + "}")
            .find("stands twice in the metadata") != std::string::npos);
  const std::string start = "{\"a\":{\"dtype\":\"F32\"";
  for (const std::string& bad : {start + "}}",
                                 start + ",\"shape\":[4]}}",
                                 start + ",\"shape\":4}}",
                                 start + ",\"shape\":[[4]]}}",
                                 start + ",\"shape\":[{}]}}",
                                 start + ",\"shape\":[null]}}",
                                 start + ",\"shape\":[\"4\"]}}",
                                 start + ",\"shape\":[true]}}",
                                 start + ",\"shape\":{}}}",
                                 start + ",\"dtype\":\"F32\"}}",
                                 start + ",\"more\":1}}",
                                 std::string("{\"a\":[]}"),
                                 std::string("{\"a\":\"F32\"}"),
                                 std::string("{\"a\":4}"),
                                 std::string("{\"a\":null}"),
                                 std::string("{\"a\":true}"),
                                 std::string("{\"a\":{\"dtype\":32}}"),
                                 std::string("{\"a\":{\"dtype\":[]}}"),
                                 std::string("{\"__metadata__\":{\"k\":1}}"),
                                 std::string("{\"__metadata__\":{\"k\":{}}}"),
                                 std::string("{\"__metadata__\":[]}"),
                                 std::string("[]"),
                                 std::string("null"),
                                 std::string(" {}"),
                                 std::string(),
                                 "{" + entry("[4]", "[0]") + "}",
                                 "{" + entry("[4]", "[0,16,16]") + "}",
                                 "{" + entry("[4]", "[]") + "}",
                                 "{" + entry("[1,1,1,1,1,1,1,1,4]", "[0,16]") + "}",
                                 "{" + a + "} x",
                                 "{" + a + "}{}",
                                 std::string("{\"\xff\":{}}"),
                                 std::string("{\"a\0\":{}}", 9),
                                 std::string(200'000, '['),
                                 "{\"a\":{\"shape\":" + std::string(200'000, '[')}) {
    CAPTURE(bad.substr(0, 80));
    const std::string answer = refusal(bad);
    CHECK(answer != "accepted");
    CHECK(answer.find("json.exception") == std::string::npos);
    CHECK(answer.find('\n') == std::string::npos);
  }
  CHECK(refusal("{\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}}") ==
        "tensor \"a\": lacks a dtype, shape or data_offsets");
  CHECK(refusal("{" + entry("[4]", "[[0,16]]") + "}") == "tensor \"a\": a list where none belongs");
  CHECK(refusal("{\"\":4}") == "tensor \"\": a number where none belongs");
  CHECK(refusal("{\"__metadata__\":{\"a\":4}}") == "metadata \"a\": a number where none belongs");
  CHECK(refusal("{" + entry("[4]", "[0,16]", std::string(65'537, 'n')) + "}").find("64 kB") !=
        std::string::npos);
  std::string many = "{\"__metadata__\":{";
  for (int i = 0; i <= 100'000; ++i) many += "\"" + std::to_string(i) + "\":\"\",";
  many.back() = '}';
  CHECK(refusal(many + "}") == "more than 100000 names");
  many = "{";
  for (int i = 0; i <= 100'000; ++i) many += entry("[0]", "[0,0]", std::to_string(i)) + ",";
  many.back() = '}';
  CHECK(refusal(many, 0) == "more than 100000 names");
  CHECK(refusal("{" + a + "} x").find("byte ") != std::string::npos);
  CHECK(refusal("{" + a + "}   ") == "accepted");
}

TEST_CASE("only a regular file is read, and its header before anything is allocated by its word") {
  const std::string path = temporary("special.safetensors");
  std::filesystem::remove(path);
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(read_safetensors(path), doctest::Contains("not a regular file"),
                       std::runtime_error);
  std::filesystem::remove(path);
  CHECK_THROWS_WITH_AS(read_safetensors("/tmp"), doctest::Contains("not a regular file"),
                       std::runtime_error);
  // 8 GB of zeros that take no room on the disk: a bad header is refused before they are read.
  for (const std::string& header : {std::string("{\"a\":1}"), "{" + entry("[1]", "[0,4]") + "}"}) {
    std::filesystem::copy_file(with_header(header), path);
    std::filesystem::resize_file(path, std::uintmax_t{8} << 30);
    CHECK_THROWS_WITH_AS(read_safetensors(path), doctest::Contains(": not a valid"),
                         std::runtime_error);
    std::filesystem::remove(path);
  }
  // A header of 101 MB, in a file that is longer.
  std::ofstream(path, std::ios::binary) << std::string("\x40\x6f\x05\x06\0\0\0\0", 8);
  std::filesystem::resize_file(path, 200'000'000);
  CHECK_THROWS_WITH_AS(read_safetensors(path),
                       doctest::Contains("the 100 MB that the format allows"), std::runtime_error);
  std::filesystem::remove(path);
}

TEST_CASE("what no reader could take back is not written") {
  SafetensorsFile file;
  const std::string path = temporary("never.safetensors");
  file.integers["a"] = {{3}, {1, 2}};
  CHECK_THROWS_AS(write_safetensors(path, file), std::invalid_argument);
  file.integers["a"] = {{2}, {1, 2}};
  file.tensors["a"] = Tensor({1});
  CHECK_THROWS_AS(write_safetensors(path, file), std::invalid_argument);
  file.tensors.clear();
  file.metadata["about"] = "\xff";
  CHECK_THROWS_WITH_AS(write_safetensors(path, file), doctest::Contains("must be UTF-8"),
                       std::invalid_argument);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a missing name is answered with the names there are") {
  SafetensorsFile file;
  file.path = "model.safetensors";
  file.tensors["weight"] = Tensor({1});
  CHECK_THROWS_WITH(file.tensor("wieght"),
                    "model.safetensors: no tensor named wieght; it holds weight");
  CHECK_THROWS_WITH(file.integer("labels"),
                    "model.safetensors: no integers named labels; it holds weight");
  file.tensors["bias"] = Tensor({1});
  file.integers["counts"] = {{1}, {1}};
  CHECK_THROWS_WITH(file.integer("labels"),
                    "model.safetensors: no integers named labels; it holds bias, weight, counts");
  file.tensors.clear();
  file.integers["order"] = {{1}, {1}};
  CHECK_THROWS_WITH(file.tensor("wieght"),
                    "model.safetensors: no tensor named wieght; it holds counts, order");
  file.integers.clear();
  CHECK_THROWS_WITH(file.tensor("wieght"),
                    "model.safetensors: no tensor named wieght; it holds none");
}
