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
//
// Buffers are state that is kept and saved but not trained: running statistics, say. A parameter or
// buffer that is registered in several places (layers that share their weights) is one: it is
// listed, counted, updated and saved once, under the first of its names.

#include <functional>
#include <map>
#include <memory>
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

/// A parameter as a member of its module: a Variable that does not become another one, for the
/// module would go on training the one that it knows.
class Parameter : public Variable {
 public:
  Parameter() = default;
  Parameter(const Variable& variable) : Variable(variable) {}  // NOLINT: what was registered
  Parameter(const Parameter&) = default;
  ~Parameter() = default;

  /// Once, with what register_parameter() returned. Throws std::invalid_argument after that: other
  /// values are written into the parameter, by value().copy_(..) or load_state_dict().
  Parameter& operator=(const Variable& variable);
  Parameter& operator=(const Parameter& other) {  // NOLINT: a copy of itself is refused as well
    return *this = static_cast<const Variable&>(other);
  }
};

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// All parameters with their dotted names: a module's own in order of registration, then those of
  /// its children.
  NamedParameters named_parameters() const;
  /// All buffers, likewise.
  NamedParameters named_buffers() const;
  std::vector<Variable> parameters() const;
  /// Number of trainable reals: those of parameters that require a gradient.
  std::int64_t parameter_count() const;

  /// This module and everything below it, with dotted names ("" for itself), parents first.
  std::vector<std::pair<std::string, Module*>> named_modules();
  /// Direct children in order of registration.
  const std::vector<std::pair<std::string, Module*>>& children() const { return children_; }

  /// Copies of the values of all parameters and buffers.
  StateDict state_dict() const;
  /// Takes over the values; every name must be present with its shape, and no other. Throws
  /// std::invalid_argument naming the first name that is missing, unknown or of another shape; then
  /// nothing has changed.
  void load_state_dict(const StateDict& state);

  /// Drops all gradients.
  void zero_grad();

  /// Moves all parameters and buffers to a device, before optimisers are made of them. A parameter
  /// that moves loses its gradient.
  void to(Device device);
  /// Where its parameters are; the CPU for a module without any.
  Device device() const;

  /// Training mode switches dropout on; modules start in it.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }

 protected:
  /// Adds a parameter that is trained. Returns the Variable to keep as a member, a Parameter. Names
  /// are unique within a module and hold no dot.
  Variable register_parameter(const std::string& name, const Tensor& value);
  /// Adds a parameter that another module has too: the two share it.
  Variable register_parameter(const std::string& name, const Variable& shared);
  /// Adds a buffer. Returns the Variable to keep as a member; it never requires a gradient.
  Variable register_buffer(const std::string& name, const Tensor& value);
  /// Adds a child, which must live as long as this module (a member).
  void register_module(const std::string& name, Module& child);

 private:
  /// Calls visit(dotted name, Variable) for what `own` lists, here and below.
  void visit(const NamedParameters Module::*own, const std::string& prefix,
             const std::function<void(const std::string&, const Variable&)>& visitor) const;
  NamedParameters collect(const NamedParameters Module::*own) const;
  std::string first_name_of(const std::string& alias) const;
  void check_name(const char* op, const std::string& name) const;

  NamedParameters parameters_, buffers_;
  std::vector<std::pair<std::string, Module*>> children_;
  bool training_ = true;
};

/// Modules in a row, named "0", "1", ..: as many blocks as an option says.
///
///   struct Deep : Module {
///     ModuleList<Linear> layers;
///     explicit Deep(int depth) {
///       for (int i = 0; i < depth; ++i) layers.add({.in_features = 8, .out_features = 8});
///       register_module("layers", layers);
///     }
///   };
template <class M>
class ModuleList : public Module {
 public:
  /// Makes a module of these options at the end, and returns it.
  template <class Options = typename M::Options>
  M& add(const Options& options) {
    return add(std::make_unique<M>(options));
  }
  M& add(std::unique_ptr<M> module) {
    register_module(std::to_string(modules_.size()), *module);
    modules_.push_back(std::move(module));
    return *modules_.back();
  }

  std::size_t size() const { return modules_.size(); }
  M& operator[](std::size_t i) { return *modules_.at(i); }
  const M& operator[](std::size_t i) const { return *modules_.at(i); }

 private:
  std::vector<std::unique_ptr<M>> modules_;
};

}  // namespace serenade
