// Names from data: what is refused, and what becomes of the rest in the names of files.

#include "apps/ser/common/names.h"

#include <doctest/doctest.h>

#include "apps/ser/common/error.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

// What a name of a file was made from: the code leads back.
std::string id_of(const std::string& name) {
  std::string id;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool coded = name[i] == '%' && i + 2 < name.size();
    id += coded ? static_cast<char>(std::stoi(name.substr(i + 1, 2), nullptr, 16)) : name[i];
    if (coded) i += 2;
  }
  return name == "%" ? "" : id;
}

}  // namespace

TEST_CASE("names: a message loses the path before it, and nothing else") {
  CHECK(without_path("a/b.wav: is empty", "a/b.wav") == "is empty");
  CHECK(without_path("a/b.wav: is empty", "b.wav") == "a/b.wav: is empty");
  CHECK(without_path("a/b.wav.. is too long", "a/b.wav") == "a/b.wav.. is too long");
}

TEST_CASE("names: the name of a file is never a path, and leads back to its id") {
  CHECK(file_name_of("Ses01F") == "Ses01F");
  CHECK(file_name_of("session1-test-03") == "session1-test-03");
  CHECK(file_name_of("actor/03") == "actor%2F03");
  CHECK(file_name_of("/../../../x") == "%2F..%2F..%2F..%2Fx");
  CHECK(file_name_of("..") == "%2E.");
  CHECK(file_name_of(".hidden") == "%2Ehidden");
  CHECK(file_name_of("a.b") == "a.b");
  CHECK(file_name_of("50%") == "50%25");
  CHECK(file_name_of("") == "%");
  CHECK(file_name_of("\xc3\xb6 x") == "%C3%B6%20x");
  std::string all;
  for (int c = 0; c < 60; ++c) all += static_cast<char>(c);
  for (const std::string& id :
       {std::string("actor/03"), std::string(".."), std::string(), std::string("%2F"), all,
        std::string("\xff\xfe"), std::string("a\0b", 3), std::string(200, 'x')}) {
    const std::string name = file_name_of(id);
    CHECK(name.find_first_of("/\\\n ") == std::string::npos);
    CHECK(name.size() <= kLongestFileName);
    CHECK(id_of(name) == id);
  }
  CHECK(contains(message_of<InputError>([] { file_name_of(std::string(201, 'x')); }), "too long"));
  CHECK(contains(message_of<InputError>([] { file_name_of(std::string(67, '/')); }), "201 bytes"));
}

TEST_CASE("names: a message of the libraries is said without their function") {
  CHECK(without_function("table_scores: there is none") == "there is none");
  for (const char* text : {"", "needs one: two", "Table: x", "table.csv:3: row: x", "word:x"}) {
    CHECK(without_function(text) == text);
  }
}

TEST_CASE("names: what is wrong with a speaker is said, and shown without harm") {
  CHECK(name_fault("anna") == "");
  CHECK(name_fault("the \"first\", \xc3\xa4") == "");
  CHECK(name_fault("") == "is empty");
  CHECK(name_fault("\xc4nne") == "is not UTF-8");
  CHECK(name_fault("a\nb") == "holds a control character");
  CHECK(name_fault("\x1b[2J") == "holds a control character");
  CHECK(name_fault("\xc2\x9b"
                   "2J") == "holds a control character");
  CHECK(name_fault(std::string(kLongestName, 'x')) == "");
  CHECK(name_fault(std::string(kLongestName + 1, 'x')) == "has 201 bytes, more than 200");
  CHECK(name_fault(std::string(500, 'x'), kLongestPath) == "");
  CHECK(speaker_fault("/../../../x") == "");
  CHECK(speaker_fault(std::string(160, 'x')) == "");
  CHECK(contains(speaker_fault(std::string(161, 'x')), "161 bytes"));
  CHECK(contains(speaker_fault(std::string(60, '/')), "180 bytes"));
  CHECK(speaker_fault("\xc4") == "is not UTF-8");
  CHECK(shown("\xe4.wav") == "\\xE4.wav");
  CHECK(shown("a\x1b[2J\xc2\x9b\xc3\xa4") == "a\\x1B[2J\\xC2\\x9B\xc3\xa4");
}

}  // namespace serenade::ser
