#include "nn/data/number_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "tensor/check.h"
#include "tensor/json.h"
#include "tensor/text.h"

namespace serenade {

namespace {

constexpr std::size_t kNoColumn = static_cast<std::size_t>(-1);

std::optional<double> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);  // from_chars knows no plus
  double value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end != last || !std::isfinite(static_cast<real>(value))) return {};
  return value;
}

std::string_view without_blanks(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

class TableReader {
 public:
  TableReader(const std::string& path, const NumberTableOptions& options)
      : path_(path), options_(options) {}

  NumberTable read() {
    check(options_.separator != '"' && options_.separator != ' ' && options_.separator != '\n',
          "read_number_table", "a separator must be no quote, blank or line end");
    std::error_code error;
    const auto status = std::filesystem::status(path_, error);
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
      throw std::runtime_error(path_ + ": is not a regular file");
    }
    std::ifstream in(path_, std::ios::binary);
    if (!in) throw std::runtime_error(path_ + ": cannot be opened");
    std::string text;
    while (std::getline(in, text)) {
      ++line_;
      std::string_view line = text;
      if (line_ == 1 && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (without_blanks(line).empty()) continue;
      split(line);
      if (fields_ == 0) {
        begin();
      } else {
        add_row();
      }
    }
    if (in.bad()) throw std::runtime_error(path_ + ": cannot be read to its end");
    if (rows_ == 0) throw std::runtime_error(path_ + ": holds no row of numbers");
    const auto width = std::ssize(table_.columns);
    if (width == 0) throw std::runtime_error(path_ + ": holds no column but that of the labels");
    table_.values = Tensor::from(values_, {rows_, width});
    return std::move(table_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(path_ + ": line " + std::to_string(line_) + what);
  }
  [[noreturn]] void fail(std::size_t column, const std::string& what) const {
    fail(", column " + std::to_string(column + 1) + ": " + what);
  }

  // Into row_. In quotes a separator is a letter, and a doubled quote stands for one.
  void split(std::string_view line) {
    row_.clear();
    std::size_t at = 0;
    for (;;) {
      while (at < line.size() && line[at] == ' ') ++at;
      if (at < line.size() && line[at] == '"') {
        std::string field;
        for (++at;; ++at) {
          if (at >= line.size()) fail(row_.size(), "a quote is not closed on its line");
          if (line[at] == '"') {
            if (!line.substr(at + 1).starts_with('"')) break;
            ++at;
          }
          field += line[at];
        }
        row_.push_back(std::move(field));
        ++at;
        while (at < line.size() && line[at] == ' ') ++at;
        if (at < line.size() && line[at] != options_.separator) {
          fail(row_.size() - 1, "there is text behind its closing quote");
        }
      } else {
        const std::size_t end = std::min(line.find(options_.separator, at), line.size());
        row_.emplace_back(without_blanks(line.substr(at, end - at)));
        at = end;
      }
      if (at >= line.size()) return;
      ++at;
    }
  }

  // The first line: names of columns, or numbers already.
  void begin() {
    fields_ = row_.size();
    const auto is_number = [](const std::string& field) { return parse_number(field).has_value(); };
    const auto numbers = std::count_if(row_.begin(), row_.end(), is_number);
    const bool header = options_.header.value_or(numbers == 0);
    std::vector<std::string> names = row_;
    if (!header) {
      for (std::size_t i = 0; i < names.size(); ++i) names[i] = std::to_string(i);
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
          names.begin() + static_cast<std::ptrdiff_t>(i)) {
        fail(i, "the name " + json_quoted(names[i]) + " stands twice");
      }
    }
    if (!options_.label.empty()) {
      const auto found = std::find(names.begin(), names.end(), options_.label);
      if (found == names.end()) {
        throw std::runtime_error(path_ + ": no column named " + json_quoted(options_.label) +
                                 " for the labels; did you mean " +
                                 json_quoted(nearest_word(options_.label, names)) + "?");
      }
      label_ = static_cast<std::size_t>(found - names.begin());
      names.erase(found);
    }
    table_.columns = std::move(names);
    if (!header) add_row();
  }

  void add_row() {
    if (row_.size() != fields_) {
      fail(": has " + std::to_string(row_.size()) + " fields; the first line has " +
           std::to_string(fields_));
    }
    for (std::size_t i = 0; i < row_.size(); ++i) {
      const std::optional<double> value = parse_number(row_[i]);
      if (!value) fail(i, json_quoted(row_[i]) + " is not a finite number");
      if (i != label_) {
        values_.push_back(static_cast<real>(*value));
        continue;
      }
      constexpr double kMostExact = 9007199254740992;  // 2^53
      if (*value < 0 || *value > kMostExact || *value != std::floor(*value)) {
        fail(i, "a label must be a whole number from 0 on; got " + json_quoted(row_[i]));
      }
      table_.labels.push_back(static_cast<std::int64_t>(*value));
    }
    ++rows_;
  }

  const std::string& path_;
  const NumberTableOptions& options_;
  NumberTable table_;
  std::vector<real> values_;
  std::vector<std::string> row_;
  std::size_t fields_ = 0;  // of each line; 0 before the first
  std::size_t label_ = kNoColumn;
  std::int64_t rows_ = 0;
  std::int64_t line_ = 0;
};

}  // namespace

NumberTable read_number_table(const std::string& path, const NumberTableOptions& options) {
  return TableReader(path, options).read();
}

}  // namespace serenade
