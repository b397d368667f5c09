#include "nas/result_table.h"

#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "tensor/check.h"
#include "tensor/csv.h"
#include "tensor/files.h"

namespace serenade {

namespace {

constexpr int kDigits = 17;  // a loss is read back to the bit
const std::vector<std::string> kColumns = {"seed", "epoch", "part", "loss", "right", "total"};

void check_field(const std::string& what, const std::string& text) {
  check(!text.empty() && text.find_first_of(",\"\r\n") == std::string::npos, "table", what,
        " must be a text without comma, quote and line end; got '", text, "'");
}

std::vector<std::string> fields_of(std::string_view line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

template <class Number>
Number number(const std::string& field, const std::string& column) {
  Number value{};
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  check(error == std::errc() && end == field.data() + field.size(), column.c_str(),
        "must be a number; got '", field, "'");
  return value;
}

}  // namespace

ResultTable::ResultTable(const SearchSpace& space) : space_(space) {
  space_.validate();
  for (const Choice& choice : space_.choices) {
    check_field("the name of a choice", choice.name);
    for (const std::string& candidate : choice.candidates) {
      check_field("a candidate of " + choice.name, candidate);
    }
  }
}

void ResultTable::add(const ResultRow& row) {
  make_genotype(space_, row.architecture);  // checks the indices
  check_field("the part of a row", row.part);
  check(row.epoch > 0, "row", "epochs count from 1; got ", row.epoch);
  check(std::isfinite(row.loss), "row", "a loss must be finite; got ", row.loss);
  check(0 <= row.right && row.right <= row.total, "row",
        "what was right must be 0 .. the total; got ", row.right, " of ", row.total);
  results_[{row.architecture, row.seed, row.epoch, row.part}] = {row.loss, row.right, row.total};
  seeds_.insert(row.seed);
  parts_.insert(row.part);
  last_epoch_ = std::max(last_epoch_, row.epoch);
}

std::vector<Genotype> ResultTable::genotypes() const {
  std::vector<Genotype> found;
  const ChoiceIndices* last = nullptr;
  for (const auto& [key, result] : results_) {
    const ChoiceIndices& architecture = std::get<0>(key);
    if (last == nullptr || *last != architecture) {
      found.push_back(make_genotype(space_, architecture));
    }
    last = &architecture;
  }
  return found;
}

std::int64_t ResultTable::rows_of(const Genotype& genotype, std::int64_t seed) const {
  const ChoiceIndices indices = choice_indices(genotype, space_);
  std::int64_t rows = 0;
  for (auto row = results_.lower_bound({indices, seed, 0, {}});
       row != results_.end() && std::get<0>(row->first) == indices &&
       std::get<1>(row->first) == seed;
       ++row) {
    ++rows;
  }
  return rows;
}

std::optional<ResultTable::Counts> ResultTable::counts(const ChoiceIndices& architecture,
                                                       std::int64_t seed, std::int64_t epoch,
                                                       const std::string& part) const {
  const auto found = results_.find({architecture, seed, epoch, part});
  if (found == results_.end()) return std::nullopt;
  return Counts{found->second.right, found->second.total};
}

std::optional<double> ResultTable::score(const Genotype& genotype, std::int64_t seed,
                                         std::int64_t epoch,
                                         const std::set<std::string>& parts) const {
  Key key{choice_indices(genotype, space_), seed, epoch, {}};
  std::int64_t right = 0, total = 0;
  for (const std::string& part : parts) {
    std::get<3>(key) = part;
    const auto found = results_.find(key);
    if (found == results_.end()) return std::nullopt;
    right += found->second.right;
    total += found->second.total;
  }
  if (total == 0) return std::nullopt;
  return static_cast<double>(right) / static_cast<double>(total);
}

std::string ResultTable::header() const {
  std::vector<std::string> columns;
  for (const Choice& choice : space_.choices) columns.push_back(choice.name);
  columns.insert(columns.end(), kColumns.begin(), kColumns.end());
  return CsvTable(columns).text();
}

std::string ResultTable::line(const ResultRow& row) const {
  // The table's own first line is not wanted here.
  const std::string first = header();
  CsvTable table(fields_of(std::string_view(first).substr(0, first.size() - 1)), kDigits);
  for (std::size_t l = 0; l < space_.choices.size(); ++l) {
    const Choice& choice = space_.choices[l];
    table.add(choice.candidates.at(static_cast<std::size_t>(row.architecture.at(l))));
  }
  table.add(row.seed).add(row.epoch).add(row.part).add(row.loss).add(row.right).add(row.total);
  return table.text().substr(first.size());
}

ResultTable ResultTable::from_csv(const std::string& text, const SearchSpace& space,
                                  const std::string& source) {
  ResultTable table(space);
  const std::size_t choices = space.choices.size();
  std::size_t line_number = 0, begin = 0;
  try {
    while (begin < text.size() || line_number == 0) {
      ++line_number;
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      std::string line = text.substr(begin, end - begin);
      begin = end + 1;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (line_number == 1) {
        check(line + "\n" == table.header(), "columns", "must be ",
              table.header().substr(0, table.header().size() - 1), "; got ", line.substr(0, 200));
        continue;
      }
      const std::vector<std::string> fields = fields_of(line);
      check(fields.size() == choices + kColumns.size(), "fields", "there must be ",
            choices + kColumns.size(), "; got ", fields.size());
      ResultRow row;
      for (std::size_t l = 0; l < choices; ++l) {
        row.architecture.push_back(space.choices[l].index_of(fields[l]));
      }
      row.seed = number<std::int64_t>(fields[choices], "seed");
      row.epoch = number<std::int64_t>(fields[choices + 1], "epoch");
      row.part = fields[choices + 2];
      row.loss = number<double>(fields[choices + 3], "loss");
      row.right = number<std::int64_t>(fields[choices + 4], "right");
      row.total = number<std::int64_t>(fields[choices + 5], "total");
      const auto known = table.results_.find({row.architecture, row.seed, row.epoch, row.part});
      check(known == table.results_.end() ||
                (known->second.loss == row.loss && known->second.right == row.right &&
                 known->second.total == row.total),
            "row", "the same training, epoch and part stand above with other results");
      table.add(row);
    }
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(source + ":" + std::to_string(line_number) + ": " + error.what());
  }
  return table;
}

// On disk -----------------------------------------------------------------------------------------

namespace {

// The whole lines of the file. What a kill has left of a line is cut off; a file that does not
// begin as a table does is left as it is, for the reader to refuse.
std::string whole_lines(const std::string& path, const std::string& header) {
  const std::string text = std::filesystem::exists(path) ? read_file(path) : "";
  std::string whole = header.starts_with(text)   ? header
                      : text.starts_with(header) ? text.substr(0, text.rfind('\n') + 1)
                                                 : text;
  if (whole == text) return whole;
  // In place: a new file of that name would not be the one that is locked.
  if (whole.size() < text.size()) {
    std::filesystem::resize_file(path, whole.size());
  } else {
    std::ofstream(path, std::ios::trunc | std::ios::binary) << whole;
  }
  synchronise_file(path);
  return whole;
}

// A file system without locks is done without.
Descriptor hold(const std::string& path) {
  Descriptor file(path, O_RDWR | O_CREAT, 0644);
  if (!file.valid()) {
    throw std::runtime_error(path + ": cannot be written: " + std::strerror(errno));
  }
  check(flock(file.number(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK, path.c_str(),
        "another process is writing into it; wait for its end, or choose another table");
  return file;
}

}  // namespace

ResultFile::ResultFile(std::string path, const SearchSpace& space)
    : path_(std::move(path)),
      held_(hold(path_)),
      table_(ResultTable::from_csv(whole_lines(path_, ResultTable(space).header()), space, path_)) {
}

void ResultFile::append(const std::vector<ResultRow>& rows) {
  ResultTable checked(table_.space());
  std::string text;
  for (const ResultRow& row : rows) {
    checked.add(row);
    text += table_.line(row);
  }
  std::ofstream file(path_, std::ios::app | std::ios::binary);
  file << text << std::flush;
  if (!file) throw std::runtime_error(path_ + ": cannot be written");
  file.close();
  synchronise_file(path_);
  for (const ResultRow& row : rows) table_.add(row);
}

}  // namespace serenade
