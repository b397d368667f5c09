#pragma once
// What the readers of known sets share: finding their files, and refusing labels beyond the
// classes.

#include <cstddef>
#include <cstdint>
#include <string>

namespace serenade {

/// "folder/name" or "folder/name.gz", the first that exists; throws std::runtime_error naming both
/// where neither does.
std::string find_data_file(const std::string& folder, const std::string& name);
/// The same, but empty where neither exists.
std::string find_optional_data_file(const std::string& folder, const std::string& name);

/// Throws std::runtime_error("path: label i is .. ") unless label is in 0 .. classes - 1.
void check_label(const std::string& path, std::size_t i, std::int64_t label, std::int64_t classes);

}  // namespace serenade
