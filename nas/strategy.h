#pragma once
// Strategy: how an architecture is searched for. Problem: what is searched.
//
//   std::unique_ptr<Strategy> strategy = make_strategy("random", space, {.seed = 0, .trials = 5});
//   while (strategy->advance(problem)) save(strategy->save_state());
//   Genotype best = strategy->recommend();
//
// Two kinds of strategy stand behind this one interface. A black-box strategy (BlackBox) asks for
// architectures to be trained alone and is told how good they were. A one-shot strategy (OneShot,
// one_shot.h) trains a supernet that holds all of them.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "nas/genotype.h"
#include "nas/search_space.h"
#include "nn/module.h"
#include "tensor/enum_names.h"
#include "tensor/safetensors.h"

namespace serenade {

class OneShot;
class SupernetSearch;
struct StepRecord;

/// Runs the supernet on one batch, the same at every call, and returns the mean loss, a Variable
/// with one element. Must not read results from the device: a step may be captured
/// (nn/captured_step.h).
using LossFunction = std::function<Variable()>;

/// An architecture to be trained alone.
struct Trial {
  std::int64_t id = 0;  ///< from 0, in the order of asking
  Genotype genotype;
  std::int64_t epochs = 0;  ///< 0: as many as the problem's trainings have
};

struct Outcome {
  double score = 0;  ///< on the validation data; higher is better
  double cost = 0;   ///< in trainings of one architecture
};

/// What is searched: real training in an app, a table of results, or three lines in a test. A
/// problem offers trials, a supernet or both; what it does not override throws std::logic_error. A
/// search is resumed to the bit where the batches are a function of the epoch and the step.
class Problem {
 public:
  virtual ~Problem() = default;
  virtual const SearchSpace& space() const = 0;

  // Trials.
  virtual Outcome evaluate(const Trial& trial);
  /// A score of the untrained architecture (zero_cost.h), for a ranking; higher is better.
  virtual double untrained_score(const Genotype& genotype);

  // A supernet and the data that train it.
  /// The supernet, made at the first call by a Builder for `method`, which says how its weights
  /// start. Lives as long as the problem.
  virtual Module& supernet(const OneShot& method);
  /// Batches of one pass over the training data, and over the validation data.
  virtual std::int64_t train_batches() const;
  virtual std::int64_t validation_batches() const;
  /// The loss of the supernet on the next batch of each: which batch is decided at the call, and
  /// the function may then be called several times.
  virtual LossFunction next_train_loss();
  virtual LossFunction next_validation_loss();
  /// The losses on the first batches of a pass over the validation data, the same at every call:
  /// for what is looked at between epochs. The order of the batches above stays as it is.
  virtual std::vector<LossFunction> validation_losses(std::int64_t at_most);
  /// Told before an epoch, or before what a break has left of it (search.epoch_steps() are done),
  /// to set learning rates on the optimisers; after each of its `steps` steps, when the strategy
  /// may be saved; and after the epoch, when its record stands in the history.
  virtual void begin_epoch(SupernetSearch& /*search*/) {}
  virtual void end_step(const StepRecord& /*last*/, std::int64_t /*step*/, std::int64_t /*steps*/) {
  }
  virtual void end_epoch(SupernetSearch& /*search*/) {}
};

class Strategy {
 public:
  virtual ~Strategy() = default;

  /// "dropout".
  virtual std::string name() const = 0;

  /// One supernet epoch or one trial. False, and nothing done, when the search has ended. The same
  /// problem at every call; where it offers a supernet, it must outlive the strategy.
  virtual bool advance(Problem& problem) = 0;
  /// The best architecture as far as is known; may be asked at any time.
  virtual Genotype recommend() const = 0;

  /// All that is needed to go on as if there had been no break. load_state() throws
  /// std::invalid_argument on what a strategy of another kind, space or option has saved; then
  /// nothing has changed.
  virtual SafetensorsFile save_state() = 0;
  virtual void load_state(const SafetensorsFile& state) = 0;

  // What a strategy does not say falls to the safe side.

  /// Whether it trains a supernet.
  virtual bool needs_supernet() const { return false; }
  /// How many supernet epochs or trials it means to take; for progress bars.
  virtual std::int64_t planned_steps() const { return 0; }
  /// Whether nothing but the training data decides what it trains, so that several folds with the
  /// same training data may share a training. False: a fold's validation data has had a say, and
  /// the training may be used for no other fold.
  virtual bool shares_training() const { return false; }
  /// What a user should know about options that make sense, one sentence each: mostly that with
  /// them it is nothing but random search.
  virtual std::vector<std::string> remarks() const { return {}; }
};

/// A strategy that sees architectures from outside. What it asks for is a pure function of its seed
/// and of what it has been told.
class BlackBox : public Strategy {
 public:
  /// The next architecture to be trained, or none at the end. Asking again before tell() gives the
  /// same.
  virtual std::optional<Trial> ask() = 0;
  virtual void tell(const Trial& trial, const Outcome& outcome) = 0;

