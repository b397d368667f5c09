#pragma once
// Whole files. Reading and writing throw std::runtime_error in one line: the path, what could not
// be done, and the system's reason.

#include <functional>
#include <iosfwd>
#include <string>

namespace serenade {

/// The content of a file, byte for byte.
std::string read_file(const std::string& path);

/// Writes a file beside its name and then renames it: whoever opens `path` finds the old content or
/// all of the new, never a part, whatever stops the program; two writers do not mix. A failure
/// leaves nothing behind.
void write_file(const std::string& path, const std::string& content);

/// The same for content that is better written piece by piece.
void write_file(const std::string& path, const std::function<void(std::ostream&)>& write);

}  // namespace serenade
