// A genotype file, which people write and edit.

#include "nas/genotype.h"

#include "apps/ser/models/recognizer.h"
#include "tests/fuzz/target.h"

namespace serenade::fuzz {

namespace {

std::vector<std::string> seeds() {
  std::vector<std::string> texts;
  for (const ser::SystemRow& system : ser::systems()) {
    texts.push_back(to_json(system.baseline({.name = system.name})));
  }
  return texts;
}

void run(const std::string& input) {
  Genotype genotype;
  if (!refusal([&] { genotype = genotype_from_json(input, "genotype.json"); }).empty()) return;
  if (genotype_from_json(to_json(genotype)) != genotype) {
    fault("another genotype after writing and reading: " + to_json(genotype));
  }
  for (const ser::SystemRow& system : ser::systems()) {
    const SearchSpace space = system.search_space({.name = system.name});
    refusal([&] { choice_indices(genotype, space); });
  }
}

}  // namespace

Target genotype_target() {
  return {.name = "genotype",
          .seeds = seeds,
          .run = run,
          .words = {"\"schema\"", "\"system\"", "\"space_hash\"", "\"choices\"", "\"layer\"",
                    "\"candidate\"", kGenotypeSchema, "\\ud800"}};
}

}  // namespace serenade::fuzz
