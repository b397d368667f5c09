#include "nas/supernet_search.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "autograd/engine.h"
#include "nas/derive.h"
#include "nas/diagnostics.h"
#include "tensor/check.h"
#include "tensor/repeated_draws.h"

namespace serenade {

namespace {

// Steps that a device may have before it while the host looks at the loss of the one before them.
constexpr std::size_t kStepsAhead = 2;

void check_loss(const Variable& loss) {
  check(loss.defined() && loss.numel() == 1, "SupernetSearch",
        "the loss must have one element; got ",
        loss.defined() ? to_string(loss.shape()) : std::string("none"));
}

// Between steps the supernet is the full mixture, so that it can be evaluated at any time; also
// where a step ends by an exception.
struct FullPathsAfterwards {
  const std::vector<ChoiceLayers>& choices;
  ~FullPathsAfterwards() {
    for (const ChoiceLayers& here : choices) {
      here.choice->set_path(full_path(here.choice->candidate_count()));
    }
  }
};

// Undefined where no gradient arrives.
void set_gradients(std::vector<Variable>& variables, const std::vector<Variable>& gradients) {
  for (std::size_t i = 0; i < variables.size(); ++i) {
    variables[i].set_grad(gradients[i].defined() ? gradients[i].value() : Tensor());
  }
}

std::vector<std::shared_ptr<SupernetChoice>> choices_of(const std::vector<ChoiceLayers>& layers) {
  std::vector<std::shared_ptr<SupernetChoice>> choices;
  for (const ChoiceLayers& here : layers) choices.push_back(here.choice);
  return choices;
}

}  // namespace

SupernetSearch::SupernetSearch(Module& supernet, const OneShot& method)
    : supernet_(supernet),
      method_(method),
      space_(method.space()),
      choices_(find_choices(supernet, space_)),
      weight_work_(supernet.device()),
      architecture_work_(supernet.device()),
      guard_(supernet.device()),
      activation_rms_(choices_.size(), 0),
      architecture_rms_(choices_.size(), 0),
      gradient_norms_(choices_.size(), 0) {
  check(!method.trains_jointly() || method.options().bilevel == Bilevel::alternating,
        "SupernetSearch", "bilevel two_stage does not go with joint search");
  for (const ChoiceLayers& here : choices_) {
    for (MixedLayer* layer : here.layers) {
      check(!method.shares_kernels() || layer->merged_count() == 0 || layer->has_crops(),
            "supernet", "must be made by a Builder of '", method.name(),
            "', whose candidates share weights; '", here.choice->name(),
            "' has candidates of their own");
    }
  }
  std::set<const void*> architecture;
  for (const ChoiceLayers& here : choices_) architecture.insert(here.choice->alpha().identity());
  NamedParameters weights, alphas;
  for (const auto& [name, parameter] : supernet_.named_parameters()) {
    if (!parameter.requires_grad()) continue;
    const bool is_alpha = architecture.contains(parameter.identity());
    (is_alpha ? alphas : weights).emplace_back(name, parameter);
    (is_alpha ? alphas_ : weights_).push_back(parameter);
  }
  weight_optimizer_ = method_.make_weight_optimizer(weights);
  alpha_optimizer_ = method_.make_alpha_optimizer(alphas);
}

SupernetSearch::~SupernetSearch() = default;

// Steps -------------------------------------------------------------------------------------------

StepRecord SupernetSearch::weight_step(const LossFunction& loss) {
  watch(epoch_weight_steps_ == 0);
  StepRecord record = run_step(Phase::weights, loss, {});
  ++weight_steps_;
  ++epoch_weight_steps_;
  return record;
}

StepRecord SupernetSearch::architecture_step(const LossFunction& loss,
                                             const LossFunction& train_loss) {
  check(method_.has_architecture_steps(), "architecture_step", "'", method_.name(), "' has none");
  watch(epoch_architecture_steps_ == 0);
  StepRecord record = run_step(Phase::architecture, loss, train_loss);
  ++architecture_steps_;
  ++epoch_architecture_steps_;
  return record;
}

std::vector<Path> SupernetSearch::draw_paths(Phase phase, std::int64_t step) const {
  std::vector<Path> paths;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    paths.push_back(method_.draw({.phase = phase,
                                  .candidates = choices_[i].choice->candidate_count(),
                                  .choice = i,
                                  .step = static_cast<std::uint64_t>(step),
                                  .epoch = epoch(),
                                  .epochs = total_epochs(),
                                  .seed = method_.options().seed,
                                  .alpha = choices_[i].choice->alpha()}));
  }
  return paths;
}

