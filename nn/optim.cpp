// Optimisers: who is updated, and what is remembered. The arithmetic of one step is a kernel,
// called from here directly: it has no gradient, so it is no function of autograd.

#include "nn/optim.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "kernels/optim/optim.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// A rule walks over the numbers of a parameter as one block, and over each number once.
void check_leaves(const NamedParameters& parameters) {
  struct Block {
    const real* begin;
    const real* end;
    const std::string* name;
  };
  std::vector<Block> blocks;
  for (const auto& [name, parameter] : parameters) {
    const Tensor& value = parameter.value();
    check(value.is_contiguous(), "Optimizer",
          "parameters must be contiguous, and no slice of columns or expanded view; '", name,
          "' is not");
    blocks.push_back({value.data(), value.data() + value.numel(), &name});
  }
  std::sort(blocks.begin(), blocks.end(),
            [](const Block& a, const Block& b) { return std::less<>()(a.begin, b.begin); });
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    check(!std::less<>()(blocks[i].begin, blocks[i - 1].end), "Optimizer",
          "parameters must not share numbers; '", *blocks[i - 1].name, "' and '", *blocks[i].name,
          "' do");
  }
}

}  // namespace

NamedParameters without_repeats(NamedParameters parameters) {
  std::set<const void*> seen;
  std::erase_if(parameters, [&seen](const auto& named) {
    return !seen.insert(named.second.identity()).second;
  });
  return parameters;
}

NonFiniteGuard::NonFiniteGuard(Device device) : stopped_({1}, device) {}

void NonFiniteGuard::watch(const Variable& loss) {
  check(loss.device() == stopped_.device(), "NonFiniteGuard",
        "the loss must be on the guard's device");
  const Tensor values = loss.value().contiguous();
  KERNEL(stopped_.device(), record_non_finite, stopped_.data(), values.data(), values.numel());
}

bool NonFiniteGuard::stopped() const { return stopped_.item() != 0; }

// The base: whom to update, and the state -------------------------------------------------------

Optimizer::Optimizer(std::vector<ParameterGroup> groups, double learning_rate, double weight_decay,
                     std::vector<std::string> moments)
    : moment_names_(std::move(moments)) {
  std::set<std::string> names;
  std::set<const void*> seen;
  for (const ParameterGroup& group : groups) {
    const Setting setting{group.lr_scale, group.weight_decay.value_or(weight_decay)};
    check(setting.lr_scale >= 0 && std::isfinite(setting.lr_scale) && setting.weight_decay >= 0 &&
              std::isfinite(setting.weight_decay),
          "Optimizer", "lr_scale and weight_decay must be finite and not negative; got ",
          setting.lr_scale, " and ", setting.weight_decay);
    for (const auto& [name, parameter] : group.parameters) {
      check(parameter.defined(), "Optimizer", "parameters must be defined; got none for '", name,
            "'");
      check(names.insert(name).second, "Optimizer", "names must be unique; got '", name, "' twice");
      if (!seen.insert(parameter.identity()).second)
        continue;  // one parameter, under its first name
      parameters_.emplace_back(name, parameter);
      settings_.push_back(setting);
    }
  }
  check(!parameters_.empty(), "Optimizer",
        "there must be parameters; got none: has the module registered its layers?");
  check_leaves(parameters_);
  slots_.resize(parameters_.size());
  set_learning_rate(learning_rate);
}

void Optimizer::set_learning_rate(double rate) {
  check(rate >= 0 && std::isfinite(rate), "Optimizer",
        "the learning rate must be finite and not negative; got ", rate);
  learning_rate_ = rate;
}

void Optimizer::step() { update(nullptr); }

void Optimizer::step(const NonFiniteGuard& guard) {
  // Where it is known by now, nothing has to be prepared.
  if (!runs_ahead(guard.stopped_.device()) && guard.stopped()) return;
  update(guard.stopped_.data());
}

void Optimizer::update(const real* stopped) {
  // Whatever can fail comes first: a step happens to all parameters or to none.
  std::vector<Update> updates;
  std::vector<Slot*> updated;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    auto& [name, parameter] = parameters_[i];
    if (!parameter.requires_grad() || !parameter.grad().defined()) continue;
    const Tensor& value = parameter.value();
    Slot& slot = slots_[i];
    if (slot.moments.empty()) {
      std::vector<Tensor> moments;
      for (std::size_t k = 0; k < moment_names_.size(); ++k) {
        moments.emplace_back(value.shape(), value.device());
      }
      slot.moments = std::move(moments);
    }
    check(value.is_contiguous() && value.shape() == parameter.grad().shape() &&
              (slot.moments.empty() || slot.moments[0].shape() == value.shape()),
          "Optimizer", "a parameter must keep its shape and be contiguous; '", name, "' is now ",
          value.shape());
    updates.push_back({value, parameter.grad().contiguous(), &slot.moments, slot.steps + 1,
                       learning_rate_ * settings_[i].lr_scale, settings_[i].weight_decay});
    updated.push_back(&slot);
  }
  apply(updates, stopped);
  for (Update& update : updates) update.value.mark_changed();
  for (Slot* slot : updated) ++slot->steps;
}

