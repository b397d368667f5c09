// Tables as text: what is read, in all its spellings, and what is refused.

#include "apps/ser/common/csv.h"

#include <doctest/doctest.h>

#include "apps/ser/common/error.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

using Fields = std::vector<std::vector<std::string>>;

Fields fields_of(const std::string& text) {
  Fields all;
  for (const CsvRow& row : parse_csv("t.csv", text)) all.push_back(row.fields);
  return all;
}

std::string refusal(const std::string& text) {
  return message_of<InputError>([&] { parse_csv("t.csv", text); });
}

std::string utf16(const std::string& ascii, bool little_endian) {
  std::string bytes = little_endian ? "\xff\xfe" : "\xfe\xff";
  for (const char c : ascii) {
    if (!little_endian) bytes += '\0';
    bytes += c;
    if (little_endian) bytes += '\0';
  }
  return bytes;
}

}  // namespace

TEST_CASE("csv: quotes, line ends, separators and encodings give the same rows") {
  const Fields expected = {{"a", "b"}, {"1", "x y"}};
  for (const char* text :
       {"a,b\n1,x y\n", "a,b\n1,x y", "a,b\r\n1,x y\r\n", "a,b\r1,x y\r",
        "\xef\xbb\xbf"
        "a,b\n1,x y",
        "a;b\n1;x y\n", "a\tb\n1\tx y\n", " a , \"b\" \n1,\"x y\"\n", "a,b\n\n\r\n1,x y\n\n"}) {
    CAPTURE(text);
    CHECK(fields_of(text) == expected);
  }
  CHECK(fields_of(utf16("a,b\n1,x y\n", true)) == expected);
  CHECK(fields_of(utf16("a,b\r\n1,x y", false)) == expected);
  CHECK(fields_of(std::string("\xff\xfe\x3d\xd8\x42\xde", 6)) == Fields{{"\xf0\x9f\x99\x82"}});
  CHECK(fields_of("\"a\"\"b\",\"c\nd\",\"e\r\nf\"\n,\n") ==
        Fields{{"a\"b", "c\nd", "e\r\nf"}, {"", ""}});
  CHECK(fields_of("a,b;c\n") == Fields{{"a", "b;c"}});
  CHECK(fields_of("").empty());
  CHECK(fields_of("\n\n").empty());
}

TEST_CASE("csv: rows know the line they begin on") {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    const auto rows = parse_csv("t.csv", "a" + end + "\"b" + end + "c\"" + end + end + "d" + end);
    REQUIRE(rows.size() == 3);
    CHECK(rows[1].line == 2);
    CHECK(rows[2].line == 5);
  }
}

TEST_CASE("csv: what is none is refused with file and line") {
  CHECK(refusal("a\n\"b") == "t.csv:2: a quote is not closed");
  CHECK(refusal("a\n\"b\"c") == "t.csv:2: text after a closing quote; double the quotes inside");
  CHECK(refusal("a\nb\n\xc4nne,x\n") ==
        "t.csv:3: is not UTF-8: '\\xC4nne,x'; save it as UTF-8, or convert it: iconv -f LATIN1 -t "
        "UTF-8");
  CHECK(contains(refusal("a\r\xc4"), "t.csv:2: is not UTF-8"));
  CHECK(contains(refusal(std::string("a\0,\0b\0\n\0", 8)), "t.csv:1: holds a zero byte"));
  CHECK(refusal("\xff\xfe"
                "a") == "t.csv:1: ends within a character of UTF-16");
  CHECK(refusal(std::string("\xff\xfe\n\0\x00\xdc", 6)) == "t.csv:2: is not UTF-16");
  CHECK(refusal(std::string("\xff\xfe\x3d\xd8"
                            "a\0",
                            6)) == "t.csv:1: is not UTF-16");
  CHECK(contains(message_of<IoError>([] { read_csv("/no/such.csv"); }), "/no/such.csv"));
}

TEST_CASE("csv: limits of a row, and one beyond") {
  CHECK(fields_of(std::string(kLongestCsvRow - 1, 'x') + "\n").size() == 1);
  CHECK(refusal("a\n" + std::string(kLongestCsvRow + 1, 'x')) ==
        "t.csv:2: the row is longer than 1048576 bytes; is a quote not closed?");
  CHECK(
      contains(refusal("a\n\"" + std::string(kLongestCsvRow, '\n')), "t.csv:2: the row is longer"));
  CHECK(fields_of(std::string(kMostCsvFields - 1, ',')).front().size() == kMostCsvFields);
  CHECK(refusal("a\n" + std::string(kMostCsvFields, ',')) ==
        "t.csv:2: the row has more than 4096 fields");
}

}  // namespace serenade::ser
