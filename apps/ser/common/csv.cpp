#include "apps/ser/common/csv.h"

#include <algorithm>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/names.h"
#include "apps/ser/common/utf8.h"

namespace serenade::ser {

void refuse_row(const std::string& path, int line, const std::string& problem) {
  throw InputError(shown(path) + ":" + std::to_string(line) + ": " + problem);
}

namespace {

// From UTF-16, whose byte order mark has been seen.
std::string utf8_of(const std::string& path, std::string_view bytes, bool little_endian) {
  const auto unit = [&](std::size_t i) {
    const auto low = static_cast<unsigned char>(bytes[little_endian ? i : i + 1]);
    const auto high = static_cast<unsigned char>(bytes[little_endian ? i + 1 : i]);
    return static_cast<std::uint32_t>(high << 8 | low);
  };
  std::string text;
  int line = 1;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    if (i + 1 == bytes.size()) refuse_row(path, line, "ends within a character of UTF-16");
    std::uint32_t value = unit(i);
    if (value >= 0xd800 && value < 0xe000) {  // one of a pair
      const std::uint32_t second = value < 0xdc00 && i + 3 < bytes.size() ? unit(i + 2) : 0;
      if (second < 0xdc00 || second > 0xdfff) refuse_row(path, line, "is not UTF-16");
      value = 0x10000 + ((value - 0xd800) << 10) + (second - 0xdc00);
      i += 2;
    }
    if (value == '\n') ++line;
    append_utf8(text, value);
  }
  return text;
}

// The text without its byte order mark.
std::string decoded(const std::string& path, std::string_view bytes) {
  if (bytes.starts_with("\xff\xfe")) return utf8_of(path, bytes.substr(2), true);
  if (bytes.starts_with("\xfe\xff")) return utf8_of(path, bytes.substr(2), false);
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
  return std::string(bytes);
}

void check_characters(const std::string& path, std::string_view text) {
  int line = 1;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (point.bytes == 0) {
      refuse_row(path, line,
                 "is not UTF-8: '" +
                     shown(text.substr(0, std::min<std::size_t>(12, text.find('\n')))) +
                     "'; save it as UTF-8, or convert it: iconv -f LATIN1 -t UTF-8");
    }
    if (point.value == 0) {
      refuse_row(path, line, "holds a zero byte; save it as UTF-8, not as UTF-16 or a spreadsheet");
    }
    const bool mac = point.value == '\r' && (text.size() == 1 || text[1] != '\n');
    if (point.value == '\n' || mac) ++line;
    text.remove_prefix(point.bytes);
  }
}

// Commas, unless the first line has none and has another separator.
char separator_of(std::string_view text) {
  const std::string_view first = text.substr(0, text.find_first_of("\r\n"));
  for (const char separator : {',', ';', '\t'}) {
    if (first.find(separator) != std::string_view::npos) return separator;
  }
  return ',';
}

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

class CsvParser {
 public:
  CsvParser(const std::string& path, std::string_view text)
      : path_(path), text_(text), separator_(separator_of(text)) {}

  std::vector<CsvRow> parse() {
    row_.line = line_;
    for (at_ = 0; at_ < text_.size(); ++at_) {
      if (++row_bytes_ > kLongestCsvRow) {
        refuse_row(path_, row_.line,
                   "the row is longer than " + std::to_string(kLongestCsvRow) +
                       " bytes; is a quote not closed?");
      }
      quoted_ ? take_quoted(text_[at_]) : take(text_[at_]);
    }
    if (quoted_) refuse_row(path_, row_.line, "a quote is not closed");
    end_row();
    return std::move(rows_);
  }

 private:
  bool next_is(char c) const { return at_ + 1 < text_.size() && text_[at_ + 1] == c; }

  bool ends_line(char c) const { return c == '\n' || (c == '\r' && !next_is('\n')); }

  void take_quoted(char c) {
    if (ends_line(c)) ++line_;
    if (c != '"') {
      field_ += c;
    } else if (next_is('"')) {
      field_ += text_[++at_];
    } else {
      quoted_ = false;
    }
  }

  void take(char c) {
    if (ends_line(c)) {
      ++line_;
      end_row();
    } else if (c == '"' && !was_quoted_ && trimmed(field_).empty()) {
      field_.clear();
      quoted_ = was_quoted_ = true;
    } else if (c == separator_) {
      end_field();
    } else if (c != '\r' && !(was_quoted_ && (c == ' ' || c == '\t'))) {
      if (was_quoted_) {
        refuse_row(path_, line_, "text after a closing quote; double the quotes inside");
      }
      field_ += c;
    }
  }

  void end_field() {
    if (row_.fields.size() == kMostCsvFields) {
      refuse_row(path_, row_.line,
                 "the row has more than " + std::to_string(kMostCsvFields) + " fields");
    }
    row_.fields.push_back(was_quoted_ ? field_ : trimmed(field_));
    field_.clear();
    was_quoted_ = false;
  }

  void end_row() {
    end_field();
    const bool blank = row_.fields.size() == 1 && row_.fields.front().empty();
    if (!blank) rows_.push_back(std::move(row_));
    row_ = {};
    row_.line = line_;
    row_bytes_ = 0;
  }

  const std::string& path_;
  std::string_view text_;
  char separator_;
  std::size_t at_ = 0, row_bytes_ = 0;
  int line_ = 1;
  bool quoted_ = false, was_quoted_ = false;
  std::string field_;
  CsvRow row_;
  std::vector<CsvRow> rows_;
};

}  // namespace

std::vector<CsvRow> read_csv(const std::string& path) {
  return parse_csv(path, read_text_file(path));
}

std::vector<CsvRow> parse_csv(const std::string& path, std::string_view bytes) {
  const std::string text = decoded(path, bytes);
  check_characters(path, text);
  return CsvParser(path, text).parse();
}

}  // namespace serenade::ser
