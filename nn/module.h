#pragma once
// Module: something with parameters, made of smaller modules.
//
//   struct Classifier : Module {
//     Linear hidden{{.in_features = 8, .out_features = 16}};
//     Linear out{{.in_features = 16, .out_features = 4}};
//     Classifier() { register_module("hidden", hidden); register_module("out", out); }
//     Variable forward(const Variable& x) { return out.forward(relu(hidden.forward(x))); }
//   };
//
// Parameters are named by their path ("hidden.weight"). Children are members of their parent, which
// is why a module can be neither copied nor moved.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "autograd/variable.h"

namespace serenade {

/// Parameter and buffer values by their dotted names.
using StateDict = std::map<std::string, Tensor>;

/// Parameters with their dotted names; a Variable is a handle, so these are the parameters
/// themselves.
using NamedParameters = std::vector<std::pair<std::string, Variable>>;

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// All parameters with their dotted names: a module's own in order of registration, then those of
  /// its children.
  NamedParameters named_parameters() const;
  std::vector<Variable> parameters() const;
  /// Number of trainable reals: those of parameters that require a gradient.
  std::int64_t parameter_count() const;

  /// This module and everything below it, with dotted names ("" for itself), parents first.
  std::vector<std::pair<std::string, Module*>> named_modules();
  /// Direct children in order of registration.
  const std::vector<std::pair<std::string, Module*>>& children() const { return children_; }

  /// Copies of all parameter values.
  StateDict state_dict() const;
  /// Takes over the values; every name must be present with its shape, and no other. Throws
  /// std::invalid_argument naming the first name that is missing, unknown or of another shape; then
  /// nothing has changed.
  void load_state_dict(const StateDict& state);

  /// Drops all gradients.
  void zero_grad();

  /// Moves all parameters to a device, before optimisers are made of them. A parameter that moves
  /// loses its gradient.
  void to(Device device);
  /// Where its parameters are; the CPU for a module without any.
  Device device() const;

  /// Training mode switches dropout on; modules start in it.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }

 protected:
  /// Adds a parameter that is trained. Returns the Variable to keep as a member. Names are unique
  /// within a module and hold no dot.
  Variable register_parameter(const std::string& name, const Tensor& value);
  /// Adds a child, which must live as long as this module (a member).
  void register_module(const std::string& name, Module& child);

 private:
  void collect_parameters(const std::string& prefix, NamedParameters& found) const;
  void check_name(const char* op, const std::string& name) const;

  NamedParameters parameters_;
  std::vector<std::pair<std::string, Module*>> children_;
  bool training_ = true;
};

}  // namespace serenade
