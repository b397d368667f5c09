#include "nas/search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "autograd/engine.h"
#include "nas/derive.h"
#include "nas/diagnostics.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// Steps that a device may have before it while the host looks at the loss of the one before them.
constexpr std::size_t kStepsAhead = 2;

constexpr std::array<Bilevel, 2> kBilevels = {Bilevel::alternating, Bilevel::two_stage};

void check_options(const SearchOptions& options) {
  check(options.mode != Mode::none && options.mode != Mode::random, "SupernetSearch",
        "mode must be joint, sampling or dropout; got ", to_string(options.mode));
  check(options.epochs >= 0 && options.architecture_epochs >= 0, "SupernetSearch",
        "numbers of epochs must not be negative; got ", options.epochs, " and ",
        options.architecture_epochs);
  check(options.mode != Mode::joint || options.bilevel == Bilevel::alternating, "SupernetSearch",
        "joint mode has one stage; got two_stage");
}

void check_layers(const std::vector<NamedMixedOp>& mixed_ops, const SearchSpace& space,
                  const SearchOptions& options) {
  check(mixed_ops.size() == space.layers.size(), "SupernetSearch",
        "the supernet must have one mixed operation per layer of the space; got ", mixed_ops.size(),
        " for ", space.layers.size());
  for (std::size_t l = 0; l < mixed_ops.size(); ++l) {
    const MixedLayer& layer = space.layers[l];
    check(mixed_ops[l].op->candidates() == layer.candidates, "SupernetSearch",
          "candidates must agree with the space; those of '", mixed_ops[l].name,
          "' differ from those of layer '", layer.name, "'");
    const auto n = static_cast<std::int64_t>(layer.candidates.size());
    check(options.mode != Mode::dropout || (0 <= options.masked && options.masked < n),
          "SupernetSearch", "masked must leave a candidate in every layer; got ", options.masked,
          " of the ", n, " of layer '", layer.name, "'");
  }
}

// Between steps the supernet is the full mixture, so that it can be evaluated at any time; also
// where a step ends by an exception.
struct FullPathsAfterwards {
  const std::vector<NamedMixedOp>& mixed_ops;
  ~FullPathsAfterwards() {
    for (const NamedMixedOp& mixed : mixed_ops) {
      mixed.op->set_path(full_path(mixed.op->candidate_count()));
    }
  }
};

}  // namespace

const char* to_string(Bilevel bilevel) {
  return bilevel == Bilevel::alternating ? "alternating" : "two_stage";
}

Bilevel parse_bilevel(const std::string& name) {
  for (const Bilevel bilevel : kBilevels) {
    if (name == to_string(bilevel)) return bilevel;
  }
  check(false, "bilevel", "must be alternating or two_stage; got '", name, "'");
  return Bilevel::alternating;
}

SupernetSearch::SupernetSearch(Module& supernet, const SearchSpace& space,
                               const SearchOptions& options)
    : supernet_(supernet),
      space_(space),
      options_(options),
      mixed_ops_(find_mixed_ops(supernet)),
      weight_work_(supernet.device()),
      architecture_work_(supernet.device()),
      guard_(supernet.device()),
      activation_rms_(space.layers.size(), 0),
      gradient_norms_(space.layers.size(), 0) {
  space_.validate();
  check_options(options_);
  check_layers(mixed_ops_, space_, options_);

  std::set<const Node*> alphas;
  for (const NamedMixedOp& mixed : mixed_ops_) alphas.insert(mixed.op->alpha().node().get());
  for (const auto& [name, parameter] : supernet_.named_parameters()) {
    if (!parameter.requires_grad()) continue;
    const bool is_alpha = alphas.count(parameter.node().get()) != 0;
    (is_alpha ? alphas_ : weights_).emplace_back(name, parameter);
  }
  weight_optimizer_ = std::make_unique<Adam>(weights_, Adam::Options{.lr = options_.learning_rate});
  alpha_optimizer_ =
      std::make_unique<Adam>(alphas_, Adam::Options{.lr = options_.alpha_learning_rate});
}

SupernetSearch::~SupernetSearch() = default;

// Steps -------------------------------------------------------------------------------------------

StepRecord SupernetSearch::weight_step(const LossFunction& loss) {
  const bool first = epoch_weight_steps_ == 0;
  for (const NamedMixedOp& mixed : mixed_ops_) mixed.op->watch(first);
  const StepRecord record = run_step(Phase::weights, loss);
  ++weight_steps_;
  ++epoch_weight_steps_;
  return record;
}

StepRecord SupernetSearch::architecture_step(const LossFunction& loss) {
  check(options_.mode != Mode::joint, "architecture_step",
        "joint mode has none: weight_step updates the alphas too");
  for (const NamedMixedOp& mixed : mixed_ops_) mixed.op->watch(false);
  const StepRecord record = run_step(Phase::architecture, loss);
  ++architecture_steps_;
  ++epoch_architecture_steps_;
  return record;
}

