#pragma once
// UTF-8 as RFC 3629 has it: no overlong form, no surrogate, at most U+10FFFF.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace serenade::ser {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  ///< 0: the text does not begin with UTF-8
};

/// The first character of a text that is not empty.
CodePoint first_code_point(std::string_view text);

bool is_utf8(std::string_view text);

void append_utf8(std::string& text, std::uint32_t code_point);

}  // namespace serenade::ser
