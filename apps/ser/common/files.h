#pragma once
// Whole files, as tensor/files.h has them; what the system refuses is an IoError that names the
// file.

#include <string>

namespace serenade::ser {

/// The content of a file, byte for byte.
std::string read_text_file(const std::string& path);

/// Writes a file whole or not at all.
void write_text_file(const std::string& path, const std::string& text);

/// Brings what was appended to a file to the disk itself.
void synchronise_text_file(const std::string& path);

/// The path from the root, without "." and "..".
std::string absolute_path(const std::string& path);

/// Makes a folder, and those above it, where it is not there yet.
void make_folder(const std::string& path);

}  // namespace serenade::ser
