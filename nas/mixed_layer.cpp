#include "nas/mixed_layer.h"

#include <algorithm>
#include <cmath>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/entangle.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// c[i] as a tensor of one element, which broadcasts.
Variable entry(const Variable& c, std::size_t i) {
  return slice(c, 0, static_cast<std::int64_t>(i), 1);
}

// Adds a term to a sum that may not have begun.
void accumulate(Variable& total, const Variable& term) {
  total = total.defined() ? add(total, term) : term;
}

bool operator==(const Padding& a, const Padding& b) {
  return a.top == b.top && a.bottom == b.bottom && a.left == b.left && a.right == b.right;
}

// Whether the form's padding is that of a 'same' convolution of stride 1, by which merged kernels
// are aligned. 'Same' padding at a larger stride depends on the input's size.
bool is_centred(const LinearForm& form) {
  if (!form.padding) return form.stride == std::array<std::int64_t, 2>{1, 1};
  return *form.padding == same_padding({form.weight.size(2), form.weight.size(3)});
}

}  // namespace

bool can_merge(const LinearForm& a, const LinearForm& b) {
  if (a.is_convolution() != b.is_convolution()) return false;
  if (a.bias.defined() != b.bias.defined() || a.weight.size(1) != b.weight.size(1)) return false;
  if (!a.is_convolution()) return true;
  return a.weight.size(0) == b.weight.size(0) && a.stride == b.stride && is_centred(a) &&
         is_centred(b);
}

// SupernetChoice ----------------------------------------------------------------------------------

SupernetChoice::SupernetChoice(Choice choice)
    : choice_(std::move(choice)), update_counts_(choice_.candidates.size(), 0) {
  check(!choice_.candidates.empty(), "SupernetChoice",
        "there must be at least one candidate; got none");
  alpha_ = Variable(Tensor({candidate_count()}), /*requires_grad=*/true);
  path_ = full_path(candidate_count());
}

std::vector<double> SupernetChoice::alpha_values() const {
  const std::vector<real> alpha = alpha_.value().to(Device::cpu).to_vector();
  return {alpha.begin(), alpha.end()};
}

std::vector<double> SupernetChoice::probabilities() const {
  const NoGrad no_graph;
  const std::vector<real> a = softmax(alpha_, 0).value().to(Device::cpu).to_vector();
  return {a.begin(), a.end()};
}

std::int64_t SupernetChoice::best() const {
  const std::vector<double> alpha = alpha_values();
  return std::max_element(alpha.begin(), alpha.end()) - alpha.begin();
}

void SupernetChoice::set_path(Path path) {
  check(static_cast<std::int64_t>(path.active.size()) == candidate_count() &&
            (path.uses_alpha() || path.active_count() >= 1),
        "SupernetChoice", "the path must have one digit per candidate, and not all 0; got '",
        path.to_string(), "' for ", candidate_count());
  check(path.uses_alpha() || path.active_count() == 1, "SupernetChoice",
        "a path without coefficients must have one active candidate; got '", path.to_string(), "'");
  path_ = std::move(path);
}

void SupernetChoice::set_update_counts(std::vector<std::int64_t> counts) {
  check(counts.size() == update_counts_.size(), "SupernetChoice",
        "there must be one count per candidate; got ", counts.size(), " for ",
        update_counts_.size());
  update_counts_ = std::move(counts);
}

void SupernetChoice::count_update() {
  for (std::size_t i = 0; i < update_counts_.size(); ++i) update_counts_[i] += path_.active[i];
}

// MixedLayer --------------------------------------------------------------------------------------

