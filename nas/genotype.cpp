#include "nas/genotype.h"

#include <algorithm>
#include <set>

#include "tensor/check.h"

namespace serenade {

namespace {

std::vector<std::string> layer_names(const Genotype& genotype) {
  std::vector<std::string> names;
  for (const Genotype::Choice& choice : genotype.choices) names.push_back(choice.layer);
  return names;
}

}  // namespace

const std::string& Genotype::candidate(const std::string& layer) const {
  for (const Choice& choice : choices) {
    if (choice.layer == layer) return choice.candidate;
  }
  throw std::invalid_argument("genotype: makes no choice for layer '" + layer +
                              "'; the nearest is '" + nearest_name(layer, layer_names(*this)) +
                              "'");
}

std::string Genotype::summary() const {
  std::string text;
  for (const Choice& choice : choices) {
    text += (text.empty() ? "" : " ") + choice.layer + "=" + choice.candidate;
  }
  return text;
}

Genotype make_genotype(const std::string& system, const SearchSpace& space,
                       const std::vector<std::int64_t>& choices) {
  check(choices.size() == space.layers.size(), "make_genotype",
        "there must be one choice per layer; got ", choices.size(), " for ", space.layers.size());
  Genotype genotype{.system = system, .space_hash = space.hash(), .choices = {}};
  for (std::size_t l = 0; l < choices.size(); ++l) {
    const MixedLayer& layer = space.layers[l];
    const auto n = static_cast<std::int64_t>(layer.candidates.size());
    check(0 <= choices[l] && choices[l] < n, "make_genotype", "the choice for layer '", layer.name,
          "' must be 0 .. ", n - 1, "; got ", choices[l]);
    genotype.choices.push_back(
        {layer.name, layer.candidates[static_cast<std::size_t>(choices[l])]});
  }
  return genotype;
}

void check_genotype(const Genotype& genotype, const SearchSpace& space, const std::string& source) {
  const char* op = source.c_str();
  std::vector<std::string> known;
  for (const MixedLayer& layer : space.layers) known.push_back(layer.name);

  std::set<std::string> chosen;
  for (const auto& [name, candidate] : genotype.choices) {
    const auto place = std::find(known.begin(), known.end(), name);
    check(place != known.end(), op, "choices: unknown layer '", name, "'; the nearest is '",
          nearest_name(name, known), "'");
    const MixedLayer& layer = space.layers[static_cast<std::size_t>(place - known.begin())];
    const auto& candidates = layer.candidates;
    check(std::find(candidates.begin(), candidates.end(), candidate) != candidates.end(), op,
          "choices: layer '", name, "' has no candidate '", candidate, "'; the nearest is '",
          nearest_name(candidate, candidates), "'");
    check(chosen.insert(name).second, op, "choices: layer '", name, "' is chosen for twice");
  }
  for (const std::string& name : known) {
    check(chosen.count(name) != 0, op, "choices: no choice for layer '", name, "'");
  }
  check(genotype.space_hash.empty() || genotype.space_hash == space.hash(), op,
        "space_hash: was chosen from another search space (", genotype.space_hash,
        "); this one is ", space.hash());
}

std::vector<std::int64_t> choice_indices(const Genotype& genotype, const SearchSpace& space) {
  check_genotype(genotype, space);
  std::vector<std::int64_t> indices;
  for (const MixedLayer& layer : space.layers) {
    indices.push_back(candidate_index(layer, genotype.candidate(layer.name)));
  }
  return indices;
}

Genotype genotype_at(const std::string& system, const SearchSpace& space, std::int64_t index) {
  check(0 <= index && index < space.size(), "genotype_at", "the index must be 0 .. ",
        space.size() - 1, "; got ", index);
  std::vector<std::int64_t> choices(space.layers.size());
  for (std::size_t l = choices.size(); l-- > 0;) {
    const auto n = static_cast<std::int64_t>(space.layers[l].candidates.size());
    choices[l] = index % n;
    index /= n;
  }
  return make_genotype(system, space, choices);
}

std::int64_t genotype_index(const Genotype& genotype, const SearchSpace& space) {
  const std::vector<std::int64_t> choices = choice_indices(genotype, space);
  std::int64_t index = 0;
  for (std::size_t l = 0; l < choices.size(); ++l) {
    index = index * static_cast<std::int64_t>(space.layers[l].candidates.size()) + choices[l];
  }
  return index;
}

std::vector<Genotype> enumerate_genotypes(const std::string& system, const SearchSpace& space) {
  std::vector<Genotype> all;
  all.reserve(static_cast<std::size_t>(space.size()));
  for (std::int64_t i = 0; i < space.size(); ++i) all.push_back(genotype_at(system, space, i));
  return all;
}

Genotype random_genotype(const std::string& system, const SearchSpace& space,
                         const RandomKey& key) {
  return genotype_at(system, space, random_integer(key, 0, space.size()));
}

std::vector<Genotype> random_genotypes(const std::string& system, const SearchSpace& space,
                                       std::int64_t count, const RandomKey& key) {
  check(0 <= count && count <= space.size(), "random_genotypes",
        "there must be that many architectures; got ", count, " of ", space.size());
  // Floyd's algorithm: `count` distinct numbers without a list of all of them. Step j draws from
  // 0 .. j and takes j itself where the drawn number is taken; every subset is equally likely.
  std::vector<std::int64_t> drawn;
  const auto taken = [&drawn](std::int64_t i) {
    return std::find(drawn.begin(), drawn.end(), i) != drawn.end();
  };
  for (std::int64_t j = space.size() - count; j < space.size(); ++j) {
    const std::int64_t i = random_integer(key, static_cast<std::uint64_t>(drawn.size()), j + 1);
    drawn.push_back(taken(i) ? j : i);
  }
  std::vector<Genotype> genotypes;
  for (const std::int64_t index : drawn) genotypes.push_back(genotype_at(system, space, index));
  return genotypes;
}

}  // namespace serenade
