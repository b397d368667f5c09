#pragma once
// Tables as comma-separated values, RFC 4180: a field with a comma, a quote or a line end stands in
// quotes, and its quotes are doubled; one that begins or ends with a blank does too, because many
// readers take it away. Lines end in \n alone, which every reader takes.

#include <cstddef>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace serenade {

/// Fields are added one after the other; a line ends by itself when there is one for each column.
class CsvTable {
 public:
  /// digits: significant ones of numbers.
  explicit CsvTable(const std::vector<std::string>& columns, int digits = 6);

  CsvTable& add(std::string_view text);
  template <class Number>
  requires std::is_arithmetic_v<Number> CsvTable& add(Number number) {
    text_ << number;
    return end_field();
  }

  /// Throws std::logic_error where the last line lacks fields.
  std::string text() const;

 private:
  CsvTable& end_field();

  std::ostringstream text_;
  std::size_t columns_;
  std::size_t fields_ = 0;  // of the line so far
};

}  // namespace serenade
