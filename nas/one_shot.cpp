#include "nas/one_shot.h"

#include <algorithm>
#include <cmath>

#include "autograd/engine.h"
#include "nas/derive.h"
#include "nas/diagnostics.h"
#include "nas/supernet_search.h"
#include "tensor/check.h"

namespace serenade {

OneShot::OneShot(const SearchSpace& space, const StrategyOptions& options)
    : space_(space), options_(options) {
  space_.validate();
  check(options.epochs >= 0 && options.architecture_epochs >= 0, "strategy",
        "numbers of epochs must not be negative; got ", options.epochs, " and ",
        options.architecture_epochs);
}

OneShot::~OneShot() = default;

std::vector<double> Draw::alpha_values() const {
  if (!alpha.defined()) return std::vector<double>(static_cast<std::size_t>(candidates), 0.0);
  const std::vector<real> values = alpha.value().to(Device::cpu).to_vector();
  return {values.begin(), values.end()};
}

double ramp(std::int64_t epoch, std::int64_t epochs) {
  if (epochs < 2) return 0;
  return std::min(1.0, static_cast<double>(epoch) / static_cast<double>(epochs - 1));
}

// The defaults: first-order DARTS -----------------------------------------------------------------

Path OneShot::draw(const Draw& draw) const { return full_path(draw.candidates); }

real OneShot::initial_gain(std::int64_t n) const {
  const NoGrad no_graph;
  const Path path = draw({.candidates = n, .epochs = planned_steps(), .seed = options_.seed});
  const Variable c = coefficients(path, Tensor({n}));
  double squares = 0;  // of the active candidates: the others' entries are not read
  for (std::int64_t i = 0; i < n; ++i) {
    if (!path.active[static_cast<std::size_t>(i)]) continue;
    const double entry = c.value().at({i});
    squares += entry * entry;
  }
  return static_cast<real>(squares > 0 ? 1 / std::sqrt(squares) : 1);
}

// grad() walks only the part of the graph that leads to the trained parameters. Parameters that the
// paths leave out get no gradient at all.
StepGradient OneShot::weight_gradient(const WeightStep& step) const {
  const Variable loss = step.loss();
  // Or the paths lead past all weights: skip_connect alone.
  const bool depends = loss.defined() && loss.requires_grad() && loss.numel() == 1;
  return {loss, depends ? grad(loss, step.trained) : std::vector<Variable>(step.trained.size())};
}

StepGradient OneShot::architecture_gradient(const ArchitectureStep& step) const {
  // grad() walks only the part of the graph that leads to the alphas: no gradient of any weight is
  // computed.
  const Variable loss = step.validation_loss();
  return {loss, grad(loss, step.alphas)};
}

std::unique_ptr<Optimizer> OneShot::make_weight_optimizer(const NamedParameters& weights) const {
  return std::make_unique<Adam>(weights, Adam::Options{.lr = options_.learning_rate});
}

std::unique_ptr<Optimizer> OneShot::make_alpha_optimizer(const NamedParameters& alphas) const {
  const double rate = trains_jointly() ? options_.learning_rate : options_.alpha_learning_rate;
  return std::make_unique<Adam>(alphas, Adam::Options{.lr = rate});
}

std::vector<std::string> OneShot::warnings(const std::vector<SearchRecord>& history) const {
  return search_warnings(history);
}

Genotype OneShot::derive(const std::vector<std::vector<double>>& alphas) const {
  return derive_genotype(space_, alphas);
}

// Strategy ----------------------------------------------------------------------------------------

bool OneShot::advance(Problem& problem) {
  if (!search_) {
    auto search = std::make_unique<SupernetSearch>(problem.supernet(*this), *this);
    if (loaded_) search->load_state(*loaded_);
    search_ = std::move(search);
    loaded_.reset();
  }
  check(&problem.supernet(*this) == &search_->supernet(), "OneShot",
        "must be given the problem that its search began with");
  if (search_->finished()) return false;
  problem.begin_epoch(*search_);
  const bool weights = search_->trains_weights(), alphas = search_->trains_architecture();
  const std::int64_t steps = weights ? problem.train_batches() : problem.validation_batches();
  for (std::int64_t step = search_->epoch_steps(); step < steps; ++step) {
    const LossFunction train_loss = weights ? problem.next_train_loss() : LossFunction();
    StepRecord last;
    if (alphas) last = search_->architecture_step(problem.next_validation_loss(), train_loss);
    if (weights) last = search_->weight_step(train_loss);
    problem.end_step(last, step, steps);
  }
  search_->end_epoch([&](std::int64_t at_most) { return problem.validation_losses(at_most); });
  problem.end_epoch(*search_);
  return true;
}

std::int64_t OneShot::planned_steps() const {
  const bool two_stage = options_.bilevel == Bilevel::two_stage;
  return options_.epochs + (two_stage ? options_.architecture_epochs : 0);
}

Genotype OneShot::recommend() const {
  if (search_) return derive(search_->alphas());
  std::vector<std::vector<double>> alphas;
  const std::vector<SearchRecord> epochs = history();
  if (!epochs.empty()) {
    for (const ChoiceRecord& choice : epochs.back().choices) alphas.push_back(choice.alphas);
  } else {
    for (const Choice& choice : space_.choices) alphas.emplace_back(choice.candidates.size(), 0.0);
  }
  return derive(alphas);
}

std::vector<SearchRecord> OneShot::history() const {
  if (search_) return search_->history();
  return loaded_ ? SupernetSearch::history_of(*loaded_) : std::vector<SearchRecord>();
}

SafetensorsFile OneShot::save_state() {
  if (search_) return search_->save_state();
  return loaded_ ? *loaded_ : SupernetSearch::initial_state(*this);
}

void OneShot::load_state(const SafetensorsFile& state) {
  if (search_) {
    search_->load_state(state);
    return;
  }
  SupernetSearch::check_state(state, *this);
  SupernetSearch::history_of(state);  // throws where it is not readable
  loaded_.reset();
  if (!state.tensors.empty()) loaded_ = state;  // else of a search that had not begun
}

}  // namespace serenade
