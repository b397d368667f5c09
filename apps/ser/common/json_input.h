#pragma once
// JSON in the user's files.

#include <stdexcept>
#include <string>

#include "apps/ser/common/error.h"
#include "tensor/json.h"

namespace serenade::ser {

/// The document; throws InputError, one line "source: line 3, column 14: what is wrong".
template <class Json>
Json json_input(const std::string& text, const std::string& source) {
  try {
    return parse_json<Json>(text, source);
  } catch (const std::invalid_argument& error) {
    throw InputError(error.what());
  }
}

}  // namespace serenade::ser
