// Words out of lists and enums, XML, and whole blocks.

#include "tensor/text.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <stdexcept>

#include "kernels/runtime/ceil_div.h"
#include "tensor/enum_names.h"

namespace elsewhere {  // tables are found beside their enum, whatever the namespace

enum class Direction { first, second };
inline serenade::EnumNames<Direction> enum_names(Direction) {
  return {{Direction::first, "first"}, {Direction::second, "second"}};
}
enum class Nameless { one };

}  // namespace elsewhere

using namespace serenade;

TEST_CASE("text: the nearest word is the one with the fewest changes, the first of several") {
  CHECK(nearest_word("conv3", {"conv1x", "conv", "cnv3"}) == "conv");
  CHECK(nearest_word("choice", {"schema", "system", "choices"}) == "choices");
  CHECK(nearest_word("", {"abc", "a"}) == "a");
  CHECK(nearest_word("x", {}).empty());
  // What comes after a hundred letters costs no time, and does not count.
  CHECK(nearest_word("pool" + std::string(100, 'x') + "convolution", {"convolution", "pool"}) ==
        "pool");
}

TEST_CASE("text: a word that is not in the list is answered with the list") {
  CHECK(find_word("size", "b", {"a", "b"}) == 1);
  CHECK_THROWS_WITH_AS(find_word("size", "smal", {"small", "large"}),
                       "size must be one of small, large; got 'smal'; did you mean 'small'?",
                       std::invalid_argument);
  CHECK(join({}, "|").empty());
  CHECK(join({"a", "b"}, "|") == "a|b");
}

TEST_CASE("text: an enum has one table of words") {
  using elsewhere::Direction;
  static_assert(NamedEnum<Direction> && !NamedEnum<elsewhere::Nameless>);
  CHECK(to_string(Direction::second) == "second");
  CHECK(enum_words<Direction>() == std::vector<std::string>{"first", "second"});
  CHECK(parse_enum<Direction>("direction", "second") == Direction::second);
  CHECK_THROWS_WITH_AS(parse_enum<Direction>("direction", "firts"),
                       "direction must be one of first, second; got 'firts'; did you mean 'first'?",
                       std::invalid_argument);
  CHECK_THROWS_AS(to_string(static_cast<Direction>(7)), std::logic_error);
}

TEST_CASE("text: XML keeps what a reader sees and loses what it forbids") {
  CHECK(escape_xml("a<b> & \"c\" 'd'\n\t\r\x01") ==
        "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;\n\t");
}

TEST_CASE("ceil_div: whole blocks") {
  static_assert(ceil_div(0, 4) == 0 && ceil_div(1, 4) == 1 && ceil_div(4, 4) == 1);
  static_assert(ceil_div(std::int64_t{5}, std::int64_t{4}) == 2);
}

TEST_CASE("display_width counts characters, not bytes") {
  CHECK(display_width("") == 0);
  CHECK(display_width("m\u00b1x") == 3);
}
