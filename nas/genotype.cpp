#include "nas/genotype.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "tensor/check.h"
#include "tensor/text.h"

namespace serenade {

namespace {

std::vector<std::string> choice_names(const Genotype& genotype) {
  std::vector<std::string> names;
  for (const Genotype::Decision& decision : genotype.decisions) names.push_back(decision.choice);
  return names;
}

}  // namespace

const std::string& Genotype::candidate(const std::string& choice) const {
  for (const Decision& decision : decisions) {
    if (decision.choice == choice) return decision.candidate;
  }
  throw std::invalid_argument("genotype: decides nothing for choice '" + choice +
                              "'; the nearest is '" + nearest_word(choice, choice_names(*this)) +
                              "'");
}

std::string Genotype::summary() const {
  std::string text;
  for (const auto& [choice, candidate] : decisions) {
    text += (text.empty() ? "" : " ") + choice + "=" + candidate;
  }
  return text;
}

Genotype make_genotype(const SearchSpace& space, const ChoiceIndices& indices) {
  check(indices.size() == space.choices.size(), "make_genotype",
        "there must be one candidate per choice; got ", indices.size(), " for ",
        space.choices.size());
  Genotype genotype{.system = space.system, .space_hash = space.hash(), .decisions = {}};
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const Choice& choice = space.choices[i];
    check(0 <= indices[i] && indices[i] < choice.size(), "make_genotype",
          "the candidate for choice '", choice.name, "' must be 0 .. ", choice.size() - 1, "; got ",
          indices[i]);
    genotype.decisions.push_back(
        {choice.name, choice.candidates[static_cast<std::size_t>(indices[i])]});
  }
  return genotype;
}

void check_genotype(const Genotype& genotype, const SearchSpace& space, const std::string& source) {
  const char* op = source.c_str();
  std::vector<std::string> known;
  for (const Choice& choice : space.choices) known.push_back(choice.name);

  std::set<std::string> decided;
  for (const auto& [name, candidate] : genotype.decisions) {
    const auto position = std::find(known.begin(), known.end(), name);
    check(position != known.end(), op, "choices: unknown layer '", name, "'; the nearest is '",
          nearest_word(name, known), "'");
    const std::vector<std::string>& candidates =
        space.choices[static_cast<std::size_t>(position - known.begin())].candidates;
    check(std::find(candidates.begin(), candidates.end(), candidate) != candidates.end(), op,
          "choices: layer '", name, "' has no candidate '", candidate, "'; the nearest is '",
          nearest_word(candidate, candidates), "'");
    check(decided.insert(name).second, op, "choices: layer '", name, "' is chosen for twice");
  }
  for (const std::string& name : known) {
    check(decided.contains(name), op, "choices: no choice for layer '", name, "'");
  }
  check(genotype.space_hash.empty() || genotype.space_hash == space.hash(), op,
        "space_hash: was chosen from another search space (", genotype.space_hash,
        "); this one is ", space.hash());
}

ChoiceIndices choice_indices(const Genotype& genotype, const SearchSpace& space) {
  check_genotype(genotype, space);
  ChoiceIndices indices;
  for (const Choice& choice : space.choices) {
    indices.push_back(choice.index_of(genotype.candidate(choice.name)));
  }
  return indices;
}

Genotype genotype_at(const SearchSpace& space, std::int64_t index) {
  check(0 <= index && index < space.size(), "genotype_at", "the index must be 0 .. ",
        space.size() - 1, "; got ", index);
  std::vector<std::int64_t> indices(space.choices.size());
  for (std::size_t i = indices.size(); i-- > 0;) {
    const std::int64_t n = space.choices[i].size();
    indices[i] = index % n;
    index /= n;
  }
  return make_genotype(space, indices);
}

std::int64_t genotype_index(const Genotype& genotype, const SearchSpace& space) {
  const std::vector<std::int64_t> indices = choice_indices(genotype, space);
  static_cast<void>(space.size());  // throws where the numbers do not fit
  std::int64_t index = 0;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    index = index * space.choices[i].size() + indices[i];
  }
  return index;
}

std::vector<Genotype> enumerate_genotypes(const SearchSpace& space) {
  std::vector<Genotype> all;
  all.reserve(static_cast<std::size_t>(space.size()));
  for (std::int64_t i = 0; i < space.size(); ++i) all.push_back(genotype_at(space, i));
  return all;
}

namespace {

// For spaces whose architectures have no numbers: number `index` of a stream, choice by choice.
Genotype draw_by_choice(const SearchSpace& space, const RandomKey& key, std::int64_t index) {
  std::vector<std::int64_t> indices;
  std::uint64_t element = static_cast<std::uint64_t>(index) * space.choices.size();
  for (const Choice& choice : space.choices) {
    indices.push_back(random_integer(key, element++, choice.size()));
  }
  return make_genotype(space, indices);
}

}  // namespace

Genotype random_genotype(const SearchSpace& space, const RandomKey& key) {
  if (!space.is_countable()) return draw_by_choice(space, key, 0);
  return genotype_at(space, random_integer(key, 0, space.size()));
}

std::vector<Genotype> random_genotypes(const SearchSpace& space, std::int64_t count,
                                       const RandomKey& key) {
  check(count >= 0, "random_genotypes", "the number must not be negative; got ", count);
  std::vector<Genotype> genotypes;
  if (!space.is_countable()) {  // two alike are rare, and left out
    for (std::int64_t i = 0; std::ssize(genotypes) < count; ++i) {
      Genotype drawn = draw_by_choice(space, key, i);
      if (std::find(genotypes.begin(), genotypes.end(), drawn) == genotypes.end()) {
        genotypes.push_back(std::move(drawn));
      }
    }
    return genotypes;
  }
  check(count <= space.size(), "random_genotypes", "there must be that many architectures; got ",
        count, " of ", space.size());
  // Floyd's algorithm: `count` distinct numbers without a list of all of them. Step j draws from
  // 0 .. j and takes j itself where the drawn number is taken. A new number goes to the front, j
  // behind the number in whose place it came: so every order is equally likely as well (Bentley,
  // "Programming pearls: a sample of brilliance", Communications of the ACM 30, 1987).
  std::vector<std::int64_t> drawn;
  for (std::int64_t j = space.size() - count; j < space.size(); ++j) {
    const std::int64_t i = random_integer(key, static_cast<std::uint64_t>(drawn.size()), j + 1);
    const auto taken = std::find(drawn.begin(), drawn.end(), i);
    if (taken == drawn.end()) {
      drawn.insert(drawn.begin(), i);
    } else {
      drawn.insert(taken + 1, j);
    }
  }
  genotypes.reserve(drawn.size());
  for (const std::int64_t index : drawn) genotypes.push_back(genotype_at(space, index));
  return genotypes;
}

}  // namespace serenade
