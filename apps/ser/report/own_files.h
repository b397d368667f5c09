#pragma once
// Which files of a folder are this program's.

#include <string>

namespace serenade::ser {

/// The first entry of a folder, at any depth, that this program has not written, as a path below
/// it; "" if there is none. A link is not ours, whatever it points to.
std::string foreign_entry(const std::string& folder);

/// Whether a folder holds nothing, or only what is there before the first result.
bool is_fresh(const std::string& folder);

/// Removes this program's files and folders from a folder, but for the file `except`. Throws
/// IoError.
void remove_own_files(const std::string& folder, const std::string& except = "");

}  // namespace serenade::ser
