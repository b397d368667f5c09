#pragma once
// SearchSpace: the architectures that a search chooses from.
//
// A space is a list of named choices, each with its named candidates. An architecture takes one
// candidate per choice, so there are (product of the numbers of candidates) architectures; the
// space of Wu et al. (ICASSP 2022, Table 1) has 6 * 6 * 6 * 6 * 4 = 5,184.

#include <cstdint>
#include <string>
#include <vector>

namespace serenade {

/// A decision to be taken: the form of one layer, or of several layers that are to be alike.
struct Choice {
  std::string name;
  /// As genotypes write them: "2x8", "64", "skip_connect".
  std::vector<std::string> candidates;
  /// The choices whose layers this one reads, for drawing only; empty: the one before (the input
  /// for the first). The network's input is called "input".
  std::vector<std::string> inputs = {};
  /// What the candidates are, where their names do not say it: with "conv", candidate "2x8" is the
  /// row "conv_2x8" of the table of candidates (candidates.h). Not part of the hash.
  std::string kind = {};

  std::int64_t size() const { return static_cast<std::int64_t>(candidates.size()); }
  /// Position of a candidate; throws std::invalid_argument naming the nearest one there is.
  std::int64_t index_of(const std::string& candidate) const;
  /// The name of a candidate's row: "conv_2x8".
  std::string row_name(const std::string& candidate) const;
};

struct SearchSpace {
  std::vector<Choice> choices = {};
  std::string system = {};  ///< the network that the choices are for; not part of the hash

  /// Number of architectures; throws std::invalid_argument where it does not fit in 63 bits.
  std::int64_t size() const;
  /// Whether it does.
  bool is_countable() const;

  /// 16 hexadecimal digits that depend on the names and candidates and their order (64-bit FNV-1a),
  /// on no machine and no compiler: tells whether a genotype belongs to this space.
  std::string hash() const;

  /// Throws std::invalid_argument unless there is a choice, names are unique and not empty, every
  /// choice has a candidate, none has one twice, and `inputs` names earlier choices or "input".
  void validate() const;

  /// Position of a choice; throws std::invalid_argument naming the nearest one there is.
  std::size_t index_of(const std::string& name) const;
  /// The choice of that name; throws likewise.
  const Choice& choice(const std::string& name) const { return choices[index_of(name)]; }
};

}  // namespace serenade
