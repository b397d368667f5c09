#include "nas/builder.h"

#include <algorithm>
#include <utility>

#include "nas/one_shot.h"
#include "tensor/check.h"

namespace serenade {

Builder::Builder(const OneShot& method, const CandidateTable& table)
    : Builder(
          method.space(), [&method](std::int64_t n) { return method.initial_gain(n); }, table) {
  mixed_layer.entangle = method.shares_kernels();
}

Builder::Builder(const SearchSpace& space, InitialGain gain, const CandidateTable& table)
    : space_(space), gain_(std::move(gain)), table_(table) {
  space_.validate();
}

Builder::Builder(const SearchSpace& space, const Genotype& genotype, const CandidateTable& table)
    : space_(space), genotype_(genotype), table_(table) {
  space_.validate();
  check_genotype(genotype, space_);
}

std::unique_ptr<Layer> Builder::choose(const std::string& choice, const Site& site) {
  const Choice& chosen = space_.choice(choice);
  return choose(choice, [&](const std::string& candidate, real gain) {
    Site here = site;
    here.gain = gain;
    return table_.make(chosen.row_name(candidate), here);
  });
}

std::unique_ptr<Layer> Builder::choose(const std::string& choice, const MakeCandidate& make) {
  const Choice& chosen = space_.choice(choice);
  const auto made = [&](const std::string& candidate, real gain) {
    std::unique_ptr<Layer> layer = make(candidate, gain);
    check(layer != nullptr, "Builder", "no layer was made for candidate '", candidate,
          "' of choice '", choice, "'");
    return layer;
  };
  if (genotype_) return made(genotype_->candidate(choice), 1);
  std::shared_ptr<SupernetChoice>& shared = choices_[choice];
  if (!shared) shared = std::make_shared<SupernetChoice>(chosen);
  const real gain = gain_ ? gain_(chosen.size()) : real(1);
  std::vector<std::unique_ptr<Layer>> candidates;
  for (const std::string& candidate : chosen.candidates)
    candidates.push_back(made(candidate, gain));
  return std::make_unique<MixedLayer>(shared, std::move(candidates), mixed_layer);
}

std::optional<std::string> Builder::decided(const std::string& choice) const {
  const Choice& chosen = space_.choice(choice);
  if (!genotype_) return std::nullopt;
  return genotype_->candidate(chosen.name);
}

std::int64_t Builder::width(const std::string& choice) const {
  if (genotype_) return parse_width(genotype_->candidate(choice));
  std::int64_t widest = 0;
  for (const std::string& candidate : space_.choice(choice).candidates) {
    widest = std::max(widest, parse_width(candidate));
  }
  return widest;
}

}  // namespace serenade