void Optimizer::zero_grad() {
  for (auto& [name, parameter] : parameters_) parameter.zero_grad();
}

OptimizerState Optimizer::state_dict() const {
  OptimizerState state;
  state.learning_rate = learning_rate_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (slots_[i].steps == 0) continue;
    const std::string& name = parameters_[i].first;
    state.steps[name] = slots_[i].steps;
    for (std::size_t k = 0; k < moment_names_.size(); ++k) {
      state.tensors[moment_names_[k] + "." + name] = slots_[i].moments[k].clone();
    }
  }
  return state;
}

void Optimizer::load_state_dict(const OptimizerState& state) {
  std::vector<Slot> loaded(parameters_.size());
  std::size_t used_steps = 0, used_tensors = 0;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto& [name, parameter] = parameters_[i];
    const auto steps = state.steps.find(name);
    if (steps == state.steps.end()) continue;
    check(steps->second > 0, "Optimizer::load_state_dict", "steps must be positive; got ",
          steps->second, " for '", name, "'");
    ++used_steps;
    loaded[i].steps = steps->second;
    for (const std::string& moment : moment_names_) {
      const auto found = state.tensors.find(moment + "." + name);
      check(found != state.tensors.end(), "Optimizer::load_state_dict",
            "a parameter that was updated must have its moments; '", moment, ".", name,
            "' is missing");
      check(found->second.shape() == parameter.shape(), "Optimizer::load_state_dict",
            "shapes must agree; got '", found->first, "' ", found->second.shape(),
            " for a parameter of shape ", parameter.shape());
      ++used_tensors;
      loaded[i].moments.push_back(found->second.to(parameter.device()).contiguous().clone());
    }
  }
  check(used_steps == state.steps.size() && used_tensors == state.tensors.size(),
        "Optimizer::load_state_dict", "every entry must belong to a parameter here; got ",
        state.steps.size() - used_steps, " parameters and ", state.tensors.size() - used_tensors,
        " tensors that do not");
  set_learning_rate(state.learning_rate);
  slots_ = std::move(loaded);
}

// The rules -------------------------------------------------------------------------------------

namespace {

// Parameters alone are one group with the optimiser's own settings.
std::vector<ParameterGroup> one_group(NamedParameters parameters) {
  std::vector<ParameterGroup> groups(1);
  groups[0].parameters = std::move(parameters);
  return groups;
}

using Names = std::vector<std::string>;

Names rmsprop_moments(const RMSprop::Options& options) {
  Names names = {"square"};
  if (options.centered) names.push_back("mean");
  if (options.momentum != 0) names.push_back("velocity");
  return names;
}

}  // namespace

SGD::SGD(NamedParameters parameters, const Options& options)
    : SGD(one_group(std::move(parameters)), options) {}

SGD::SGD(std::vector<ParameterGroup> groups, const Options& options)
    : Optimizer(std::move(groups), options.lr, options.weight_decay,
                options.momentum != 0 ? Names{"velocity"} : Names{}),
      options_(options) {
  check(options.momentum >= 0 && options.momentum < 1, "SGD", "momentum must be in [0, 1); got ",
        options.momentum);
  check(!options.nesterov || options.momentum > 0, "SGD", "nesterov must have a momentum; got 0");
}

void SGD::apply(const std::vector<Update>& updates, const real* stopped) {
  for (const Update& update : updates) {
    real* velocity = update.moments->empty() ? nullptr : (*update.moments)[0].data();
    Tensor value = update.value;
    KERNEL(value.device(), sgd_step, value.data(), velocity, update.gradient.data(), value.numel(),
           {.learning_rate = update.learning_rate,
            .momentum = options_.momentum,
            .nesterov = options_.nesterov,
            .weight_decay = update.weight_decay,
            .stopped = stopped});
  }
}

Adam::Adam(NamedParameters parameters, const Options& options)
    : Adam(one_group(std::move(parameters)), options) {}

Adam::Adam(std::vector<ParameterGroup> groups, const Options& options)
    : Adam(std::move(groups), options, false) {}

