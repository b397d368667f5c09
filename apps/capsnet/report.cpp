#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/capsnet/report.h"
#include "autograd/engine.h"

namespace serenade::capsnet {

namespace {

using nlohmann::json;
constexpr std::size_t kShown = 12;  // right pictures, and wrong ones

// A picture as text: a letter per pixel, 36 greys from '0' (black) to 'z' (white).
std::string text_of(const Variable& picture) {
  std::string text;
  for (const real value : picture.value().to_vector()) {
    const long grey = std::lround(35 * std::clamp(value, real(0), real(1)));
    text += "0123456789abcdefghijklmnopqrstuvwxyz"[grey];
  }
  return text;
}

// What the decoder makes of the capsules v [1, 10, 16] of the digits that are guessed.
json drawn(CapsNet& net, const Variable& v, const Indices& guess) {
  json pictures = json::array();
  for (int which = 0; net.options.reconstruction && which < net.options.overlaid; ++which) {
    pictures.push_back(text_of(net.reconstruct(v, digits_of(guess, net.options.overlaid, which))));
  }
  return pictures;
}

// Figure 4 of the paper: each number of a digit's capsule varied from -0.25 to 0.25.
json varied(CapsNet& net, const Variable& v, const Indices& digit) {
  json pictures = json::array();
  for (std::int64_t i = 0; net.options.reconstruction && i < kDigitDim * 11; ++i) {
    Tensor changed = v.value().clone();
    changed.data()[digit[0] * kDigitDim + i / 11] += real(0.05) * real(i % 11 - 5);
    pictures.push_back(text_of(net.reconstruct(changed, digit)));
  }
  return pictures;
}

// The coefficients c of each iteration, [iterations, 10, places]: of the types of primary capsules
// at a place their mean, in which a longer capsule weighs more.
json routing(CapsNet& net, const Variable& u) {
  const Tensor u_hat = capsule_votes(u, net.digits.weight).value();
  const Tensor c = routing_coefficients(u_hat, {}, {.iterations = net.options.routings});
  const Variable weight = reshape(capsule_norm(u), {1, net.options.types, -1, 1});
  const Variable heavy = reshape(c, {c.size(0), net.options.types, -1, kDigits}) * weight;
  return permute(sum(heavy, 1) / sum(weight, 1), {0, 2, 1}).value().to_vector();
}

}  // namespace

double test_error(CapsNet& net, const DataLoader& test, const Look& look) {
  const NoGrad no_grad;
  double wrong = 0, count = 0;
  for (const Batch& batch : test.epoch(0)) {
    const Variable v = net.digit_capsules(batch.input);
    const Indices guesses = net.guesses(v);
    for (std::size_t i = 0; i < guesses.size(); ++i, ++count) {
      wrong += guesses[i] != batch.labels[i] ? 1 : 0;
      const std::int64_t n = std::int64_t(i);
      if (look) look(batch.input.slice(0, n, 1), batch.labels[i], slice(v, 0, n, 1));
    }
  }
  return 100 * wrong / count;
}

std::string report(CapsNet& net, const DataLoader& test, const std::string& settings,
                   const std::vector<EpochMetrics>& history) {
  const NoGrad no_grad;
  json data = {{"settings", json::parse(settings)}, {"parameters", net.parameter_count()}};
  for (const EpochMetrics& epoch : history) data["epochs"].push_back(json::parse(to_json(epoch)));
  std::map<std::int64_t, double> counts;
  const auto look = [&](const Tensor& picture, std::int64_t label, const Variable& v) {
    const Indices guess = net.guesses(v);
    ++counts[label];
    json& list = data[label == guess[0] ? "right" : "wrong"];
    if (list.size() == kShown) return;
    list.push_back({{"label", label}, {"guess", guess[0]}, {"picture", text_of(picture)}});
    list.back()["lengths"] = capsule_norm(v).value().to_vector();
    list.back()["drawn"] = drawn(net, v, guess);
    if (data.contains("routing")) return;
    data["shown"] = guess[0];
    data["varied"] = varied(net, v, digits_of(guess, net.options.overlaid, 0));
    data["routing"] = routing(net, net.primary_capsules(picture));
  };
  data["error"] = test_error(net, test, look);
  double most = 0, all = 0;
  for (const auto& [label, count] : counts) most = std::max(most, count), all += count;
  data["majority_error"] = 100 - 100 * most / all;
  std::string page = kReportPage, text;
  for (const char c : data.dump()) text += c == '<' ? "\\u003c" : std::string(1, c);
  return page.replace(page.find("DATA"), 4, text);
}

}  // namespace serenade::capsnet
