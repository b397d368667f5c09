// Comma-separated values, and the fields that need quotes.

#include "tensor/csv.h"

#include <doctest/doctest.h>

#include <stdexcept>

namespace serenade {

TEST_CASE("csv: RFC 4180 quotes where they are needed, and only there") {
  CsvTable table({"id", "a, b", "value"}, 9);
  table.add("plain text").add(2).add(1.0 / 3);
  table.add("Anna, \"take\" 2").add("").add(1e-9f);
  table.add("two\nlines").add("\r").add(std::int64_t{1} << 40);
  CHECK(table.text() ==
        "id,\"a, b\",value\n"
        "plain text,2,0.333333333\n"
        "\"Anna, \"\"take\"\" 2\",,9.99999972e-10\n"
        "\"two\nlines\",\"\r\",1099511627776\n");
  CsvTable blanks({"first", "second"});
  blanks.add(" anna").add("b ").add("\t").add("a b");
  CHECK(blanks.text() == "first,second\n\" anna\",\"b \"\n\"\t\",a b\n");
  table.add("alone");
  CHECK_THROWS_AS(table.text(), std::logic_error);
}

}  // namespace serenade
