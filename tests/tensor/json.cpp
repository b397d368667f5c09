// JSON from outside: what is refused, and where the message says it is.

#include "tensor/json.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace serenade;
using Json = nlohmann::ordered_json;

namespace {

std::string refusal(const std::string& text, const JsonLimits& limits = {}) {
  try {
    parse_json<Json>(text, "a.json", limits);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

TEST_CASE("json: a document within the limits is what it was") {
  const Json json =
      parse_json<Json>("\xEF\xBB\xBF{\"b\": [1, -2.5, null], \"a\": \"\\u00e9\"}", "");
  CHECK(json.dump() == "{\"b\":[1,-2.5,null],\"a\":\"\xC3\xA9\"}");
  CHECK(refusal(nested(64)) == "accepted");
  CHECK(refusal("{\"a\": {\"a\": 1}, \"b\": {\"a\": 1}}") == "accepted");
}

TEST_CASE("json: a message names file, line and column") {
  CHECK(refusal("{\"a\": 1,\n  oops}") == "a.json: line 2, column 3: not valid JSON");
  CHECK(refusal("") == "a.json: line 1, column 1: not valid JSON");
  CHECK(refusal("{\"\xC3\xA9\": x}") == "a.json: line 1, column 7: not valid JSON");
  CHECK(refusal("{\"a\": 1,\n\"a\": 2}") == "a.json: line 2, column 3: key \"a\" stands twice");
  CHECK(refusal("[1e999]") == "a.json: line 1, column 6: a number that no double holds");
  for (const char* text :
       {"[NaN]", "[1] 2", "// no\n[1]", "[1,]", "{\"a\"}", "[\"\\ud800\"]", "[\"\xff\"]", "[01]"}) {
    CAPTURE(text);
    CHECK(refusal(text).find(": not valid JSON") != std::string::npos);
  }
  CHECK(refusal(std::string("[1\0]", 4)).find("line 1, column 3") != std::string::npos);
}

TEST_CASE("json: depth and length are limited before anything is built") {
  CHECK(refusal(nested(65)) ==
        "a.json: line 1, column 65: lists and objects lie more than 64 deep within each other");
  CHECK(refusal(std::string(4'000'000, '[')).find("more than 64 deep") != std::string::npos);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK(refusal(objects).find("more than 64 deep") != std::string::npos);
  CHECK(refusal("[1, 2, 3]", {.bytes = 8}).find("it has 9 bytes") != std::string::npos);
}

TEST_CASE("json: whole numbers, reasons and quotes") {
  CHECK(json_integer(Json(-3), "x") == -3);
  CHECK(json_integer(Json(std::uint64_t{INT64_MAX}), "x") == INT64_MAX);
  for (const Json& value :
       {Json(1.0), Json(1e30), Json(std::uint64_t{1} << 63), Json("1"), Json()}) {
    CHECK_THROWS_WITH(json_integer(value, "x"),
                      "x must be a whole number of -9223372036854775808 .. 9223372036854775807");
  }
  CHECK(json_integer<std::uint64_t>(Json(UINT64_MAX), "x") == UINT64_MAX);
  CHECK(json_integer<int>(Json(INT32_MAX), "x") == INT32_MAX);
  for (const Json& value : {Json(-1), Json(1e100), Json(1.0)}) {
    CHECK_THROWS_WITH(json_integer<std::uint64_t>(value, "x"),
                      "x must be a whole number of 0 .. 18446744073709551615");
  }
  CHECK_THROWS_AS(json_integer<int>(Json(std::int64_t{1} << 31), "x"), std::invalid_argument);
  int seeds = 3;
  CHECK_THROWS_WITH(read_integer(Json{{"seeds", 1e9 + 0.5}}, "seeds", seeds),
                    "'seeds' must be a whole number of -2147483648 .. 2147483647");
  CHECK(seeds == 3);
  read_integer(Json{{"seeds", 5}}, "seeds", seeds);
  CHECK(seeds == 5);
  try {
    Json::object().at("key");
  } catch (const Json::exception& error) {
    CHECK(json_reason(error) == "key 'key' not found");
  }
  CHECK(json_reason(std::runtime_error("another's words")) == "another's words");
  CHECK(json_quoted("a\n\xff\"") == "\"a\\n\\ufffd\\\"\"");
  CHECK(json_quoted(std::string(100, 'a')).size() == 84);
}