MixedLayer::MixedLayer(std::shared_ptr<SupernetChoice> choice,
                       std::vector<std::unique_ptr<Layer>> candidates, const Options& options)
    : choice_(std::move(choice)), candidates_(std::move(candidates)) {
  check(choice_ != nullptr, "MixedLayer", "a choice must be given; got none");
  check(static_cast<std::int64_t>(candidates_.size()) == choice_->candidate_count(), "MixedLayer",
        "there must be a layer for each candidate; got ", candidates_.size(), " for ",
        choice_->candidate_count());
  if (options.entangle) entangle(candidates_);
  register_parameter("alpha", choice_->alpha());
  register_module("ops", ops_);
  std::int64_t dense = 0, width = 0;
  for (const std::unique_ptr<Layer>& candidate : candidates_) {
    check(candidate != nullptr, "MixedLayer", "every candidate must have a layer; got none for '",
          choice_->candidates()[ops_.children().size()], "'");
    ops_.append(*candidate);
    const std::optional<LinearForm> form = candidate->linear_form();
    if (!form || form->is_convolution()) continue;
    ++dense;
    width = std::max(width, form->weight.size(0));
  }
  if (dense == choice_->candidate_count()) widest_ = width;
  if (options.merge) find_merged();
}

MixedLayer::MixedLayer(std::shared_ptr<SupernetChoice> choice,
                       std::vector<std::unique_ptr<Layer>> candidates)
    : MixedLayer(std::move(choice), std::move(candidates), Options()) {}

// The candidates that can be merged with the first one that has a linear form.
void MixedLayer::find_merged() {
  std::optional<LinearForm> first;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const std::optional<LinearForm> form = candidates_[i]->linear_form();
    if (!form || !can_merge(first ? *first : *form, *form)) continue;
    if (!first) first = form;
    merged_.push_back(i);
  }
  if (merged_.size() < 2) merged_.clear();
}

bool MixedLayer::has_crops() const {
  return std::any_of(candidates_.begin(), candidates_.end(),
                     [](const auto& candidate) { return is_crop(*candidate); });
}

Variable MixedLayer::widened(const Variable& y) const {
  const std::int64_t missing = widest_ == 0 ? 0 : widest_ - y.size(-1);
  return missing == 0 ? y : pad(y, -1, 0, missing);
}

// The candidates of merged_ as one layer. c: [n].
LinearForm MixedLayer::merged_form(const Variable& c) {
  std::vector<Variable> weights, biases, entries;
  std::vector<bool> active;
  LinearForm form;
  for (const std::size_t i : merged_) {
    form = *candidates_[i]->linear_form();
    weights.push_back(form.weight);
    biases.push_back(form.bias);
    active.push_back(choice_->path().active[i]);
    if (merged_.size() < candidates_.size()) entries.push_back(entry(c, i));
  }
  const Variable chosen = entries.empty() ? c : concat(entries, 0);
  const bool biased = form.bias.defined();
  if (form.is_convolution()) {
    form.unused_taps = unused_taps(weights, active);
    form.weight = mixed_kernel(weights, chosen, active);
    if (form.padding) form.padding = same_padding({form.weight.size(2), form.weight.size(3)});
  } else {
    // A weight is stored row after row, so padding it with rows of zeros is padding its elements,
    // read as a vector, with zeros at the end: what mixed_bias does.
    const std::int64_t in_features = form.weight.size(1);
    for (Variable& weight : weights) weight = flatten(weight);
    form.weight = reshape(mixed_bias(weights, chosen, active), {-1, in_features});
  }
  if (biased) form.bias = mixed_bias(biases, chosen, active);
  return form;
}

// Whether one candidate is all there is to run. A dense layer has the width of the widest candidate
// whichever takes part, so it stays merged.
bool MixedLayer::runs_alone() const { return !choice_->path().uses_alpha() && widest_ == 0; }

std::optional<LinearForm> MixedLayer::linear_form() {
  if (scale_ != Scale::free) return std::nullopt;
  if (runs_alone()) return candidate(choice_->path().first_active()).linear_form();
  if (merged_.size() < candidates_.size() || choice_->path().active_count() == 0) {
    return std::nullopt;
  }
  return merged_form(choice_->coefficients());
}

Variable MixedLayer::forward(const Variable& x) {
  Variable y = runs_alone() ? candidate(choice_->path().first_active()).forward(x) : mixture(x);
  if (scale_ != Scale::free) y = scaled(y);
  if (watching_) observe(y);
  return y;
}

