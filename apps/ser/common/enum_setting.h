#pragma once
// Words of settings: what tensor/text.h and tensor/enum_names.h refuse is the user's input here.

#include <string>
#include <vector>

#include "apps/ser/common/error.h"
#include "tensor/enum_names.h"
#include "tensor/text.h"

namespace serenade::ser {

using serenade::to_string;  // the word of an enum, beside this namespace's own overloads

/// find_word(), throwing InputError.
inline std::size_t find_setting_word(const std::string& setting, const std::string& word,
                                     const std::vector<std::string>& known) {
  try {
    return find_word(setting, word, known);
  } catch (const std::invalid_argument& error) {
    throw InputError(error.what());
  }
}

/// parse_enum(), throwing InputError.
template <NamedEnum E>
E parse_setting(const std::string& setting, const std::string& word) {
  try {
    return parse_enum<E>(setting, word);
  } catch (const std::invalid_argument& error) {
    throw InputError(error.what());
  }
}

}  // namespace serenade::ser
