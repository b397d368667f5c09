// Bookkeeping of modules: names, values, training mode. No arithmetic happens here.

#include "nn/module.h"

#include "tensor/check.h"

namespace serenade {

NamedParameters Module::named_parameters() const {
  NamedParameters found;
  collect_parameters("", found);
  return found;
}

void Module::collect_parameters(const std::string& prefix, NamedParameters& found) const {
  for (const auto& [name, parameter] : parameters_) found.emplace_back(prefix + name, parameter);
  for (const auto& [name, child] : children_) child->collect_parameters(prefix + name + ".", found);
}

std::vector<Variable> Module::parameters() const {
  std::vector<Variable> found;
  for (const auto& [name, parameter] : named_parameters()) found.push_back(parameter);
  return found;
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const Variable& parameter : parameters()) {
    if (parameter.requires_grad()) count += parameter.numel();
  }
  return count;
}

std::vector<std::pair<std::string, Module*>> Module::named_modules() {
  std::vector<std::pair<std::string, Module*>> found{{"", this}};
  for (const auto& [name, child] : children_) {
    for (const auto& [below, module] : child->named_modules()) {
      found.emplace_back(below.empty() ? name : name + "." + below, module);
    }
  }
  return found;
}

StateDict Module::state_dict() const {
  StateDict state;
  for (const auto& [name, parameter] : named_parameters()) state[name] = parameter.value().clone();
  return state;
}

void Module::load_state_dict(const StateDict& state) {
  const NamedParameters own = named_parameters();
  std::size_t known = 0;
  for (const auto& [name, parameter] : own) {
    const auto found = state.find(name);
    check(found != state.end(), "load_state_dict", "every parameter must be given; '", name, "' ",
          parameter.shape(), " is missing");
    check(found->second.defined() && found->second.shape() == parameter.shape(), "load_state_dict",
          "shapes must agree; got '", name, "' ", found->second.shape(),
          " for a parameter of shape ", parameter.shape());
    ++known;
  }
  if (known < state.size()) {
    StateDict unknown = state;
    for (const auto& [name, parameter] : own) unknown.erase(name);
    check(false, "load_state_dict", "every name must be a parameter's; '", unknown.begin()->first,
          "' ", unknown.begin()->second.shape(), " is not one of the ", own.size(), " here");
  }
  // Only now, when nothing can fail any more, are the values touched.
  for (const auto& [name, parameter] : own) {
    Variable target = parameter;
    target.value().copy_(state.at(name).to(target.device()));
  }
}

void Module::zero_grad() {
  for (Variable& parameter : parameters()) parameter.zero_grad();
}

void Module::to(Device device) {
  for (Variable& parameter : parameters()) {
    if (parameter.device() == device) continue;
    // A leaf remembers its device, so it is made anew; all handles of the parameter see the change.
    const bool trained = parameter.requires_grad();
    parameter.set_requires_grad(false);
    parameter.value() = parameter.value().to(device);
    parameter.set_requires_grad(trained);
  }
}

Device Module::device() const {
  const std::vector<Variable> all = parameters();
  return all.empty() ? Device::cpu : all.front().device();
}

void Module::train(bool on) {
  training_ = on;
  for (const auto& [name, child] : children_) child->train(on);
}

Variable Module::register_parameter(const std::string& name, const Tensor& value) {
  check_name("register_parameter", name);
  check(value.defined(), "register_parameter", "value must be defined; got none for '", name, "'");
  parameters_.emplace_back(name, Variable(value.contiguous(), /*requires_grad=*/true));
  return parameters_.back().second;
}

void Module::register_module(const std::string& name, Module& child) {
  check_name("register_module", name);
  check(&child != this, "register_module", "a module must not be its own child; got '", name, "'");
  children_.emplace_back(name, &child);
}

void Module::check_name(const char* op, const std::string& name) const {
  check(!name.empty() && name.find('.') == std::string::npos, op,
        "a name must have letters and no dot; got '", name, "'");
  bool taken = false;
  for (const auto& entry : parameters_) taken = taken || entry.first == name;
  for (const auto& entry : children_) taken = taken || entry.first == name;
  check(!taken, op, "names must be unique within a module; got '", name, "' twice");
}

}  // namespace serenade
