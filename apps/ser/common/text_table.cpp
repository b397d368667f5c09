#include "apps/ser/common/text_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tensor/check.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

std::string printed(const char* format, int decimals, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, decimals, value);
  return buffer;
}

std::string padded(const std::string& cell, int width, Align align) {
  const std::string blanks(static_cast<std::size_t>(std::max(0, width - display_width(cell))), ' ');
  return align == Align::left ? cell + blanks : blanks + cell;
}

std::string without_trailing_blanks(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string markdown_cell(const std::string& cell) {
  std::string out;
  for (const char c : cell) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace

TextTable::TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

void TextTable::add_row(std::vector<std::string> cells) {
  check(cells.size() <= columns_.size(), "text table", "a row must fit ", columns_.size(),
        " columns; got ", cells.size());
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

void TextTable::add_rule() { rows_.emplace_back(); }

std::string TextTable::to_text() const {
  std::vector<int> widths;
  int whole = 0;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    int width = display_width(columns_[c].title);
    for (const auto& row : rows_) {
      if (!row.empty()) width = std::max(width, display_width(row[c]));
    }
    widths.push_back(width);
    whole += width + (c > 0 ? 2 : 0);
  }
  const std::string rule = std::string(static_cast<std::size_t>(whole), '-') + "\n";
  std::string line;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (c > 0) line += "  ";
    line += padded(columns_[c].title, widths[c], columns_[c].align);
  }
  std::string text = without_trailing_blanks(line) + rule;
  for (const auto& row : rows_) {
    if (row.empty()) {
      text += rule;
      continue;
    }
    line.clear();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) line += "  ";
      line += padded(row[c], widths[c], columns_[c].align);
    }
    text += without_trailing_blanks(line);
  }
  return text;
}

std::string TextTable::to_markdown() const {
  std::string text = "|", rule = "|";
  for (const Column& column : columns_) {
    text += " " + markdown_cell(column.title) + " |";
    rule += column.align == Align::left ? "---|" : "---:|";
  }
  text += "\n" + rule + "\n";
  for (const auto& row : rows_) {
    if (row.empty()) continue;
    text += "|";
    for (const std::string& cell : row) text += " " + markdown_cell(cell) + " |";
    text += "\n";
  }
  return text;
}

std::string percent(double fraction, int decimals) { return fixed(100 * fraction, decimals); }

std::string fixed(double value, int decimals) {
  return std::isfinite(value) ? printed("%.*f", decimals, value) : "-";
}

std::string compact(double value, int digits) {
  return std::isfinite(value) ? printed("%.*g", digits, value) : "-";
}

std::string grouped(long long value) {
  std::string digits = std::to_string(value < 0 ? -value : value);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3) {
    digits.insert(static_cast<std::size_t>(i), ",");
  }
  return (value < 0 ? "-" : "") + digits;
}

std::string p_value(double p) {
  if (!std::isfinite(p)) return "-";
  return p < 0.001 ? "< 0.001" : fixed(p, 3);
}

}  // namespace serenade::ser