StepRecord SupernetSearch::run_step(Phase phase, const LossFunction& loss,
                                    const LossFunction& train_loss) {
  const bool trains_weights = phase == Phase::weights;
  StepRecord record{.step = trains_weights ? weight_steps_ : architecture_steps_,
                    .phase = phase,
                    .loss = {},
                    .paths = {}};
  const FullPathsAfterwards restore{choices_};
  record.paths = draw_paths(phase, record.step);
  for (std::size_t i = 0; i < choices_.size(); ++i) choices_[i].choice->set_path(record.paths[i]);

  RepeatedDraws draws, train_draws;
  const LossFunction same_loss = [&] { return draws(loss); };
  LossFunction same_train_loss;
  if (train_loss) same_train_loss = [&] { return train_draws(train_loss); };
  Variable value;
  const Variable kept_before = kept_;
  const auto work = [&] {
    value = trains_weights ? weight_gradients(same_loss, record.step)
                           : architecture_gradients(same_loss, same_train_loss);
    guard_.watch(value);
    update(phase);
  };
  if (trains_weights && method_.clip_norm() > 0) {
    work();  // reads the norm, which a captured step must not
  } else {
    (trains_weights ? weight_work_ : architecture_work_).run(work);
  }
  record.loss = AsyncScalar(value.value());
  pending_.push_back({phase, record.step, record.loss, kept_before});
  if ((trains_weights ? epoch_weight_steps_ : epoch_architecture_steps_) == 0) record_norms(phase);
  for (Variable& weight : weights_) weight.zero_grad();
  for (Variable& alpha : alphas_) alpha.zero_grad();
  drain_losses(runs_ahead(supernet_.device()) ? kStepsAhead : 0);
  if (trains_weights) {
    for (const ChoiceLayers& here : choices_) here.choice->count_update();
  }
  return record;
}

Variable SupernetSearch::weight_gradients(const LossFunction& loss, std::int64_t step) {
  std::vector<Variable> trained = weights_;
  if (method_.trains_jointly()) trained.insert(trained.end(), alphas_.begin(), alphas_.end());
  const StepGradient gradient = method_.weight_gradient({.loss = loss,
                                                         .trained = trained,
                                                         .alphas = alphas_,
                                                         .step = static_cast<std::uint64_t>(step),
                                                         .epoch = epoch()});
  check_loss(gradient.loss);
  check(gradient.gradients.size() == trained.size(), "SupernetSearch",
        "there must be a gradient for everything that is trained; got ", gradient.gradients.size(),
        " for ", trained.size());
  set_gradients(trained, gradient.gradients);
  return gradient.loss;
}

Variable SupernetSearch::architecture_gradients(const LossFunction& loss,
                                                const LossFunction& train_loss) {
  const StepGradient gradient =
      method_.architecture_gradient({.validation_loss = loss,
                                     .train_loss = train_loss,
                                     .weights = weights_,
                                     .alphas = alphas_,
                                     .learning_rate = weight_optimizer_->learning_rate(),
                                     .choices = choices_of(choices_),
                                     .kept = kept_});
  check_loss(gradient.loss);
  check(gradient.gradients.size() == alphas_.size(), "SupernetSearch",
        "there must be a gradient for every alpha; got ", gradient.gradients.size(), " for ",
        alphas_.size());
  set_gradients(alphas_, gradient.gradients);
  kept_ = gradient.kept;
  return gradient.loss;
}

void SupernetSearch::update(Phase phase) {
  if (phase == Phase::weights) {
    const double norm = method_.clip_norm();
    if (norm > 0) clip_grad_norm(weight_optimizer_->parameters(), norm);
    const double rate = weight_optimizer_->learning_rate();
    weight_optimizer_->set_learning_rate(rate * method_.rate_scale(epoch()));
    weight_optimizer_->step(guard_);
    weight_optimizer_->set_learning_rate(rate);
  }
  if (phase == Phase::architecture || method_.trains_jointly()) {
    alpha_optimizer_->step(guard_);
    method_.project(alphas_);
  }
}

// Looks at the losses of all steps but the newest: by then the device has them, and still has work.
void SupernetSearch::drain_losses(std::size_t newest) {
  while (pending_.size() > newest) {
    const PendingLoss oldest = std::move(pending_.front());
    pending_.pop_front();
    const double loss = oldest.loss.get();
    if (!std::isfinite(loss)) {
      // Whoever catches this may go on. With the guard as it is, no later step would ever update
      // anything, and nobody would be told.
      guard_ = NonFiniteGuard(supernet_.device());
      kept_ = oldest.kept_before;
      throw NonFiniteLoss("search: the loss of the " + to_string(oldest.phase) + " is " +
                          std::to_string(loss) + " in step " + std::to_string(oldest.step) +
                          "; a smaller learning rate may help");
    }
    (oldest.phase == Phase::weights ? epoch_weight_loss_ : epoch_architecture_loss_) += loss;
  }
}

