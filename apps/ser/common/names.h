#pragma once
// Names that come from data: speakers, groups, labels and recordings of other people's corpora.
//
// They end up in messages, tables, JSON and the names of folders. What could do harm there is
// refused when a corpus is read; what is only unusual is encoded where it becomes a file name.

#include <cstddef>
#include <string>
#include <string_view>

namespace serenade::ser {

inline constexpr std::size_t kLongestName = 200;      ///< bytes of a speaker, group or label
inline constexpr std::size_t kLongestPath = 1000;     ///< bytes of a recording's id or path
inline constexpr std::size_t kLongestFileName = 200;  ///< bytes; systems allow 255, endings follow

/// For people: control characters and bytes that are not UTF-8 are shown as \x1B, the rest stays.
std::string shown(std::string_view text);

/// A message about a file without the file's path before it, for lists that name the file anyway.
std::string without_path(const std::string& message, const std::string& path);

/// A message of the libraries without the name of the function that it begins with,
/// "table_scores: ..": a user has called none.
std::string without_function(const std::string& message);

/// What is wrong with a name, such as "is not UTF-8"; empty if it is neither empty nor longer than
/// that, is UTF-8, and holds no control character.
std::string name_fault(std::string_view name, std::size_t longest = kLongestName);

/// The same of a speaker, whose file name must moreover leave room for the rest of a fold's name.
std::string speaker_fault(std::string_view speaker);

/// A name for a file or folder: everything but A-Z a-z 0-9 . _ - and a leading dot is written as
/// %2F; an empty id is "%". Never a path, and different for different ids. Throws InputError if it
/// would be longer than kLongestFileName.
std::string file_name_of(std::string_view id);

}  // namespace serenade::ser
