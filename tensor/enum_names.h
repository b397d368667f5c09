#pragma once
// The words of an enum. One table serves the command line, JSON and messages:
//
//   enum class Direction { first, second };
//   inline EnumNames<Direction> enum_names(Direction) {
//     return {{Direction::first, "first"}, {Direction::second, "second"}};
//   }
//
// The table stands beside the enum, in its namespace, and is found there by its argument's type.

#include <concepts>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tensor/text.h"

namespace serenade {

template <class E>
using EnumNames = std::vector<std::pair<E, std::string>>;

template <class E>
concept NamedEnum = requires(E value) {
  { enum_names(value) } -> std::same_as<EnumNames<E>>;
};

/// The word of a value.
template <NamedEnum E>
std::string to_string(E value) {
  for (const auto& [candidate, word] : enum_names(value)) {
    if (candidate == value) return word;
  }
  throw std::logic_error("an enum value without a word");
}

/// All words, in the order of the table.
template <NamedEnum E>
std::vector<std::string> enum_words() {
  std::vector<std::string> words;
  for (const auto& [value, word] : enum_names(E{})) words.push_back(word);
  return words;
}

/// The value of a word; throws std::invalid_argument as find_word() does: `setting` begins the
/// message, which lists the words and names the nearest.
template <NamedEnum E>
E parse_enum(const std::string& setting, const std::string& text) {
  return enum_names(E{})[find_word(setting, text, enum_words<E>())].first;
}

}  // namespace serenade