Adam::Adam(std::vector<ParameterGroup> groups, const Options& options, bool decoupled)
    : Optimizer(std::move(groups), options.lr, options.weight_decay,
                {"first_moment", "second_moment"}),
      options_(options),
      decoupled_(decoupled) {
  check(options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1, "Adam",
        "betas must be in [0, 1); got ", options.beta1, " and ", options.beta2);
  check(options.eps > 0, "Adam", "eps must be positive; got ", options.eps);
}

void Adam::apply(const std::vector<Update>& updates, const real* stopped) {
  // A launch for all tensors that share a device, a rate and a decay.
  std::map<std::tuple<Device, double, double>, std::vector<AdamTensor>> launches;
  for (const Update& update : updates) {
    Tensor value = update.value;
    std::vector<Tensor>& moments = *update.moments;
    launches[{value.device(), update.learning_rate, update.weight_decay}].push_back(
        {value.data(), moments[0].data(), moments[1].data(), update.gradient.data(), value.numel(),
         update.step});
  }
  for (const auto& [setting, tensors] : launches) {
    const auto& [device, learning_rate, weight_decay] = setting;
    KERNEL(device, adam_step, tensors.data(), static_cast<std::int64_t>(tensors.size()),
           {.learning_rate = learning_rate,
            .beta1 = options_.beta1,
            .beta2 = options_.beta2,
            .epsilon = options_.eps,
            .weight_decay = weight_decay,
            .decoupled = decoupled_,
            .stopped = stopped});
  }
}

AdamW::AdamW(NamedParameters parameters, const Options& options)
    : AdamW(one_group(std::move(parameters)), options) {}

AdamW::AdamW(std::vector<ParameterGroup> groups, const Options& options)
    : Adam(std::move(groups),
           {.lr = options.lr,
            .beta1 = options.beta1,
            .beta2 = options.beta2,
            .eps = options.eps,
            .weight_decay = options.weight_decay},
           true) {}

RMSprop::RMSprop(NamedParameters parameters, const Options& options)
    : RMSprop(one_group(std::move(parameters)), options) {}

RMSprop::RMSprop(std::vector<ParameterGroup> groups, const Options& options)
    : Optimizer(std::move(groups), options.lr, options.weight_decay, rmsprop_moments(options)),
      options_(options) {
  check(options.alpha >= 0 && options.alpha < 1 && options.momentum >= 0 && options.momentum < 1,
        "RMSprop", "alpha and momentum must be in [0, 1); got ", options.alpha, " and ",
        options.momentum);
  check(options.eps > 0, "RMSprop", "eps must be positive; got ", options.eps);
}

void RMSprop::apply(const std::vector<Update>& updates, const real* stopped) {
  for (const Update& update : updates) {
    std::vector<Tensor>& moments = *update.moments;
    real* mean = options_.centered ? moments[1].data() : nullptr;
    real* velocity = options_.momentum != 0 ? moments.back().data() : nullptr;
    Tensor value = update.value;
    KERNEL(value.device(), rmsprop_step, value.data(), moments[0].data(), mean, velocity,
           update.gradient.data(), value.numel(),
           {.learning_rate = update.learning_rate,
            .alpha = options_.alpha,
            .epsilon = options_.eps,
            .momentum = options_.momentum,
            .weight_decay = update.weight_decay,
            .stopped = stopped});
  }
}

// Gradients as a whole --------------------------------------------------------------------------

double gradient_norm(const NamedParameters& parameters) {
  const NoGrad no_grad;
  double total = 0;
  for (const auto& [name, parameter] : without_repeats(parameters)) {
    const Tensor& gradient = parameter.grad();
    if (gradient.defined()) total += static_cast<double>(sum(mul(gradient, gradient)).item());
  }
  return std::sqrt(total);
}

double clip_grad_norm(const NamedParameters& parameters, double max_norm) {
  check(max_norm > 0, "clip_grad_norm", "max_norm must be positive; got ", max_norm);
  const double norm = gradient_norm(parameters);
  if (!std::isfinite(norm) || norm <= max_norm) return norm;
  const NoGrad no_grad;
  for (const auto& [name, parameter] : without_repeats(parameters)) {
    if (!parameter.grad().defined()) continue;
    Variable target = parameter;
    target.set_grad(affine(parameter.grad(), static_cast<real>(max_norm / norm)).value());
  }
  return norm;
}

void check_finite_gradients(const NamedParameters& parameters) {
  for (const auto& [name, parameter] : parameters) {
    if (!parameter.grad().defined()) continue;
    const Tensor gradient = parameter.grad().to(Device::cpu).contiguous();
    const std::int64_t i = first_non_finite(gradient);
    if (i < 0) continue;
    throw NonFiniteGradient("gradient of '" + name + "' " + to_string(gradient.shape()) +
                            " is not finite: element " + std::to_string(i) + " is " +
                            std::to_string(gradient.data()[i]));
  }
}

}  // namespace serenade