StepRecord SupernetSearch::run_step(Phase phase, const LossFunction& loss) {
  StepRecord record{.step = phase == Phase::weights ? weight_steps_ : architecture_steps_,
                    .phase = phase,
                    .loss = {},
                    .paths = {}};
  const FullPathsAfterwards restore{mixed_ops_};
  const PathOptions how{options_.mode, options_.masked, options_.renormalize};
  for (std::size_t l = 0; l < mixed_ops_.size(); ++l) {
    record.paths.push_back(draw_path(how, phase, mixed_ops_[l].op->candidate_count(), options_.seed,
                                     static_cast<std::uint64_t>(record.step), l));
    mixed_ops_[l].op->set_path(record.paths.back());
  }

  // grad() walks only the part of the graph that leads to the trained parameters: an alpha step
  // computes no gradient of any weight. Parameters that the paths leave out get none at all.
  Variable value;
  std::vector<Variable> variables = trained(phase);
  (phase == Phase::weights ? weight_work_ : architecture_work_).run([&] {
    value = loss();
    check(value.defined() && value.numel() == 1, "SupernetSearch",
          "the loss must have one element; got ",
          value.defined() ? to_string(value.shape()) : std::string("none"));
    const std::vector<Tensor> gradients = grad(value, variables);
    for (std::size_t i = 0; i < variables.size(); ++i) variables[i].set_grad(gradients[i]);
    guard_.watch(value);
    update(phase);
  });
  record.loss = AsyncScalar(value.value());
  pending_.push_back({phase, record.step, record.loss});
  if (phase == Phase::weights && epoch_weight_steps_ == 0) record_norms();
  for (Variable& variable : variables) variable.zero_grad();
  drain_losses(supernet_.device() == Device::cpu ? 0 : kStepsAhead);
  if (phase == Phase::weights) {
    for (const NamedMixedOp& mixed : mixed_ops_) mixed.op->count_update();
  }
  return record;
}

// Looks at the losses of all steps but the newest: by then the device has them, and still has work.
void SupernetSearch::drain_losses(std::size_t newest) {
  while (pending_.size() > newest) {
    const PendingLoss settled = std::move(pending_.front());
    pending_.pop_front();
    const double loss = settled.loss.get();
    if (!std::isfinite(loss)) {
      throw NonFiniteLoss("search: the loss of the " + std::string(to_string(settled.phase)) +
                          " is " + std::to_string(loss) + " in step " +
                          std::to_string(settled.step) + "; a smaller learning rate may help");
    }
    (settled.phase == Phase::weights ? epoch_weight_loss_ : epoch_architecture_loss_) += loss;
  }
}

std::vector<Variable> SupernetSearch::trained(Phase phase) const {
  std::vector<Variable> variables;
  const bool joint = options_.mode == Mode::joint;
  for (const auto& [name, parameter] : phase == Phase::weights ? weights_ : alphas_) {
    variables.push_back(parameter);
  }
  if (joint) {
    for (const auto& [name, parameter] : alphas_) variables.push_back(parameter);
  }
  return variables;
}

void SupernetSearch::update(Phase phase) {
  if (phase == Phase::weights) weight_optimizer_->step(guard_);
  if (phase == Phase::architecture || options_.mode == Mode::joint) alpha_optimizer_->step(guard_);
}

void SupernetSearch::record_norms() {
  for (std::size_t l = 0; l < mixed_ops_.size(); ++l) {
    const MixedOp& op = *mixed_ops_[l].op;
    NamedParameters parameters;
    for (std::int64_t i = 0; i < op.candidate_count(); ++i) {
      for (const Variable& parameter : op.candidate_parameters(i)) {
        parameters.emplace_back("", parameter);
      }
    }
    activation_rms_[l] = op.activation_rms();
    gradient_norms_[l] = gradient_norm(parameters);
  }
}

// Epochs ------------------------------------------------------------------------------------------

std::int64_t SupernetSearch::total_epochs() const {
  const bool two = options_.bilevel == Bilevel::two_stage;
  return options_.epochs + (two ? options_.architecture_epochs : 0);
}

bool SupernetSearch::trains_weights() const { return epoch() < options_.epochs; }

bool SupernetSearch::trains_architecture() const {
  if (finished() || options_.mode == Mode::joint) return false;
  return options_.bilevel == Bilevel::alternating || epoch() >= options_.epochs;
}

std::vector<std::vector<double>> SupernetSearch::alphas() const {
  std::vector<std::vector<double>> values;
  for (const NamedMixedOp& mixed : mixed_ops_) {
    const std::vector<real> alpha = mixed.op->alpha().value().to(Device::cpu).to_vector();
    values.emplace_back(alpha.begin(), alpha.end());
  }
  return values;
}

const SearchRecord& SupernetSearch::end_epoch() {
  drain_losses(0);
  const auto mean = [](double sum, std::int64_t count) {
    return count == 0 ? 0.0 : sum / static_cast<double>(count);
  };
  SearchRecord record{
      .epoch = epoch(),
      .weight_steps = weight_steps_,
      .architecture_steps = architecture_steps_,
      .weight_loss = mean(epoch_weight_loss_, epoch_weight_steps_),
      .architecture_loss = mean(epoch_architecture_loss_, epoch_architecture_steps_),
      .layers = {}};
  const std::vector<std::vector<double>> values = alphas();
  const std::vector<std::int64_t> choices = best_choices(values);
  for (std::size_t l = 0; l < mixed_ops_.size(); ++l) {
    const MixedOp& op = *mixed_ops_[l].op;
    const std::vector<double> probabilities = op.probabilities();
    record.layers.push_back({.name = space_.layers[l].name,
                             .candidates = space_.layers[l].candidates,
                             .alphas = values[l],
                             .probabilities = probabilities,
                             .entropy = entropy(probabilities),
                             .choice = choices[l],
                             .updates = op.update_counts(),
                             .activation_rms = activation_rms_[l],
                             .gradient_norm = gradient_norms_[l]});
  }
  epoch_weight_steps_ = epoch_architecture_steps_ = 0;
  epoch_weight_loss_ = epoch_architecture_loss_ = 0;
  std::fill(activation_rms_.begin(), activation_rms_.end(), 0);
  std::fill(gradient_norms_.begin(), gradient_norms_.end(), 0);
  history_.push_back(std::move(record));
  return history_.back();
}

}  // namespace serenade
