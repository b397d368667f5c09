#pragma once
// What a table of results says after one epoch, as arrays: statistics and replays look at it
// thousands of times.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "nas/result_table.h"

namespace serenade {

struct TableScores {
  std::vector<ChoiceIndices> architectures;  ///< in the order of their indices
  std::vector<std::int64_t> seeds;
  std::vector<std::string> parts;
  std::vector<double> right;  ///< share per [architecture, seed, part]
  std::vector<double> total;  ///< recordings per part

  double share(std::size_t architecture, std::size_t seed, std::size_t part) const {
    return right[(architecture * seeds.size() + seed) * parts.size() + part];
  }
  /// right / total of one training, part p counting weight[p] times: 1 each for what was measured,
  /// else how often a resample has drawn it.
  double score(std::size_t architecture, std::size_t seed, const std::vector<double>& weight) const;
  /// Of all architectures; and on average over the seeds.
  std::vector<double> scores(std::size_t seed, const std::vector<double>& weight) const;
  std::vector<double> mean_scores(const std::vector<double>& weight) const;

  std::vector<double> all_parts() const { return std::vector<double>(parts.size(), 1); }
};

/// Of the architectures that have every seed of the table, on every one of these parts, after that
/// epoch; others are left out. Throws std::invalid_argument where a part has not the same total in
/// all rows, or has none, or there are no parts.
TableScores table_scores(const ResultTable& table, std::int64_t epoch,
                         const std::set<std::string>& parts);

/// How often each of `count` is drawn by a resample of as many with replacement: resample number
/// `number` of a seed; `what` keeps apart what is resampled for itself.
std::vector<double> resample_weights(std::size_t count, std::uint64_t seed, std::uint64_t number,
                                     std::uint64_t what = 0);

}  // namespace serenade