Variable MixedLayer::mixture(const Variable& x) {
  const std::vector<bool>& active = choice_->path().active;
  const Variable c = choice_->coefficients();
  Variable total;
  if (std::any_of(merged_.begin(), merged_.end(), [&](std::size_t i) { return active[i]; })) {
    total = merged_form(c)(x);
  }
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (!active[i] || std::find(merged_.begin(), merged_.end(), i) != merged_.end()) continue;
    const Variable y = widened(candidates_[i]->forward(x));
    check(!total.defined() || total.shape() == y.shape(), "MixedLayer",
          "the candidates of a choice must have outputs of one shape; got ", y.shape(), " of '",
          choice_->candidates()[i], "' of '", choice_->name(), "' beside ",
          total.defined() ? total.shape() : Shape());
    accumulate(total, mul(y, entry(c, i)));
  }
  return total.defined() ? total : nothing(x);
}

// Zeros in the shape that any candidate's output has.
Variable MixedLayer::nothing(const Variable& x) {
  const NoGrad no_graph;
  return Tensor(widened(candidate(0).forward(x)).shape()).to(x.device());
}

void MixedLayer::observe(const Variable& y) {
  if (watching_) watched_ = y.detach();
}

double MixedLayer::activation_rms() {
  if (watched_.defined()) {
    const NoGrad no_graph;
    activation_rms_ = std::sqrt(static_cast<double>(mean(mul(watched_, watched_)).item()));
    watched_ = Variable();
  }
  return activation_rms_;
}

void MixedLayer::set_scale(Scale scale) {
  check(scale != Scale::matched || kept_rms_.defined(), "MixedLayer::set_scale",
        "there must be a scale to match; none was kept of '", choice_->name(), "'");
  scale_ = scale;
}

Variable MixedLayer::scaled(const Variable& y) {
  const Variable rms = sqrt(mean(mul(y, y)));
  if (scale_ == Scale::kept) {
    kept_rms_ = rms.detach();
    return y;
  }
  constexpr real kTiny = 1e-30;  // an output of zeros stays one
  return mul(y, div(kept_rms_, affine(rms, 1, kTiny)));
}

// The mixed layers of a supernet ------------------------------------------------------------------

std::vector<NamedMixedLayer> find_mixed_layers(Module& module) {
  std::vector<NamedMixedLayer> found;
  for (const auto& [name, part] : module.named_modules()) {
    if (auto* layer = dynamic_cast<MixedLayer*>(part)) found.push_back({name, layer});
  }
  return found;
}

std::vector<ChoiceLayers> find_choices(Module& supernet, const SearchSpace& space) {
  std::vector<ChoiceLayers> found(space.choices.size());
  for (const auto& [path, layer] : find_mixed_layers(supernet)) {
    ChoiceLayers& here = found[space.index_of(layer->choice().name())];
    const Choice& choice = space.choice(layer->choice().name());
    check(layer->choice().candidates() == choice.candidates, "supernet",
          "candidates must be those of the space; those of '", path, "' differ from choice '",
          choice.name, "'");
    check(here.choice == nullptr || here.choice == layer->shared_choice(), "supernet",
          "the layers of a choice must share its alpha; '", path, "' has one of its own for '",
          choice.name, "'");
    here.choice = layer->shared_choice();
    here.layers.push_back(layer);
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    check(found[i].choice != nullptr, "supernet", "must have a mixed layer for every choice; '",
          space.choices[i].name, "' has none");
  }
  return found;
}

void set_child(Module& supernet, const SearchSpace& space, const Genotype& genotype) {
  const std::vector<std::int64_t> indices = choice_indices(genotype, space);
  const std::vector<ChoiceLayers> choices = find_choices(supernet, space);
  for (std::size_t i = 0; i < choices.size(); ++i) {
    choices[i].choice->set_path(single_path(choices[i].choice->candidate_count(), indices[i]));
  }
}

void set_full_paths(Module& supernet) {
  for (const auto& [name, layer] : find_mixed_layers(supernet)) {
    layer->choice().set_path(full_path(layer->choice().candidate_count()));
  }
}

void set_scale(Module& supernet, MixedLayer::Scale scale) {
  for (const auto& [name, layer] : find_mixed_layers(supernet)) layer->set_scale(scale);
}

}  // namespace serenade
