#pragma once
// The mixed layer of a supernet: y = sum_i c_i op_i(x; W_i), Eq. 1 of Wu et al. (ICASSP 2022),
// after DARTS (Liu, Simonyan & Yang, ICLR 2019).
//
// Each candidate has weights of its own and is the very layer the child would have. Candidates that
// are linear in their weights (Layer::linear_form) and have equal geometry are ONE layer with
// merged weights (nas/README.md):
//   sum_i c_i conv(x; W_i, b_i) = conv(x; sum_i c_i pad(W_i), sum_i c_i b_i)
// The others are run one by one and their results added.
//
// A candidate that the path leaves out does not appear in the graph: it receives no gradient at all
// (its .grad stays undefined), so optimisers leave its weights and moments alone.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nas/genotype.h"
#include "nas/path.h"
#include "nas/search_space.h"
#include "nn/layer.h"

namespace serenade {

/// Whether sums of the two are again of this form, with merged weights: convolutions of equal
/// channels and strides, padded as a 'same' convolution of stride 1 is, or dense layers of equal
/// inputs; both with a bias or none.
bool can_merge(const LinearForm& a, const LinearForm& b);

/// A choice as a supernet holds it: its architecture parameters alpha, and which candidates take
/// part at the moment. All mixed layers of the choice share it.
class SupernetChoice {
 public:
  explicit SupernetChoice(Choice choice);

  const std::string& name() const { return choice_.name; }
  /// "2x8" or "64", in the order of alpha.
  const std::vector<std::string>& candidates() const { return choice_.candidates; }
  std::int64_t candidate_count() const { return choice_.size(); }

  /// [n], starts at zero: all candidates alike.
  const Variable& alpha() const { return alpha_; }
  std::vector<double> alpha_values() const;
  /// softmax(alpha).
  std::vector<double> probabilities() const;
  /// argmax alpha; the first on ties.
  std::int64_t best() const;

  /// Which candidates take part from now on; starts as full_path.
  void set_path(Path path);
  const Path& path() const { return path_; }
  /// c of the current path, [n].
  Variable coefficients() const { return serenade::coefficients(path_, alpha_); }

  /// How many weight steps each candidate has taken part in.
  const std::vector<std::int64_t>& update_counts() const { return update_counts_; }
  void set_update_counts(std::vector<std::int64_t> counts);
  /// Counts one weight step for the active candidates.
  void count_update();

 private:
  Choice choice_;
  Variable alpha_;
  Path path_;
  std::vector<std::int64_t> update_counts_;
};

/// Parameters: alpha [n], shared by all layers of the choice; ops.<i>.* of candidate i.
class MixedLayer : public Layer {
 public:
  struct Options {
    /// false runs every candidate by itself: the definition, kept as the oracle of merging.
    bool merge = true;
    /// Candidates that could be merged are crops of one weight (entangle.h).
    bool entangle = false;
  };

  /// candidates: one layer for each of the choice's, in its order. Their outputs must have the same
  /// shape, except that dense layers may have different widths: shorter outputs are filled up with
  /// zeros to the widest.
  MixedLayer(std::shared_ptr<SupernetChoice> choice, std::vector<std::unique_ptr<Layer>> candidates,
             const Options& options);
  MixedLayer(std::shared_ptr<SupernetChoice> choice,
             std::vector<std::unique_ptr<Layer>> candidates);

  Variable forward(const Variable& x) override;
  /// Of the merged candidates, where these are all of them, or of the only one that takes part: a
  /// mixture of convolutions is itself a convolution.
  std::optional<LinearForm> linear_form() override;

  SupernetChoice& choice() { return *choice_; }
  const std::shared_ptr<SupernetChoice>& shared_choice() const { return choice_; }
  Layer& candidate(std::int64_t i) { return *candidates_.at(static_cast<std::size_t>(i)); }
  /// How many candidates are merged into one layer: 0, or 2 and more.
  std::size_t merged_count() const { return merged_.size(); }
  /// Whether some candidates are crops of one weight (Options::entangle).
  bool has_crops() const;
  /// Width of the output where all candidates are dense layers; else 0.
  std::int64_t widest() const { return widest_; }

  /// While on, the layer keeps its output, for activation_rms().
  void watch(bool on) { watching_ = on; }
  bool observing() const override { return watching_; }
  void observe(const Variable& y) override;
  /// Root mean square of the last output that was kept, which may then go; 0 before any.
  double activation_rms();

  /// What forward() does about the scale of its output: nothing, keep its root mean square, or
  /// bring it to the one that was kept. Then nothing is computed together with what follows the
  /// layer (linear_form), and no value is read from the device.
  enum class Scale { free, kept, matched };
  /// Throws std::invalid_argument where it is to be matched and none was kept.
  void set_scale(Scale scale);

 private:
  struct Candidates : Module {
    void append(Module& op) { register_module(std::to_string(children().size()), op); }
  };

  void find_merged();
  bool runs_alone() const;
  Variable mixture(const Variable& x);
  Variable nothing(const Variable& x);
  LinearForm merged_form(const Variable& c);
  Variable widened(const Variable& y) const;
  Variable scaled(const Variable& y);

  std::shared_ptr<SupernetChoice> choice_;
  std::vector<std::unique_ptr<Layer>> candidates_;
  Candidates ops_;
  std::vector<std::size_t> merged_;  // positions of the candidates that are merged
  std::int64_t widest_ = 0;
  bool watching_ = false;
  Variable watched_;
  double activation_rms_ = 0;
  Scale scale_ = Scale::free;
  Variable kept_rms_;
};

struct NamedMixedLayer {
  std::string name;  ///< dotted path inside the module
  MixedLayer* layer;
};

/// The mixed layers of a network, in order of registration.
std::vector<NamedMixedLayer> find_mixed_layers(Module& module);

/// A choice of a supernet and the mixed layers that share it.
struct ChoiceLayers {
  std::shared_ptr<SupernetChoice> choice;
  std::vector<MixedLayer*> layers;
};

/// The choices of a supernet, one for each of the space and in its order, found by their names.
/// Throws std::invalid_argument unless the supernet has mixed layers for exactly the choices of the
/// space, with the same candidates.
std::vector<ChoiceLayers> find_choices(Module& supernet, const SearchSpace& space);

/// Sets every choice to the path of one candidate, as the genotype says: the child with the
/// supernet's weights.
void set_child(Module& supernet, const SearchSpace& space, const Genotype& genotype);
/// Back to the full mixture.
void set_full_paths(Module& supernet);
/// MixedLayer::set_scale of all mixed layers.
void set_scale(Module& supernet, MixedLayer::Scale scale);

}  // namespace serenade
