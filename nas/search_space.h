#pragma once
// SearchSpace: the architectures that a search chooses from.
//
// A space is an ordered list of mixed layers, each with its candidates. An architecture names one
// candidate per layer, so there are (product of the numbers of candidates) architectures; the space
// of Wu et al. (ICASSP 2022, Table 1) has 6 * 6 * 6 * 6 * 4 = 5,184.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace serenade {

/// A layer whose form is searched for. A candidate is text: "2x8" for a kernel, "64" for a width.
struct MixedLayer {
  std::string name;
  std::vector<std::string> candidates;
  /// The layers this one reads, for drawing only; empty: the one before (the input for the first).
  /// The network's input is called "input".
  std::vector<std::string> inputs = {};
};

struct SearchSpace {
  std::vector<MixedLayer> layers;

  /// Number of architectures.
  std::int64_t size() const;

  /// 16 hexadecimal digits that depend on the names and candidates and their order (64-bit FNV-1a),
  /// on no machine and no compiler: tells whether a genotype belongs to this space.
  std::string hash() const;

  /// Throws std::invalid_argument unless there is a layer, names are unique and not empty, every
  /// layer has a candidate, no layer has one twice, and `inputs` names earlier layers or "input".
  void validate() const;

  /// Index of a layer; throws std::invalid_argument naming the nearest layer there is.
  std::size_t layer_index(const std::string& name) const;
};

/// Index of a candidate of a layer; throws std::invalid_argument naming the nearest one there is.
std::int64_t candidate_index(const MixedLayer& layer, const std::string& candidate);

/// "2x8" to {2, 8}: rows (frequency), then columns (time), each 1 .. 999. Throws
/// std::invalid_argument saying what is wrong with the text.
std::array<std::int64_t, 2> parse_kernel(const std::string& candidate);
/// "64" to 64; 1 .. 1,000,000.
std::int64_t parse_width(const std::string& candidate);
/// {2, 8} to "2x8".
std::string kernel_name(const std::array<std::int64_t, 2>& kernel);

/// The name that takes the fewest single-letter changes (Levenshtein distance) to become `name`;
/// empty if `known` is empty. For error messages.
std::string nearest_name(const std::string& name, const std::vector<std::string>& known);

}  // namespace serenade
