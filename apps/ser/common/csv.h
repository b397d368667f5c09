#pragma once
// Tables as text: RFC 4180, and what spreadsheets make of it.
//
// Read are UTF-8 with or without a byte order mark and UTF-16 with one; fields separated by commas,
// semicolons or tabs, whichever the first line has; lines that end in \n, \r\n or \r. A field in
// quotes may hold separators, line ends and doubled quotes; others lose the blanks around them.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace serenade::ser {

inline constexpr std::size_t kLongestCsvRow = 1 << 20;  ///< bytes
inline constexpr std::size_t kMostCsvFields = 4096;     ///< of a row

struct CsvRow {
  int line = 0;  ///< where it begins, for messages
  std::vector<std::string> fields;
};

/// Throws InputError: "path:line: problem", the path as it can be shown.
[[noreturn]] void refuse_row(const std::string& path, int line, const std::string& problem);

/// The rows of a CSV file, without blank ones. Throws InputError with the path and line of what is
/// no CSV: a quote that is not closed, text after one, bytes that are not UTF-8, a zero byte, a row
/// that is too long; and IoError where the file cannot be read.
std::vector<CsvRow> read_csv(const std::string& path);

/// The same of a text; `path` stands in messages.
std::vector<CsvRow> parse_csv(const std::string& path, std::string_view bytes);

}  // namespace serenade::ser
