#pragma once
// FNV-1a, 64 bits: a short name for contents, not a protection against forgery.
// Source: G. Fowler, L. C. Noll, K.-P. Vo, http://www.isthe.com/chongo/tech/comp/fnv/

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace serenade {

/// Sixteen of them.
inline std::string hex_digits(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

class Fnv {
 public:
  void add(const void* data, std::size_t bytes) {
    const auto* byte = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < bytes; ++i) value_ = (value_ ^ byte[i]) * 0x100000001b3ULL;
  }

  /// Text followed by its length, so that ("ab", "c") and ("a", "bc") differ.
  void add_text(std::string_view text) {
    add(text.data(), text.size());
    const std::uint64_t length = text.size();
    add(&length, sizeof length);
  }

  std::uint64_t value() const { return value_; }

  std::string hex() const { return hex_digits(value_); }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

}  // namespace serenade
