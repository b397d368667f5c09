#include "tensor/csv.h"

#include <locale>
#include <stdexcept>

namespace serenade {

CsvTable::CsvTable(const std::vector<std::string>& columns, int digits) : columns_(columns.size()) {
  text_.imbue(std::locale::classic());
  text_.precision(digits);
  for (const std::string& column : columns) add(column);
}

CsvTable& CsvTable::add(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  const bool bordered = !text.empty() && (is_blank(text.front()) || is_blank(text.back()));
  if (!bordered && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    text_ << text;
    return end_field();
  }
  text_ << '"';
  for (const char c : text) text_ << (c == '"' ? "\"\"" : std::string_view(&c, 1));
  text_ << '"';
  return end_field();
}

CsvTable& CsvTable::end_field() {
  const bool last = ++fields_ == columns_;
  text_ << (last ? '\n' : ',');
  if (last) fields_ = 0;
  return *this;
}

std::string CsvTable::text() const {
  if (fields_ != 0) throw std::logic_error("CsvTable: the last line lacks fields");
  return text_.str();
}

}  // namespace serenade
