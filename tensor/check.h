#pragma once
// check(condition, op, parts...): the one way the library says that an argument is wrong.
// The message reads `op: what must hold; got <the shapes involved>`.

#include <sstream>
#include <stdexcept>
#include <type_traits>

#include "tensor/shape.h"

namespace serenade {

namespace detail {

template <class Part>
void write_part(std::ostream& out, const Part& part) {
  if constexpr (std::is_same_v<Part, Shape>) {
    out << to_string(part);
  } else {
    out << part;
  }
}

}  // namespace detail

/// Throws std::invalid_argument("op: part part ...") unless the condition holds.
template <class... Parts>
void check(bool condition, const char* op, const Parts&... parts) {
  if (condition) return;
  std::ostringstream message;
  message << op << ": ";
  (detail::write_part(message, parts), ...);
  throw std::invalid_argument(message.str());
}

}  // namespace serenade