  /// ask, evaluate, tell.
  bool advance(Problem& problem) final;
};

// The strategies there are ------------------------------------------------------------------------

enum class Bilevel {
  alternating,  ///< an alpha step, then a weight step, all the way
  two_stage     ///< `epochs` of weights only, then `architecture_epochs` of alphas only
};

inline EnumNames<Bilevel> enum_names(Bilevel) {
  return {{Bilevel::alternating, "alternating"}, {Bilevel::two_stage, "two_stage"}};
}

/// The options of all strategies; each reads those that concern it.
struct StrategyOptions {
  std::uint64_t seed = 0;
  // One-shot strategies.
  std::int64_t epochs = 60;  ///< of the supernet
  Bilevel bilevel = Bilevel::alternating;
  std::int64_t architecture_epochs = 20;  ///< two_stage only
  double learning_rate = 1e-3;            ///< of W at the start (SupernetSearch::set_learning_rate)
  double alpha_learning_rate = 1e-3;      ///< constant; alphas trained jointly have the rate of W
  std::int64_t num_masked = 1;            ///< dropout: candidates masked per choice and step
  bool renormalize = false;  ///< dropout: divide by the survivors' sum, not by (N - m) / N
  // operation_dropout
  double drop_probability = 0.5;  ///< of a candidate in the last epoch; rises from 0
  // gumbel, gdas
  double temperature = 10;         ///< in the first epoch; falls evenly ..
  double final_temperature = 0.1;  ///< .. to that of the last
  // sdarts
  double perturbation = 0.3;           ///< of alpha in the last epoch; rises from a tenth of it
  std::int64_t adversarial_steps = 0;  ///< of gradient ascent (the paper: 7); 0: random
  // darts_es
  std::int64_t stop_after = 10;  ///< epochs that are never the answer of a stop
  double stop_factor = 1.3;      ///< growth of the eigenvalue that ends the search
  // darts_pt
  std::int64_t tuning_epochs = 5;  ///< between two decisions
  // spos
  bool fair = false;                    ///< every candidate once in N steps, in random order
  std::int64_t child_population = 50;   ///< children per generation; enas: drawn for the answer
  std::int64_t child_generations = 20;  ///< of the evolution after the last epoch
  // Black-box strategies.
  std::int64_t trials = 5;  ///< trainings; halving: architectures to begin with
  // evolution
  std::int64_t population = 10;  ///< the last so many are alive; the first so many are random
  std::int64_t tournament = 3;   ///< of them drawn to find a parent
  // bayesian
  std::int64_t random_trials = 5;  ///< before the first model
  // reinforce
  double policy_learning_rate = 2;
  double baseline_decay = 0.9;  ///< of the moving average of scores; also enas
  // halving
  std::int64_t training_epochs = 20;  ///< of a whole training
  std::int64_t reduction = 3;         ///< one of so many goes on, with so many times the epochs
  // zero_cost
  std::int64_t scored = 50;  ///< random architectures, of which `trials` are trained
  /// none: the architecture to be trained.
  Genotype baseline = {};
};

/// A strategy is a file of nas/strategies/ that defines its row, `StrategyRow <name>_strategy()`.
struct StrategyRow {
  std::string name;     ///< "dropout"
  std::string summary;  ///< one line
  std::string source;   ///< paper and equation
  std::function<std::unique_ptr<Strategy>(const SearchSpace&, const StrategyOptions&)> make;
  /// Whether it asks for Problem::untrained_score(), which a table of trainings does not hold.
  bool scores_untrained = false;
  /// Whether its trials differ in epochs: `trials` is how many it begins with, and not how many
  /// whole trainings there are.
  bool varies_epochs = false;
};

/// All of them, in the order of the file names.
const std::vector<StrategyRow>& strategies();

/// Throws std::invalid_argument: an unknown name (with the nearest one), or options that make no
/// sense for the space.
std::unique_ptr<Strategy> make_strategy(const std::string& name, const SearchSpace& space,
                                        const StrategyOptions& options);
/// The same for a strategy that trains a supernet; others throw std::invalid_argument.
std::unique_ptr<OneShot> make_one_shot(const std::string& name, const SearchSpace& space,
                                       const StrategyOptions& options);

}  // namespace serenade
