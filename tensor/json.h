#pragma once
// JSON that comes from outside. A document is checked before it is built: its depth, so that no
// recursion over it is deep; its length; and that no key stands twice in an object, since then two
// readers may read two things.
//
// A `Json` is a type of nlohmann's library, which the sources that use it include themselves: it is
// no part of what others need to build against this one.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace serenade {

struct JsonLimits {
  std::size_t depth = 64;  ///< lists and objects within each other
  std::size_t bytes = std::size_t{64} << 20;
};

/// Throws std::invalid_argument, one line "source: line 3, column 14: what is wrong", unless the
/// text is one JSON document within the limits. Reads it as a stream: takes no memory but for the
/// keys of the objects that are open.
void check_json(std::string_view text, const std::string& source, const JsonLimits& limits = {});

/// The document; throws as check_json() does.
template <class Json>
Json parse_json(std::string_view text, const std::string& source, const JsonLimits& limits = {}) {
  check_json(text, source, limits);
  return Json::parse(text);
}

/// "line 3, column 14" of the byte at `offset`; columns count characters.
std::string json_place(std::string_view text, std::size_t offset);

/// What an exception of the library says, without the library's own prefix.
std::string json_reason(const std::exception& error);

/// Text in quotes as JSON has it, so that it fits one line whatever it holds; long text is cut.
std::string json_quoted(const std::string& text);

/// A whole number; throws std::invalid_argument naming `what` for any other value, also for 1.0,
/// and for one that a Whole cannot hold. (The library's own get() turns 1e100 into whatever comes.)
template <class Whole = std::int64_t, class Json>
Whole json_integer(const Json& value, const std::string& what) {
  const bool fits =
      value.is_number_unsigned()
          ? std::in_range<Whole>(value.template get<std::uint64_t>())
          : value.is_number_integer() && std::in_range<Whole>(value.template get<std::int64_t>());
  if (!fits) {
    throw std::invalid_argument(what + " must be a whole number of " +
                                std::to_string(std::numeric_limits<Whole>::min()) + " .. " +
                                std::to_string(std::numeric_limits<Whole>::max()));
  }
  return value.template get<Whole>();
}

/// The whole number at `key` of an object, into `to`. Throws as json_integer() does, and what the
/// library throws where the object has no such key.
template <class Whole, class Json>
void read_integer(const Json& object, const std::string& key, Whole& to) {
  to = json_integer<Whole>(object.at(key), "'" + key + "'");
}

}  // namespace serenade
