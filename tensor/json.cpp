#include "tensor/json.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace serenade {

namespace {

/// An iterator over text that tells how far it has been read, which the parser's events do not.
struct Reading {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at = nullptr;
  std::size_t* count = nullptr;

  reference operator*() const { return *at; }
  Reading& operator++() {
    ++at;
    ++*count;
    return *this;
  }
  bool operator==(const Reading& other) const { return at == other.at; }
};

/// Follows the events of the parser, keeping no values.
class Checker : public nlohmann::json_sax<nlohmann::json> {
 public:
  Checker(std::string_view text, const std::string& source, const JsonLimits& limits,
          const std::size_t& read)
      : text_(text), source_(source), limits_(limits), read_(read) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override {
    enter();
    keys_.emplace_back();
    return true;
  }
  bool key(string_t& name) override {
    if (!keys_.back().insert(name).second) fail("key " + json_quoted(name) + " stands twice");
    return true;
  }
  bool end_object() override {
    --depth_;
    keys_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override {
    enter();
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    constexpr int kNumberOverflow = 406;
    fail_at(position,
            error.id == kNumberOverflow ? "a number that no double holds" : "not valid JSON");
  }

 private:
  void enter() {
    if (++depth_ > limits_.depth) {
      fail("lists and objects lie more than " + std::to_string(limits_.depth) +
           " deep within each other");
    }
  }

  [[noreturn]] void fail(const std::string& what) const { fail_at(read_, what); }

  [[noreturn]] void fail_at(std::size_t position, const std::string& what) const {
    throw std::invalid_argument(source_ + ": " +
                                json_place(text_, position - std::min<std::size_t>(position, 1)) +
                                ": " + what);
  }

  std::string_view text_;
  const std::string& source_;
  const JsonLimits& limits_;
  const std::size_t& read_;  // bytes so far
  std::size_t depth_ = 0;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

}  // namespace

void check_json(std::string_view text, const std::string& source, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    throw std::invalid_argument(source + ": at most " + std::to_string(limits.bytes >> 20) +
                                " MB of JSON are read; it has " + std::to_string(text.size()) +
                                " bytes");
  }
  std::size_t read = 0;
  Checker checker(text, source, limits, read);
  nlohmann::json::sax_parse(Reading{text.data(), &read}, Reading{text.data() + text.size(), &read},
                            &checker);
}

std::string json_place(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const std::size_t line_start = before.rfind('\n') + 1;  // 0 where there is none
  const auto starts_character = [](char c) { return (c & 0xC0) != 0x80; };
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto column = 1 + std::count_if(before.begin() + static_cast<std::ptrdiff_t>(line_start),
                                        before.end(), starts_character);
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

std::string json_reason(const std::exception& error) {
  const std::string what = error.what();
  const std::size_t prefix = what.find("] ");
  return prefix == std::string::npos ? what : what.substr(prefix + 2);
}

std::string json_quoted(const std::string& text) {
  constexpr std::size_t kLongest = 80;
  const nlohmann::json json = text.size() <= kLongest ? text : text.substr(0, kLongest) + "..";
  return json.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
}

}  // namespace serenade