void SupernetSearch::watch(bool on) {
  for (const ChoiceLayers& here : choices_) {
    for (MixedLayer* layer : here.layers) layer->watch(on);
  }
}

void SupernetSearch::record_norms(Phase phase) {
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    NamedParameters parameters;
    double squares = 0;
    for (MixedLayer* layer : choices_[i].layers) {
      const double rms = layer->activation_rms();
      squares += rms * rms;
      for (std::int64_t k = 0; k < layer->choice().candidate_count(); ++k) {
        for (const Variable& parameter : layer->candidate(k).parameters()) {
          parameters.emplace_back("", parameter);
        }
      }
    }
    const double rms = std::sqrt(squares / static_cast<double>(choices_[i].layers.size()));
    (phase == Phase::weights ? activation_rms_ : architecture_rms_)[i] = rms;
    if (phase == Phase::weights) gradient_norms_[i] = gradient_norm(parameters);
  }
}

// Epochs ------------------------------------------------------------------------------------------

std::int64_t SupernetSearch::total_epochs() const { return method_.planned_steps(); }

std::int64_t SupernetSearch::epoch_steps() const {
  return trains_weights() ? epoch_weight_steps_ : epoch_architecture_steps_;
}

bool SupernetSearch::finished() const {
  return epoch() >= total_epochs() || method_.stops_early(history_);
}

bool SupernetSearch::trains_weights() const {
  const bool two_stage = method_.options().bilevel == Bilevel::two_stage;
  return epoch() < (two_stage ? method_.options().epochs : total_epochs());
}

bool SupernetSearch::trains_architecture() const {
  if (finished() || !method_.has_architecture_steps()) return false;
  return method_.options().bilevel == Bilevel::alternating || epoch() >= method_.options().epochs;
}

void SupernetSearch::set_learning_rate(double rate) {
  weight_optimizer_->set_learning_rate(rate);
  if (method_.trains_jointly()) alpha_optimizer_->set_learning_rate(rate);
}

std::vector<std::vector<double>> SupernetSearch::alphas() const {
  std::vector<std::vector<double>> values;
  for (const ChoiceLayers& here : choices_) values.push_back(here.choice->alpha_values());
  return values;
}

const SearchRecord& SupernetSearch::end_epoch(const ValidationLosses& validation) {
  drain_losses(0);
  std::map<std::string, double> measured;
  if (validation) {
    const FullPathsAfterwards restore{choices_};
    measured = method_.end_epoch(
        {.epoch = epoch(), .validation_losses = validation, .choices = choices_of(choices_)});
  }
  const auto mean = [](double sum, std::int64_t count) {
    return count == 0 ? 0.0 : sum / static_cast<double>(count);
  };
  SearchRecord record{
      .epoch = epoch(),
      .weight_steps = weight_steps_,
      .architecture_steps = architecture_steps_,
      .weight_loss = mean(epoch_weight_loss_, epoch_weight_steps_),
      .architecture_loss = mean(epoch_architecture_loss_, epoch_architecture_steps_),
      .choices = {},
      .values = std::move(measured)};
  const std::vector<std::vector<double>> values = alphas();
  const std::vector<std::int64_t> best = best_candidates(values);
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const SupernetChoice& choice = *choices_[i].choice;
    const std::vector<double> probabilities = choice.probabilities();
    record.choices.push_back({.name = choice.name(),
                              .candidates = choice.candidates(),
                              .alphas = values[i],
                              .probabilities = probabilities,
                              .entropy = entropy(probabilities),
                              .best = best[i],
                              .updates = choice.update_counts(),
                              .activation_rms = activation_rms_[i],
                              .gradient_norm = gradient_norms_[i],
                              .architecture_activation_rms = architecture_rms_[i]});
  }
  epoch_weight_steps_ = epoch_architecture_steps_ = 0;
  epoch_weight_loss_ = epoch_architecture_loss_ = 0;
  for (std::vector<double>* norms : {&activation_rms_, &architecture_rms_, &gradient_norms_}) {
    std::fill(norms->begin(), norms->end(), 0);
  }
  history_.push_back(std::move(record));
  return history_.back();
}

}  // namespace serenade
