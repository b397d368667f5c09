// Characters of UTF-8, and what is none.

#include "apps/ser/common/utf8.h"

#include <doctest/doctest.h>

namespace serenade::ser {

TEST_CASE("utf8: it is what RFC 3629 says") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("Z\xc3\xbcrich \xe6\x9d\xb1 \xf0\x9f\x99\x82"));
  for (const char* bad : {"\xe4nne", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                          "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\x80", "\xe6\x9d"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_utf8(bad));
  }
}

TEST_CASE("utf8: every character leads back to itself") {
  for (std::uint32_t value = 0; value <= 0x10ffff; value += value < 0x900 ? 1 : 37) {
    if (value >= 0xd800 && value <= 0xdfff) continue;
    std::string text;
    append_utf8(text, value);
    const CodePoint point = first_code_point(text);
    REQUIRE(point.value == value);
    REQUIRE(point.bytes == text.size());
  }
}

}  // namespace serenade::ser
