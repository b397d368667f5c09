// What each exception is answered with.

#include "apps/ser/common/error.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <system_error>

#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

template <class F>
Failure failure_from(F&& f) {
  try {
    f();
  } catch (...) {
    return failure_of(std::current_exception(), "buy some");
  }
  return {};
}

}  // namespace

TEST_CASE("errors: every exception has an exit code and a line") {
  const auto check_failure = [](auto&& f, ExitCode code, const std::string& word) {
    const Failure failure = failure_from(f);
    CAPTURE(failure.message);
    CHECK(failure.code == code);
    CHECK(contains(failure.message, word));
  };
  check_failure([] { throw InputError("a.csv:3: odd"); }, ExitCode::bad_input, "a.csv:3: odd");
  check_failure([] { throw MemoryError("a.wav: long"); }, ExitCode::out_of_memory, "a.wav");
  check_failure([] { throw NonFiniteError("loss"); }, ExitCode::non_finite, "loss");
  check_failure([] { throw IoError("disk"); }, ExitCode::io, "disk");
  check_failure([] { throw std::bad_alloc(); }, ExitCode::out_of_memory, "buy some");
  check_failure([] { throw std::bad_array_new_length(); }, ExitCode::out_of_memory, "buy some");
  check_failure([] { std::vector<int>().reserve(~std::size_t{0}); }, ExitCode::out_of_memory,
                "buy some");
  check_failure([] { std::filesystem::create_directory("/nowhere/at/all"); }, ExitCode::io,
                "nowhere");
  check_failure(
      [] { throw std::system_error(std::make_error_code(std::errc::no_space_on_device)); },
      ExitCode::io, "space");
  check_failure(  // as std::thread throws it
      [] { throw std::system_error(EAGAIN, std::generic_category()); }, ExitCode::out_of_memory,
      "--threads");
  check_failure([] { nlohmann::json(1).at("x"); }, ExitCode::bad_input, "JSON");
  check_failure([] { std::vector<int>().at(1); }, ExitCode::internal, "internal error");
  check_failure([] { throw 1; }, ExitCode::internal, "internal error");
}

}  // namespace serenade::ser
