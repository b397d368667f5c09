#pragma once
// Calls with numbers that no tensor can have: each must be refused by name, and none may reach
// memory.

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace serenade {

inline constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

/// Sizes, starts, lengths, axes and paddings from outside; sums and products of them wrap around.
inline const std::vector<std::int64_t> kExtremes = {kLeast,
                                                    kLeast + 1,
                                                    -(std::int64_t{1} << 62),
                                                    -7,
                                                    std::int64_t{1} << 60,
                                                    std::int64_t{1} << 62,
                                                    kMost - 1,
                                                    kMost};

/// How many calls have been refused so far.
inline int& refusals() {
  static int count = 0;
  return count;
}

/// Checks that call() throws std::invalid_argument("op: ..").
template <class Call>
void check_refused(const std::string& op, Call call) {
  CAPTURE(op);
  try {
    call();
    FAIL_CHECK("was not refused");
  } catch (const std::invalid_argument& error) {
    const std::string what = error.what();
    CAPTURE(what);
    CHECK(what.starts_with(op + ": "));
  }
  ++refusals();
}

/// The same for every extreme number that one argument can be.
template <class Call>
void check_extremes_refused(const std::string& op, Call call) {
  for (const std::int64_t extreme : kExtremes) {
    CAPTURE(extreme);
    check_refused(op, [&] { call(extreme); });
  }
}

}  // namespace serenade
