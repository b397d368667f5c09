#pragma once
// Tables of text: aligned columns for a terminal, and Markdown for a README.

#include <string>
#include <vector>

namespace serenade::ser {

enum class Align { left, right };

class TextTable {
 public:
  struct Column {
    std::string title;
    Align align = Align::right;
  };

  explicit TextTable(std::vector<Column> columns);

  /// Missing cells are blank; throws std::invalid_argument on too many.
  void add_row(std::vector<std::string> cells);
  /// A rule between the rows before and after (terminal only; Markdown has none).
  void add_rule();

  std::string to_text() const;      ///< columns two blanks apart, a rule below the titles
  std::string to_markdown() const;  ///< a pipe table; '|' in a cell is escaped

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  // an empty row is a rule
};

/// 0.7054 -> "70.54"; NaN -> "-".
std::string percent(double fraction, int decimals = 2);
/// A fixed number of decimals; NaN -> "-".
std::string fixed(double value, int decimals);
/// A few significant digits, as short as they go ("0.0005", "12.3"); NaN -> "-".
std::string compact(double value, int digits = 4);
/// 833076 -> "833,076".
std::string grouped(long long value);
/// p values: "0.034", "< 0.001".
std::string p_value(double p);

}  // namespace serenade::ser
