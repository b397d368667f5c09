#pragma once
// SupernetSearch: trains the weights W and the architecture parameters alpha of a supernet.
//
// Independent of data and network: the caller provides the losses as functions that run the
// supernet.
//
//   SupernetSearch search(supernet, space, {.mode = Mode::dropout, .epochs = 60, .seed = 0});
//   for (; !search.finished(); search.end_epoch()) {
//     for (each training batch) {
//       if (search.trains_architecture())
//         search.architecture_step([&] { return loss of a validation batch; });
//       if (search.trains_weights()) search.weight_step([&] { return loss of the training batch;
//       });
//     }
//   }
//   Genotype best = derive_genotype("my_system", space, search.alphas());
//
// Wu et al. (ICASSP 2022). Joint (Eq. 2): weight_step updates W and alpha on the training batch.
// Sampling and dropout (Eq. 3-4, first order as in DARTS): alpha on validation batches with all
// candidates, W on training batches along a drawn path; in turn (alternating) or one after the
// other (two_stage).

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "nas/mixed_op.h"
#include "nas/path.h"
#include "nas/search_space.h"
#include "nn/async_scalar.h"
#include "nn/captured_step.h"
#include "nn/module.h"
#include "nn/optim.h"
#include "tensor/safetensors.h"

namespace serenade {

enum class Bilevel {
  alternating,  ///< an alpha step, then a weight step, all the way
  two_stage     ///< `epochs` of weights only, then `architecture_epochs` of alphas only
};

const char* to_string(Bilevel bilevel);
/// "alternating" or "two_stage"; throws std::invalid_argument for other names.
Bilevel parse_bilevel(const std::string& name);

struct SearchOptions {
  Mode mode = Mode::dropout;  ///< joint, sampling or dropout
  Bilevel bilevel = Bilevel::alternating;
  std::int64_t epochs = 60;
  std::int64_t architecture_epochs = 20;  ///< two_stage only
  std::int64_t masked = 1;                ///< dropout: candidates masked per layer and step
  bool renormalize = false;               ///< see PathOptions
  double learning_rate = 1e-3;  ///< of W at the start; schedules set it on weight_optimizer()
  double alpha_learning_rate = 1e-3;
  std::uint64_t seed = 0;
};

/// Runs the supernet on a batch and returns the mean loss, a Variable with one element. Must not
/// read results from the device: on a GPU the step is recorded (nn/captured_step.h).
using LossFunction = std::function<Variable()>;

/// What happened in one step.
struct StepRecord {
  std::int64_t step = 0;  ///< number of the step within its phase, from 0
  Phase phase = Phase::weights;
  AsyncScalar loss;         ///< before the update; on a device, reading it waits for the step
  std::vector<Path> paths;  ///< per layer
};

/// The state of one mixed layer at the end of an epoch.
struct LayerRecord {
  std::string name;                     ///< of the space
  std::vector<std::string> candidates;  ///< of the space
  std::vector<double> alphas;
  std::vector<double> probabilities;  ///< softmax(alphas)
  double entropy = 0;       ///< of the probabilities, in nats: ln n when undecided, 0 when certain
  std::int64_t choice = 0;  ///< argmax
  std::vector<std::int64_t> updates;  ///< weight steps each candidate took part in, so far
  double activation_rms = 0;          ///< of the layer's output in the epoch's first weight step
  double gradient_norm = 0;           ///< of all the layer's candidates' weights in that step
};

struct SearchRecord {
  std::int64_t epoch = 0;         ///< from 0
  std::int64_t weight_steps = 0;  ///< so far
  std::int64_t architecture_steps = 0;
  double weight_loss = 0;        ///< mean over the epoch's weight steps; 0 if there was none
  double architecture_loss = 0;  ///< likewise
  std::vector<LayerRecord> layers;
};

/// A loss that is not a finite number. No parameter and no alpha has been updated by it or after
/// it.
struct NonFiniteLoss : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class SupernetSearch {
 public:
  /// The supernet must outlive this and have one MixedOp per layer of the space, in the same order
  /// and with the same candidates; else std::invalid_argument.
  SupernetSearch(Module& supernet, const SearchSpace& space, const SearchOptions& options);
  ~SupernetSearch();

  /// Draws the paths, runs the loss and updates W (in joint mode also alpha). On a device the step
  /// is only launched: the host may prepare the next batch and the next step while it runs, and a
  /// NonFiniteLoss shows a step or two later, at the latest in end_epoch().
  StepRecord weight_step(const LossFunction& loss);
  /// All candidates take part; updates alpha only. Not in joint mode. Gradients of W are not
  /// computed.
  StepRecord architecture_step(const LossFunction& loss);
  /// Closes the epoch: adds its record to the history and returns it.
  const SearchRecord& end_epoch();

  /// Whether the current epoch is to contain weight_steps / architecture_steps.
  bool trains_weights() const;
  bool trains_architecture() const;
  std::int64_t epoch() const { return static_cast<std::int64_t>(history_.size()); }
  std::int64_t total_epochs() const;
  bool finished() const { return epoch() >= total_epochs(); }

  /// For learning-rate schedules.
  Adam& weight_optimizer() { return *weight_optimizer_; }
  Adam& alpha_optimizer() { return *alpha_optimizer_; }
  const SearchOptions& options() const { return options_; }
  const std::vector<NamedMixedOp>& mixed_ops() const { return mixed_ops_; }

  /// Current values of alpha per layer.
  std::vector<std::vector<double>> alphas() const;
  const std::vector<SearchRecord>& history() const { return history_; }

  /// Everything the search needs to go on as if it had never stopped: the supernet's parameters,
  /// both optimisers, counters and history. Names begin with "search.". Waits for the steps that a
  /// device has not finished.
  SafetensorsFile save_state();
  /// Continues from save_state() of a search with the same space and options; else
  /// std::invalid_argument, and nothing has changed.
  void load_state(const SafetensorsFile& state);

 private:
  // The loss of a step that has been launched.
  struct PendingLoss {
    Phase phase;
    std::int64_t step;
    AsyncScalar loss;
  };

  StepRecord run_step(Phase phase, const LossFunction& loss);
  std::vector<Variable> trained(Phase phase) const;
  void update(Phase phase);
  void drain_losses(std::size_t newest);
  void record_norms();
  std::string fingerprint() const;
  void apply_state(const SafetensorsFile& state);

  Module& supernet_;
  SearchSpace space_;
  SearchOptions options_;
  std::vector<NamedMixedOp> mixed_ops_;
  NamedParameters weights_, alphas_;
  std::unique_ptr<Adam> weight_optimizer_, alpha_optimizer_;
  CapturedStep weight_work_, architecture_work_;
  NonFiniteGuard guard_;
  std::deque<PendingLoss> pending_;
  std::int64_t weight_steps_ = 0, architecture_steps_ = 0;
  std::int64_t epoch_weight_steps_ = 0, epoch_architecture_steps_ = 0;
  double epoch_weight_loss_ = 0, epoch_architecture_loss_ = 0;  // sums
  std::vector<double> activation_rms_, gradient_norms_;         // per layer, of this epoch
  std::vector<SearchRecord> history_;
};

/// One line per epoch, layer and candidate:
/// epoch,layer,candidate,alpha,probability,entropy,chosen,updates.
std::string history_csv(const std::vector<SearchRecord>& history);
/// The whole history as a JSON list, numbers exact.
std::string history_json(const std::vector<SearchRecord>& history);
/// The inverse; throws std::invalid_argument on text that history_json did not write.
std::vector<SearchRecord> history_from_json(const std::string& text);

}  // namespace serenade
