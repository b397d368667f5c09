#pragma once
// One-shot strategies: the architecture is found while the weights of one supernet are trained.
//
// A strategy fills in the hooks below; what it leaves alone is first-order DARTS (Liu, Simonyan &
// Yang, ICLR 2019): W on training batches with all candidates, alpha on validation batches with the
// W of the moment in place of the best W (Wu et al., ICASSP 2022, Eq. 3-4). SupernetSearch
// (supernet_search.h) does the steps; OneShot draws them from a Problem, epoch by epoch.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nas/history.h"
#include "nas/mixed_layer.h"
#include "nas/path.h"
#include "nas/strategy.h"
#include "nn/optim.h"

namespace serenade {

/// For which step of which choice a path is drawn. Draw random numbers from the numbers alone, so
/// that a step can be repeated.
struct Draw {
  Phase phase = Phase::weights;
  std::int64_t candidates = 0;  ///< n
  std::uint64_t choice = 0;     ///< its position in the space
  std::uint64_t step = 0;       ///< of the phase, from 0
  std::int64_t epoch = 0;       ///< from 0, of `epochs`
  std::int64_t epochs = 0;
  std::uint64_t seed = 0;
  Variable alpha = {};  ///< of the choice at the moment; undefined where there is no supernet

  /// [n]; zeros without a supernet. Waits for a device.
  std::vector<double> alpha_values() const;
};

/// How far a ramp over the epochs is: from 0 in the first to 1 in the last, and 0 if there is one.
double ramp(std::int64_t epoch, std::int64_t epochs);

/// What a weight step works with. Alphas must be left as found.
struct WeightStep {
  const LossFunction& loss;
  std::vector<Variable>& trained;  ///< W, and alpha where both are trained jointly
  std::vector<Variable>& alphas;
  std::uint64_t step = 0;  ///< as in Draw
  std::int64_t epoch = 0;
};

/// What an architecture step works with. W must be left as found.
struct ArchitectureStep {
  const LossFunction& validation_loss;
  const LossFunction& train_loss;  ///< of the weight step to come; empty where there is none
  std::vector<Variable>& weights;
  std::vector<Variable>& alphas;
  double learning_rate;  ///< of W at the moment
  /// In the order of the space, with the paths that were drawn.
  std::vector<std::shared_ptr<SupernetChoice>> choices = {};
  Variable kept = {};  ///< StepGradient::kept of the step before; undefined in the first
};

struct StepGradient {
  Variable loss;                    ///< of the batch; before the update
  std::vector<Variable> gradients;  ///< one per alpha or W, undefined where none arrives
  /// One number for the architecture step to come, saved with the search; or none.
  Variable kept = {};
};

/// Losses of at most that many batches of the validation data (Problem::validation_losses).
using ValidationLosses = std::function<std::vector<LossFunction>(std::int64_t at_most)>;

/// What is there when an epoch has ended.
struct EpochEnd {
  std::int64_t epoch = 0;  ///< the one that ends, from 0
  const ValidationLosses& validation_losses;
  const std::vector<std::shared_ptr<SupernetChoice>>& choices;  ///< with full paths
};

class OneShot : public Strategy {
 public:
  /// Throws std::invalid_argument on options that make no sense.
  OneShot(const SearchSpace& space, const StrategyOptions& options);
  ~OneShot() override;

  const SearchSpace& space() const { return space_; }
  const StrategyOptions& options() const { return options_; }

  // The hooks -------------------------------------------------------------------------------------
  // weight_gradient(), architecture_gradient() and project() run inside a captured step
  // (nn/captured_step.h): on a device they must not read values. A loss that they call again is
  // that of the same batch, with the same random draws.

  /// Which candidates of a choice take part in a step, and with what coefficients.
  virtual Path draw(const Draw& draw) const;
  /// Factor on the initial weights of a choice's n candidates, for whoever asks for it (Builder):
  /// 1 / |c|_2 of the coefficients of the first weight step, all alphas being 0. A sum of
  /// independent outputs then starts at the scale of one of them.
  virtual real initial_gain(std::int64_t n) const;
  /// Whether candidates of one kind are crops of one weight (entangle.h). A Builder of the method
  /// makes them so.
  virtual bool shares_kernels() const { return false; }
  /// Whether alpha learns from the training batches, in the same steps and at the same learning
  /// rate as W (Wu et al., section 4.2: the constant rate is that of bi-level alphas); there are
  /// then no architecture steps.
  virtual bool trains_jointly() const { return false; }
  /// Whether alpha learns in steps of its own, on the validation batches.
  virtual bool has_architecture_steps() const { return !trains_jointly(); }
  /// The gradient by step.trained of a weight step; runs with the paths of that phase.
  virtual StepGradient weight_gradient(const WeightStep& step) const;
  /// dL/d alpha of an architecture step; runs with the paths of that phase.
  virtual StepGradient architecture_gradient(const ArchitectureStep& step) const;
  /// Gradients of the weights are scaled down to this norm (clip_grad_norm); 0: they are not. What
  /// is recorded of them is what they are then.
  virtual double clip_norm() const { return 0; }
  /// Called after each update of the alphas, to bring them back to where they may be.
  virtual void project(std::vector<Variable>& /*alphas*/) const {}
  virtual std::unique_ptr<Optimizer> make_weight_optimizer(const NamedParameters& weights) const;
  virtual std::unique_ptr<Optimizer> make_alpha_optimizer(const NamedParameters& alphas) const;
  /// Factor on the rate of W in an epoch.
  virtual double rate_scale(std::int64_t /*epoch*/) const { return 1; }
  /// After the last step of an epoch: may look at the validation data along paths that it sets, and
  /// change alphas. What it returns by name is kept in the history.
  virtual std::map<std::string, double> end_epoch(const EpochEnd& /*end*/) const { return {}; }
  /// What is to be doubted about a search of this course, a sentence each: search_warnings(). A
  /// strategy whose answer is not the largest alphas of the last epoch leaves out what is about
  /// them.
  virtual std::vector<std::string> warnings(const std::vector<SearchRecord>& history) const;
  /// Whether the search ends before its last epoch.
  virtual bool stops_early(const std::vector<SearchRecord>& /*history*/) const { return false; }
  /// The architecture that the alphas mean, one list per choice.
  virtual Genotype derive(const std::vector<std::vector<double>>& alphas) const;
  /// What else a resumed search must have in common with the one that was stopped.
  virtual std::string fingerprint() const { return ""; }

  // Strategy --------------------------------------------------------------------------------------

  bool advance(Problem& problem) override;
  Genotype recommend() const override;
  SafetensorsFile save_state() override;
  void load_state(const SafetensorsFile& state) override;
  bool needs_supernet() const override { return true; }
  std::int64_t planned_steps() const override;

  /// The search in progress; null before the first advance().
  SupernetSearch* search() { return search_.get(); }

 protected:
  /// Of the search in progress, or of the state that waits for its supernet.
  std::vector<SearchRecord> history() const;

 private:
  SearchSpace space_;
  StrategyOptions options_;
  std::unique_ptr<SupernetSearch> search_;
  std::optional<SafetensorsFile> loaded_;  // waits for the supernet
};

}  // namespace serenade
