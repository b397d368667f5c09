#include "nn/moving_average.h"

#include <utility>

#include "kernels/optim/optim.h"
#include "nn/optim.h"
#include "tensor/check.h"

namespace serenade {

ExponentialMovingAverage::ExponentialMovingAverage(const NamedParameters& parameters,
                                                   const Options& options)
    : parameters_(without_repeats(parameters)), decay_(options.decay) {
  check(decay_ >= 0 && decay_ < 1, "ExponentialMovingAverage", "decay must be in [0, 1); got ",
        decay_);
  for (const auto& [name, parameter] : parameters_) {
    averages_.push_back(parameter.value().contiguous().clone());
  }
  check(!parameters_.empty(), "ExponentialMovingAverage", "there must be parameters; got none");
}

// A step of gradient descent towards the parameter, whose gradient is average - parameter: the
// kernel forms `gradient + weight_decay * value`, here -(average - parameter).
void ExponentialMovingAverage::update() {
  check(!swapped_, "ExponentialMovingAverage::update", "the averages must not be in use");
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    const Tensor value = parameters_[i].second.value().contiguous();
    check(value.shape() == averages_[i].shape() && value.device() == averages_[i].device(),
          "ExponentialMovingAverage::update", "a parameter must keep its shape and device; '",
          parameters_[i].first, "' is now ", value.shape());
    KERNEL(value.device(), sgd_step, averages_[i].data(), nullptr, value.data(), value.numel(),
           {.learning_rate = decay_ - 1, .weight_decay = -1});
  }
}

ExponentialMovingAverage::Swapped::Swapped(ExponentialMovingAverage& average) : average_(average) {
  check(!average.swapped_, "ExponentialMovingAverage::swap_in",
        "the averages must not be in use already");
  for (const auto& [name, parameter] : average.parameters_) {
    own_.push_back(parameter.value().clone());
  }
  for (std::size_t i = 0; i < own_.size(); ++i) {
    average.parameters_[i].second.value().copy_(average.averages_[i]);
  }
  average.swapped_ = true;
}

ExponentialMovingAverage::Swapped::~Swapped() {
  for (std::size_t i = 0; i < own_.size(); ++i) {
    average_.parameters_[i].second.value().copy_(own_[i]);
  }
  average_.swapped_ = false;
}

StateDict ExponentialMovingAverage::state_dict() const {
  StateDict state;
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    state[parameters_[i].first] = averages_[i].clone();
  }
  return state;
}

void ExponentialMovingAverage::load_state_dict(const StateDict& state) {
  std::vector<Tensor> loaded;
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    const std::string& name = parameters_[i].first;
    const auto found = state.find(name);
    check(found != state.end(), "ExponentialMovingAverage::load_state_dict",
          "every parameter must have its average; '", name, "' is missing");
    check(found->second.shape() == averages_[i].shape(),
          "ExponentialMovingAverage::load_state_dict", "shapes must agree; got '", name, "' ",
          found->second.shape(), " for a parameter of shape ", averages_[i].shape());
    loaded.push_back(found->second.to(averages_[i].device()).contiguous().clone());
  }
  check(state.size() == averages_.size(), "ExponentialMovingAverage::load_state_dict",
        "every entry must belong to a parameter here; got ", state.size() - averages_.size(),
        " that do not");
  averages_ = std::move(loaded);
}

}  // namespace serenade
