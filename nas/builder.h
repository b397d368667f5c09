#pragma once
// Builder: writes a network once for both of its lives. Where the network has a choice it asks the
// builder; in a supernet it gets the mixture of all candidates, in a child the one that the
// genotype names.
//
//   struct Net : Module {
//     std::unique_ptr<Layer> conv, dense;
//     Linear out;
//     explicit Net(Builder& builder)
//         : conv(builder.choose("conv", {.in_channels = 1, .out_channels = 8})),
//           dense(builder.choose("dense", {.in_channels = 8})),
//           out({.in_features = builder.width("dense"), .out_features = 4}) { register_module.. }
//   };
//   Builder all(*method), one(space, genotype);     method: a OneShot (one_shot.h)
//   Net supernet(all), child(one);

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "nas/candidates.h"
#include "nas/genotype.h"
#include "nas/mixed_layer.h"

namespace serenade {

class OneShot;

/// For one network: the layers that a builder has made share their choices.
class Builder {
 public:
  /// Makes one candidate, and applies the gain to its initial weights (scale_weight); see Site.
  using MakeCandidate =
      std::function<std::unique_ptr<Layer>(const std::string& candidate, real gain)>;
  /// The gain of the initial weights of n candidates (OneShot::initial_gain).
  using InitialGain = std::function<real(std::int64_t n)>;

  /// For a supernet whose candidates start with the weights that a method wants (its initial_gain).
  /// Method and table must outlive the builder.
  explicit Builder(const OneShot& method, const CandidateTable& table = standard_candidates());
  /// For a supernet with a gain of its own; without one, candidates start with the weights they
  /// would have alone.
  explicit Builder(const SearchSpace& space, InitialGain gain = {},
                   const CandidateTable& table = standard_candidates());
  /// For the child that a genotype names. Throws std::invalid_argument where it does not belong to
  /// the space.
  Builder(const SearchSpace& space, const Genotype& genotype,
          const CandidateTable& table = standard_candidates());

  bool is_supernet() const { return !genotype_; }

  /// The candidate that a child has for a choice, for networks that leave out what a "none" cuts;
  /// nothing in a supernet.
  std::optional<std::string> decided(const std::string& choice) const;

  /// The layer for a choice, its candidates made by the table. May be asked several times for one
  /// choice: the layers are then alike in the child, and in the supernet they share its alpha.
  std::unique_ptr<Layer> choose(const std::string& choice, const Site& site);
  /// The same with candidates that `make` makes, given their names as the space has them.
  std::unique_ptr<Layer> choose(const std::string& choice, const MakeCandidate& make);

  /// Where candidates are widths: that of the child, or the widest, which a mixture has.
  std::int64_t width(const std::string& choice) const;

  /// Options of the mixed layers that come from here.
  MixedLayer::Options mixed_layer = {};

 private:
  SearchSpace space_;
  std::optional<Genotype> genotype_;
  InitialGain gain_;
  const CandidateTable& table_;
  std::map<std::string, std::shared_ptr<SupernetChoice>> choices_;
};

}  // namespace serenade
