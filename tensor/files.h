#pragma once
// Whole files. Reading and writing throw std::runtime_error in one line: the path, what could not
// be done, and the system's reason.

#include <functional>
#include <iosfwd>
#include <string>

namespace serenade {

/// The content of a file, byte for byte. A pipe is read to its end, at most 256 MB; one that nobody
/// writes to is empty.
std::string read_file(const std::string& path);

/// Writes a file beside its name, brings it to the disk, and then renames it: whoever opens `path`
/// finds the old content or all of the new, never a part, whatever stops the program or the
/// machine; two writers do not mix. A link stays a link. A failure leaves nothing behind.
void write_file(const std::string& path, const std::string& content);

/// The same for content that is better written piece by piece.
void write_file(const std::string& path, const std::function<void(std::ostream&)>& write);

/// Brings what was appended to a file to the disk itself.
void synchronise_file(const std::string& path);

/// How the names of files end that are not written to their end yet.
inline constexpr const char* kPartialSuffix = ".partial";

/// Removes those that a killed program left in a folder, where nobody else is writing; no others.
void remove_partial_files(const std::string& folder);

}  // namespace serenade
