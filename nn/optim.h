#pragma once
// Optimisers: they turn the gradients of parameters into new values.
//
//   Adam optimizer(net.named_parameters(), {.lr = 1e-3});
//   for (...) {
//     optimizer.zero_grad();
//     backward(loss_of(net, batch));
//     optimizer.step();
//   }
//
// A parameter that no gradient has reached is not touched at all: not its value, not its moments,
// not its count of steps. Architecture search rests on this: paths that were masked or not drawn
// stay exactly as they were. A parameter that is given under several names is one, under the first.
// The numbers of a parameter lie side by side and belong to no other; anything else is refused.
//
// Parameters that need a rate or a decay of their own come in groups:
//
//   AdamW optimizer({{.parameters = matrices}, {.parameters = biases, .weight_decay = 0}},
//                   {.lr = 1e-3, .weight_decay = 0.01});

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "nn/module.h"

namespace serenade {

/// All that an optimiser remembers, for an exact resume.
struct OptimizerState {
  double learning_rate = 0;
  std::map<std::string, std::int64_t> steps;  ///< updates so far, of each parameter ever updated
  StateDict tensors;                          ///< "<moment>.<parameter>", in the parameter's shape
};

/// Keeps a loss that is not a finite number from reaching the parameters, without the host having
/// to read it: on a device, the device looks.
///
///   Variable loss = ...;
///   backward(loss);
///   guard.watch(loss);
///   optimizer.step(guard);   nothing, now and ever after, if a watched loss was not finite
class NonFiniteGuard {
 public:
  explicit NonFiniteGuard(Device device);

  /// A loss of one or more elements, on the guard's device.
  void watch(const Variable& loss);
  /// Whether some watched loss was not finite. Waits for a device.
  bool stopped() const;

 private:
  friend class Optimizer;
  Tensor stopped_;  // [1], not 0 once stopped
};

/// Thrown by a loop whose loss is not a finite number. No parameter has been updated by that loss
/// or, on a device, by the steps launched since: a guard has seen to it.
struct NonFiniteLoss : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A parameter that is given under several names is one parameter, under the first of them.
NamedParameters without_repeats(NamedParameters parameters);

/// Parameters with a rate and a decay of their own.
struct ParameterGroup {
  NamedParameters parameters = {};
  double lr_scale = 1;  ///< times the optimiser's learning rate, which may change
  std::optional<double> weight_decay = {};  ///< in place of the optimiser's
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter that has a gradient: all of them or, where it throws (out of memory),
  /// none.
  void step();
  /// The same unless the guard has stopped. The counts of steps may then be one ahead: the host has
  /// not been told.
  void step(const NonFiniteGuard& guard);
  /// Drops the gradients of all its parameters.
  void zero_grad();

  double learning_rate() const { return learning_rate_; }
  void set_learning_rate(double rate);

  const NamedParameters& parameters() const { return parameters_; }

  /// A copy of the state; load_state_dict() continues from it as if there had been no break. Throws
  /// std::invalid_argument naming the entry that does not fit; then nothing has changed.
  OptimizerState state_dict() const;
  void load_state_dict(const OptimizerState& state);

 protected:
  /// moments: names of the tensors kept beside each parameter.
  Optimizer(std::vector<ParameterGroup> groups, double learning_rate, double weight_decay,
            std::vector<std::string> moments);

  /// One parameter that a step has to update.
  struct Update {
    Tensor value;  ///< shares the parameter's numbers
    Tensor gradient;
    std::vector<Tensor>* moments;  ///< in the order of the names, zero before the first step
    std::int64_t step;             ///< 1 at the first
    double learning_rate;          ///< of its group, like the decay
    double weight_decay;
  };

  /// The rule, for all parameters of a step together, so that it can be one call of a kernel.
  /// Must not throw once it has begun to write. stopped: of a guard, as the kernels take it, or
  /// null.
  virtual void apply(const std::vector<Update>& updates, const real* stopped) = 0;

 private:
  struct Slot {
    std::int64_t steps = 0;
    std::vector<Tensor> moments;  // empty until the first step
  };
  struct Setting {
    double lr_scale, weight_decay;
  };

  void update(const real* stopped);

  NamedParameters parameters_;
  std::vector<Setting> settings_;  // one per parameter, of its group
  std::vector<Slot> slots_;        // one per parameter
  std::vector<std::string> moment_names_;
  double learning_rate_;
};

/// Stochastic gradient descent (Sutskever et al. 2013, in PyTorch's form):
///   g += weight_decay w;  u = momentum u + g;  w -= lr (nesterov ? g + momentum u : u)
class SGD : public Optimizer {
 public:
  struct Options {
    double lr = 1e-2;
    double momentum = 0;
    bool nesterov = false;
    double weight_decay = 0;
  };

  SGD(NamedParameters parameters, const Options& options);
  SGD(std::vector<ParameterGroup> groups, const Options& options);

 private:
  void apply(const std::vector<Update>& updates, const real* stopped) override;
  Options options_;
};

/// Adam (Kingma & Ba 2015, algorithm 1), t counted for each parameter by itself:
///   g += weight_decay w;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
///   w -= lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
class Adam : public Optimizer {
 public:
  struct Options {
    double lr = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0;
  };

  Adam(NamedParameters parameters, const Options& options);
  Adam(std::vector<ParameterGroup> groups, const Options& options);

 protected:
  Adam(std::vector<ParameterGroup> groups, const Options& options, bool decoupled);

 private:
  void apply(const std::vector<Update>& updates, const real* stopped) override;
  Options options_;
  bool decoupled_ = false;
};

/// AdamW (Loshchilov & Hutter 2019, algorithm 2, in PyTorch's form): Adam whose decay does not pass
/// through the moments, w *= 1 - lr weight_decay before the step.
class AdamW : public Adam {
 public:
  struct Options {
    double lr = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 1e-2;
  };

  AdamW(NamedParameters parameters, const Options& options);
  AdamW(std::vector<ParameterGroup> groups, const Options& options);
};

/// RMSprop (Hinton 2012, lecture 6e, in PyTorch's form):
///   g += weight_decay w;  v = alpha v + (1 - alpha) g^2;  centered: m = alpha m + (1 - alpha) g
///   u = momentum u + g / (sqrt(v - m^2) + eps);  w -= lr u
class RMSprop : public Optimizer {
 public:
  struct Options {
    double lr = 1e-2;
    double alpha = 0.99;
    double eps = 1e-8;
    double weight_decay = 0;
    double momentum = 0;
    bool centered = false;
  };

  RMSprop(NamedParameters parameters, const Options& options);
  RMSprop(std::vector<ParameterGroup> groups, const Options& options);

 private:
  void apply(const std::vector<Update>& updates, const real* stopped) override;
  Options options_;
};

/// Euclidean norm of all gradients taken as one vector; parameters without one count as zero.
double gradient_norm(const NamedParameters& parameters);

/// Scales all gradients by max_norm / norm where the norm is larger (Pascanu et al. 2013). Returns
/// the norm before. A norm that is not finite leaves the gradients as they are.
double clip_grad_norm(const NamedParameters& parameters, double max_norm);

/// A gradient held NaN or infinity.
class NonFiniteGradient : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws NonFiniteGradient naming the first parameter whose gradient is not finite. Reads every
/// gradient, so it is for programs that ask for it.
void check_finite_gradients(const NamedParameters& parameters);

}  // namespace serenade
