// Many files: what is wrong with one takes no other's answer.

#include "apps/ser/cli/file_answers.h"

#include <doctest/doctest.h>

#include <iostream>
#include <new>
#include <sstream>

#include "apps/ser/common/error.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

TEST_CASE("file answers: all are given, and the worst failure ends the program") {
  const TemporaryFolder folder;
  write_wav(folder / "long.wav", noise(8000));
  std::ostringstream said;
  std::streambuf* const before = std::cerr.rdbuf(said.rdbuf());
  int answered = 0;
  FileAnswers answers;
  answers.add("a.wav", [&] { ++answered; });
  answers.add(folder / "long.wav", [&] { throw std::bad_alloc(); });
  answers.add("b.wav", [&] { throw InputError("b.wav: \xe4"); });
  answers.add("c.wav", [&] { ++answered; });
  std::string message = message_of<MemoryError>([&] { answers.finish(); });
  CHECK(answered == 2);
  CHECK(contains(message, "long.wav: out of memory"));
  CHECK(contains(message, "0.5 s"));  // its length
  CHECK_FALSE(contains(message, "batch_size"));
  CHECK(contains(said.str(), "b.wav: \\x"));  // and no byte that is not UTF-8
  answers.add("d.wav", [&] { throw NonFiniteError("d.wav: NaN"); });
  said.str("");
  message = message_of<NonFiniteError>([&] { answers.finish(); });
  std::cerr.rdbuf(before);
  CHECK(message == "d.wav: NaN");
  CHECK(contains(said.str(), "long.wav"));
  FileAnswers().finish();
}

}  // namespace serenade::ser
