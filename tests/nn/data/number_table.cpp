// Tables of numbers: columns, labels, and lines that are wrong.

#include "nn/data/number_table.h"

#include <doctest/doctest.h>

#include "tests/nn/data/broken_files.h"
#include "tests/temporary_folder.h"

using namespace serenade;

TEST_CASE("number table: with and without a header, with labels by name") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.csv";
  write_bytes(path,
              "\xef\xbb\xbf"
              "width,\"petal, length\",class\r\n1.5, -2 ,0\r\n\r\n\"3\"  ,+4e1,2");
  const NumberTable table = read_number_table(path, {.label = "class"});
  CHECK(table.columns == std::vector<std::string>{"width", "petal, length"});
  CHECK(table.values.shape() == Shape{2, 2});
  CHECK(table.values.to_vector() == std::vector<real>{real(1.5), -2, 3, 40});
  CHECK(table.labels == std::vector<std::int64_t>{0, 2});
  CHECK(table.dataset().get(1).label == 2);
  CHECK(read_number_table(path).values.shape() == Shape{2, 3});
  CHECK(read_number_table(path).labels.empty());

  write_bytes(path, "1;2\n3;4\n");
  const NumberTable bare = read_number_table(path, {.label = "0", .separator = ';'});
  CHECK(bare.columns == std::vector<std::string>{"1"});
  CHECK(bare.values.to_vector() == std::vector<real>{2, 4});
  CHECK(bare.labels == std::vector<std::int64_t>{1, 3});
  const NumberTable named = read_number_table(path, {.separator = ';', .header = true});
  CHECK(named.columns == std::vector<std::string>{"1", "2"});
  CHECK(named.values.to_vector() == std::vector<real>{3, 4});

  // A doubled quote is one, and labels are exact up to 2^53.
  write_bytes(path, "\"a \"\"b\"\"\",y\n1,9007199254740992\n");
  const NumberTable quoted = read_number_table(path, {.label = "y"});
  CHECK(quoted.columns == std::vector<std::string>{"a \"b\""});
  CHECK(quoted.labels == std::vector<std::int64_t>{9007199254740992});
}

TEST_CASE("number table: what is wrong is named by line and column") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.csv";
  const auto refused = [&](const std::string& text, const NumberTableOptions& options = {}) {
    write_bytes(path, text);
    return refusal_of(path, [&] { read_number_table(path, options); });
  };
  CHECK(refused("a,b\n1,2\n\n3,1x\n") == "line 4, column 2: \"1x\" is not a finite number");
  CHECK(refused("1,x\n") == "line 1, column 2: \"x\" is not a finite number");
  CHECK(refused("1,\n") == "line 1, column 2: \"\" is not a finite number");
  CHECK(refused("a\nnan\n") == "line 2, column 1: \"nan\" is not a finite number");
  CHECK(refused("a\n1e999\n") == "line 2, column 1: \"1e999\" is not a finite number");
  CHECK(refused("a,b\n1,2,3\n") == "line 2: has 3 fields; the first line has 2");
  CHECK(refused("a,a\n1,2\n") == "line 1, column 2: the name \"a\" stands twice");
  CHECK(refused("a,\"b\n1,2\n") == "line 1, column 2: a quote is not closed on its line");
  CHECK(refused("a,\"b\"c\n1,2\n") == "line 1, column 2: there is text behind its closing quote");
  CHECK(refused("1,2\n", {.header = true}) == "holds no row of numbers");
  CHECK(refused("a,b\n") == "holds no row of numbers");
  CHECK(refused("") == "holds no row of numbers");
  CHECK(refused("a,b\n1,2\n", {.header = false}) ==
        "line 1, column 1: \"a\" is not a finite number");
  CHECK(refused("a,species\n1,2\n", {.label = "specie"}) ==
        "no column named \"specie\" for the labels; did you mean \"species\"?");
  CHECK(refused("a,y\n1,0.5\n", {.label = "y"}) ==
        "line 2, column 2: a label must be a whole number from 0 on; got \"0.5\"");
  CHECK(refused("a,y\n1,-1\n", {.label = "y"}) ==
        "line 2, column 2: a label must be a whole number from 0 on; got \"-1\"");
  CHECK(refused("a,y\n1,9007199254740994\n", {.label = "y"}) ==
        "line 2, column 2: a label must be a whole number from 0 on; got \"9007199254740994\"");
  CHECK(refused("y\n1\n", {.label = "y"}) == "holds no column but that of the labels");
  CHECK(refused(std::string("a\n1\0\n", 6)) ==
        "line 2, column 1: \"1\\u0000\" is not a finite number");
  CHECK(refusal_of(folder / "no", [&] { read_number_table(folder / "no"); }) == "cannot be opened");
  CHECK(refusal_of(folder.path(), [&] { read_number_table(folder.path()); }) ==
        "is not a regular file");
  // Opens as a file does, but of no memory at address 0 a byte can be read.
  CHECK(refusal_of("/proc/self/mem", [] { read_number_table("/proc/self/mem"); }) ==
        "cannot be read to its end");
  for (const char separator : {'"', ' ', '\n'}) {
    CHECK_THROWS_WITH_AS(read_number_table(path, {.separator = separator}),
                         "read_number_table: a separator must be no quote, blank or line end",
                         std::invalid_argument);
  }
}
