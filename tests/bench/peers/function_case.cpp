#include "tests/bench/peers/function_case.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "autograd/engine.h"
#include "autograd/functions.h"

namespace serenade::bench {

namespace {

struct Fact {
  double value, tolerance;
};
using Facts = std::map<std::string, Fact>;

std::uint64_t scrambled(std::int64_t number) {
  constexpr std::uint64_t kLow = 0xFFFFFFFF;
  std::uint64_t h = static_cast<std::uint64_t>(number) * 2654435761U & kLow;
  h = (h ^ h >> 15) * 2246822519U & kLow;
  return h ^ h >> 13;
}

Tensor numbers(const Shape& shape, std::int64_t first, double low, double high) {
  Tensor result = Tensor::empty(shape);
  for (std::int64_t i = 0; i < result.numel(); ++i) {
    const double share = static_cast<double>(scrambled(first + i)) / 4294967296.0;
    result.data()[i] = static_cast<real>(low + (high - low) * share);
  }
  return result;
}

Tensor weights_like(const Tensor& t) { return numbers(t.shape(), 900'000'001, -1, 1); }

// The mean size of the elements, and a weighted sum as a part of their sizes, which also tells one
// order of them from another.
void add_facts(Facts& facts, const std::string& name, const Tensor& t) {
  if (!t.defined()) return add_facts(facts, name, Tensor({1}));
  const Tensor weights = weights_like(t);
  const std::vector<real> values = t.to_vector();
  double total = 0, size = 0, squares = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = static_cast<double>(values[i]);
    total += value * static_cast<double>(weights.data()[i]);
    size += std::abs(value);
    squares += value * value;
  }
  // Other numbers would make a difference of about 1 / sqrt(elements that are not 0). An element
  // beside a kink, of a ReLU, or beside an equal one, of a pool, may fall on either side, and takes
  // a whole gradient with it.
  const bool is_gradient = name != "value";
  const double mean = size / static_cast<double>(values.size());
  facts[name] = {size > 0 ? total / size : 0, 0.05 * std::sqrt(squares) / std::max(size, 1e-30)};
  facts["size of " + name] = {mean, (is_gradient ? 2e-3 : 1e-4) * mean + 1e-12};
}

Named named(std::vector<Variable> inputs) {
  inputs.resize(6);
  return {inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], inputs[5]};
}

Facts facts_of(const Case& one, const std::vector<Variable>& inputs) {
  const Variable y = one.ours(named(inputs));
  Facts facts;
  add_facts(facts, "value", y.value());
  if (!y.requires_grad()) return facts;
  const std::vector<Variable> gradients = grad(sum(mul(y, weights_like(y.value()))), inputs);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const bool took_part = gradients[i].defined();
    add_facts(facts, "gradient " + std::to_string(i), took_part ? gradients[i].value() : Tensor());
  }
  return facts;
}

// Empty where both sides have computed the same, else what differs.
std::string difference(const Facts& ours, const std::map<std::string, double>& theirs) {
  if (ours.size() != theirs.size()) return "only one side has gradients";
  for (const auto& [name, fact] : ours) {
    const double other = theirs.at(name);
    if (std::abs(fact.value - other) <= fact.tolerance) continue;
    char text[100];
    std::snprintf(text, sizeof text, "%s: ours %.8g, PyTorch's %.8g", name.c_str(), fact.value,
                  other);
    return text;
  }
  return "";
}

void run_case(const Setting& setting, const Case& one) {
  const auto [low, high] = one.options.range;
  std::vector<Variable> inputs;
  for (const Shape& shape : one.shapes) {
    const auto first = static_cast<std::int64_t>(inputs.size()) * 10'000'019;
    inputs.emplace_back(numbers(shape, first, low, high), true);
  }
  const Named in = named(inputs);
  const bool has_gradient = one.ours(in).requires_grad();
  std::optional<PyTorch::Prepared> item;
  if (setting.pytorch != nullptr && !one.pytorch.empty()) {
    const nlohmann::json arguments = {{"shapes", one.shapes},
                                      {"expression", one.pytorch},
                                      {"images", one.options.images},
                                      {"low", low},
                                      {"high", high}};
    item = setting.pytorch->prepare("function", arguments.dump());
  }
  if (item && !one.options.random) {
    const std::string what = difference(facts_of(one, inputs), item->facts);
    if (!what.empty()) {
      return setting.report.line(one.name + ": THE RESULTS DIFFER, no times; " + what);
    }
  }
  const auto row = [&](const std::string& pass, std::function<void()> work, double asked) {
    std::vector<std::optional<Contender>> peers;
    if (item) {
      peers.push_back(asking(setting.pytorch->contender(*item, pass, one.pytorch), asked));
    }
    setting.report.contest(one.name + ", " + pass, ours(std::move(work)), peers);
  };
  row(
      "forward",
      [&] {
        const NoGrad no_grad;
        one.ours(in);
      },
      0);
  if (!has_gradient) return;
  row(
      "with gradients", [&] { grad(sum(one.ours(in)), inputs); }, one.options.asked);
}

}  // namespace

const Indices& spread(std::int64_t count, std::int64_t bound) {
  static std::map<std::pair<std::int64_t, std::int64_t>, Indices> made;
  Indices& indices = made[{count, bound}];
  while (static_cast<std::int64_t>(indices.size()) < count) {
    const auto next = scrambled(static_cast<std::int64_t>(indices.size()));
    indices.push_back(static_cast<std::int64_t>(next) % bound);
  }
  return indices;
}

const Tensor& mask(const Shape& shape) {
  static std::map<Shape, Tensor> made;
  Tensor& result = made[shape];
  if (!result.defined()) result = gt(numbers(shape, 0, -1, 1), Tensor::scalar(0));
  return result;
}

void run_cases(const Setting& setting, const std::string& title, const std::vector<Case>& cases) {
  setting.report.heading(title + ": values, and values with all gradients of their sum");
  for (const Case& one : cases) {
    run_case(setting, one);
    if (setting.pytorch != nullptr) setting.pytorch->drop();
  }
}

}  // namespace serenade::bench
