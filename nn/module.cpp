// Bookkeeping of modules: names, values, training mode. No arithmetic happens here.

#include "nn/module.h"

#include <map>
#include <set>

#include "tensor/check.h"

namespace serenade {

Parameter& Parameter::operator=(const Variable& variable) {
  check(!defined(), "Parameter",
        "a parameter must stay the one that its module registered; write new values with "
        "value().copy_(..); got another Variable of shape ",
        variable.defined() ? variable.shape() : Shape{});
  Variable::operator=(variable);
  return *this;
}

NamedParameters Module::named_parameters() const { return collect(&Module::parameters_); }

NamedParameters Module::named_buffers() const { return collect(&Module::buffers_); }

void Module::visit(const NamedParameters Module::*own, const std::string& prefix,
                   const std::function<void(const std::string&, const Variable&)>& visitor) const {
  for (const auto& [name, variable] : this->*own) visitor(prefix + name, variable);
  for (const auto& [name, child] : children_) child->visit(own, prefix + name + ".", visitor);
}

NamedParameters Module::collect(const NamedParameters Module::*own) const {
  NamedParameters found;
  std::set<const void*> seen;  // what is shared counts once
  visit(own, "", [&](const std::string& name, const Variable& variable) {
    if (seen.insert(variable.identity()).second) found.emplace_back(name, variable);
  });
  return found;
}

// The name under which a shared parameter or buffer is saved, given another of its names; empty
// where there is no such name.
std::string Module::first_name_of(const std::string& alias) const {
  std::string first;
  for (const auto own : {&Module::parameters_, &Module::buffers_}) {
    std::map<const void*, std::string> names;
    visit(own, "", [&](const std::string& name, const Variable& variable) {
      const std::string& known = names.emplace(variable.identity(), name).first->second;
      if (name == alias) first = known;
    });
  }
  return first;
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
  for (const auto& [name, buffer] : named_buffers()) state[name] = buffer.value().clone();
  return state;
}

void Module::load_state_dict(const StateDict& state) {
  NamedParameters own = named_parameters();
  const NamedParameters buffers = named_buffers();
  own.insert(own.end(), buffers.begin(), buffers.end());
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
    const auto& [name, value] = *unknown.begin();
    const std::string first = first_name_of(name);
    check(first.empty(), "load_state_dict", "what is shared must be given once; '", name,
          "' is saved as '", first, "'");
    check(false, "load_state_dict", "every name must be a parameter's or a buffer's; '", name, "' ",
          value.shape(), " is not one of the ", own.size(), " here");
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
  for (auto& [name, buffer] : named_buffers()) {
    if (buffer.device() != device) Variable(buffer).value() = buffer.value().to(device);
  }
}

Device Module::device() const {
  const NamedParameters trained = named_parameters();
  if (!trained.empty()) return trained.front().second.device();
  const NamedParameters kept = named_buffers();
  return kept.empty() ? Device::cpu : kept.front().second.device();
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

Variable Module::register_parameter(const std::string& name, const Variable& shared) {
  check_name("register_parameter", name);
  check(shared.defined() && (shared.node() == nullptr || shared.node()->is_leaf),
        "register_parameter", "a parameter must be a variable that no function has computed; '",
        name, "' is not");
  parameters_.emplace_back(name, shared);
  return shared;
}

Variable Module::register_buffer(const std::string& name, const Tensor& value) {
  check_name("register_buffer", name);
  check(value.defined(), "register_buffer", "value must be defined; got none for '", name, "'");
  buffers_.emplace_back(name, Variable(value.contiguous()));
  return buffers_.back().second;
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
  for (const auto& entry : buffers_) taken = taken || entry.first == name;
  for (const auto& entry : children_) taken = taken || entry.first == name;
  check(!taken, op, "names must be unique within a module; got '", name, "' twice");
}

}  // namespace serenade
