#pragma once
// Tables of numbers in CSV files.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nn/data/dataset.h"
#include "tensor/tensor.h"

namespace serenade {

struct NumberTable {
  std::vector<std::string>
      columns;    ///< names of the columns of values; "0", "1", .. without header
  Tensor values;  ///< [rows, columns]
  std::vector<std::int64_t> labels;  ///< [rows]; empty where no column was named for them

  /// Rows as samples: inputs [columns] and labels.
  TensorDataset dataset() const { return TensorDataset(values, labels); }
};

struct NumberTableOptions {
  /// The column that holds the class of each row, a whole number from 0 on. It is no column of
  /// values. Empty: there are no labels.
  std::string label = {};
  char separator = ',';
  /// Whether the first line names the columns. Not given: it does where none of its fields is a
  /// number.
  std::optional<bool> header = std::nullopt;
};

/// Reads a CSV file of finite numbers: one row a line, the same number of fields in each, blank
/// lines left out; lines end in \n or \r\n; a field may stand in quotes. Throws std::runtime_error,
/// one line: "path: line 3, column 2: '1x' is not a finite number".
NumberTable read_number_table(const std::string& path, const NumberTableOptions& options = {});

}  // namespace serenade
