#pragma once
// Genotype: one architecture of a search space, written down (the word is from DARTS).
//
// On disk it is JSON that a person can read and edit; genotype_schema() is its JSON Schema:
//   {"schema": "serenade-genotype-1", "system": "CNN_GRU_att", "space_hash": "0123456789abcdef",
//    "choices": [{"layer": "conv1", "candidate": "2x8"}, ..]}

#include <cstdint>
#include <string>
#include <vector>

#include "nas/search_space.h"
#include "tensor/random.h"

namespace serenade {

struct Genotype {
  struct Decision {
    std::string choice;
    std::string candidate;
    bool operator==(const Decision&) const = default;
  };

  std::string system;               ///< which network the choices are for, e.g. "CNN_GRU_att"
  std::string space_hash;           ///< SearchSpace::hash() of the space it was chosen from
  std::vector<Decision> decisions;  ///< one per choice, in the space's order

  /// The candidate taken for a choice; throws std::invalid_argument naming the nearest choice.
  const std::string& candidate(const std::string& choice) const;
  /// "conv1=2x8 conv2=8x2 ..".
  std::string summary() const;
  bool operator==(const Genotype&) const = default;
};

/// An architecture by numbers: the index of the candidate taken, per choice.
using ChoiceIndices = std::vector<std::int64_t>;

/// The genotype that takes candidate indices[i] for choice i. Throws std::invalid_argument if out
/// of range.
Genotype make_genotype(const SearchSpace& space, const ChoiceIndices& indices);
/// The inverse. Throws like check_genotype.
ChoiceIndices choice_indices(const Genotype& genotype, const SearchSpace& space);

/// Throws std::invalid_argument, one line that begins with `source`, unless the genotype makes
/// exactly one known decision for each choice of the space and carries its hash (an empty hash is
/// accepted: a genotype written by hand, whose file leaves the key out).
void check_genotype(const Genotype& genotype, const SearchSpace& space,
                    const std::string& source = "genotype");

// JSON --------------------------------------------------------------------------------------------

/// The value of the key "schema".
inline constexpr const char* kGenotypeSchema = "serenade-genotype-1";
/// The JSON Schema (draft 2020-12) of a genotype file.
std::string genotype_schema();

std::string to_json(const Genotype& genotype);
/// Parses and checks the form only. Throws std::invalid_argument, one line: source, place or key,
/// what is wrong, and for an unknown key the nearest known one.
Genotype genotype_from_json(const std::string& text, const std::string& source = "genotype");

/// Throws std::runtime_error naming the file where it cannot be written (or read). The file appears
/// whole or not at all.
void write_genotype(const std::string& path, const Genotype& genotype);
Genotype read_genotype(const std::string& path);
/// Reads it and checks it against a space.
Genotype read_genotype(const std::string& path, const SearchSpace& space);

// All of them -------------------------------------------------------------------------------------

/// Architecture number `index` of 0 .. size() - 1; the last choice varies fastest.
Genotype genotype_at(const SearchSpace& space, std::int64_t index);
/// The number of an architecture: the inverse of genotype_at.
std::int64_t genotype_index(const Genotype& genotype, const SearchSpace& space);
/// All architectures in order. For spaces small enough to list.
std::vector<Genotype> enumerate_genotypes(const SearchSpace& space);
/// A uniformly random architecture.
Genotype random_genotype(const SearchSpace& space, const RandomKey& key);
/// `count` distinct ones, every order of every set equally likely (random search); throws if the
/// space has fewer.
std::vector<Genotype> random_genotypes(const SearchSpace& space, std::int64_t count,
                                       const RandomKey& key);

}  // namespace serenade
