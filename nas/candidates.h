#pragma once
// Candidates: a table from a name to the layer it stands for. Adding one is adding a row.
//
//   skip_connect, none        the operations of DARTS that have no weights
//   conv_5x4                  a convolution with a kernel of 5 rows and 4 columns
//   width_48                  a dense layer of 48 outputs
//   max_pool_2x2              the largest value of each window
//
// In a search space whose choice has the kind "conv", the candidate is written "5x4"
// (Choice::kind).

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/layer.h"

namespace serenade {

/// Where a candidate stands in its network.
struct Site {
  std::int64_t in_channels = 0;  ///< or input features
  /// Not read by candidates whose name says their width.
  std::int64_t out_channels = 0;
  std::array<std::int64_t, 2> stride = {1, 1};
  /// Factor on the initial weights that the output is linear in (OneShot::initial_gain).
  real gain = 1;
};

class CandidateTable {
 public:
  struct Row {
    /// The name; each '*' stands for a whole number from 1 to 1,000,000: "conv_*x*".
    std::string pattern;
    std::string summary;  ///< one line
    /// numbers: those that stood for the '*', in order.
    std::function<std::unique_ptr<Layer>(const Site&, const std::vector<std::int64_t>& numbers)>
        make;
  };

  explicit CandidateTable(std::vector<Row> rows) : rows_(std::move(rows)) {}
  /// Throws std::invalid_argument where there is a row of this pattern.
  void add(Row row);

  /// The layer of that name; a row of just this name comes before those with a '*'. Throws
  /// std::invalid_argument naming the nearest row where there is none, or what the row says of a
  /// site that it does not fit.
  std::unique_ptr<Layer> make(const std::string& name, const Site& site) const;
  const std::vector<Row>& rows() const { return rows_; }

 private:
  std::vector<Row> rows_;
};

/// The rows listed above.
const CandidateTable& standard_candidates();

/// Multiplies the initial values of a weight by a gain.
void scale_weight(const Variable& weight, real gain);

/// "64" to 64; 1 .. 1,000,000.
std::int64_t parse_width(const std::string& candidate);

}  // namespace serenade
