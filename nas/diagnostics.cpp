#include "nas/diagnostics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "nas/history.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// What counts as a problem. The thresholds are generous: a warning should be worth reading.
constexpr double kUnevenRatio = 2;             // most / least updates ..
constexpr double kUnevenChance = 1e-3;         // .. that chance would give less often than this
constexpr double kTie = 0.01;                  // gap between the two largest probabilities
constexpr double kDecided = 0.2;               // share of ln n that the entropy has fallen below
constexpr double kVanishing = 1e-5;            // gradient norm against the largest of all layers
constexpr double kVanishingActivation = 1e-4;  // likewise, of the output's scale

std::string short_number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", x);
  return text;
}

std::size_t index_of(std::int64_t i) { return static_cast<std::size_t>(i); }

double largest_gradient(const SearchRecord& record) {
  double largest = 0;
  for (const ChoiceRecord& choice : record.choices) {
    largest = std::max(largest, choice.gradient_norm);
  }
  return largest;
}

bool is_starved(const ChoiceRecord& choice, double largest) {
  return choice.gradient_norm < kVanishing * largest;
}

void warn_updates(const ChoiceRecord& choice, std::vector<std::string>& warnings) {
  const std::vector<std::int64_t>& updates = choice.updates;
  const UpdateFairness fairness = update_fairness(updates);
  if (fairness.most == 0) return;
  const auto name_of = [&](std::int64_t count) {
    return choice
        .candidates[index_of(std::find(updates.begin(), updates.end(), count) - updates.begin())];
  };
  for (std::size_t i = 0; i < updates.size(); ++i) {
    if (updates[i] > 0) continue;
    warnings.push_back("candidate " + choice.candidates[i] + " of " + choice.name +
                       " was never trained: nothing is known of it");
  }
  const bool uneven = fairness.ratio >= kUnevenRatio && fairness.p_value < kUnevenChance;
  if (fairness.least > 0 && uneven) {
    warnings.push_back("candidate " + name_of(fairness.most) + " of " + choice.name + " received " +
                       short_number(fairness.ratio) + " times the updates of " +
                       name_of(fairness.least));
  }
}

void warn_tie(const ChoiceRecord& choice, std::vector<std::string>& warnings) {
  if (choice.probabilities.size() < 2) return;
  const std::vector<double>& p = choice.probabilities;
  const std::size_t best = index_of(choice.best);
  std::size_t second = best == 0 ? 1 : 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (i != best && p[i] > p[second]) second = i;
  }
  if (p[best] - p[second] >= kTie) return;
  warnings.push_back("the choice of " + choice.name + " is nearly a tie: " +
                     choice.candidates[best] + " has probability " + short_number(p[best]) + ", " +
                     choice.candidates[second] + " has " + short_number(p[second]));
}

void warn_vanishing(const SearchRecord& record, std::vector<std::string>& warnings) {
  const double largest = largest_gradient(record);
  double largest_activation = 0;
  for (const ChoiceRecord& choice : record.choices) {
    largest_activation = std::max(largest_activation, choice.activation_rms);
  }
  for (const ChoiceRecord& choice : record.choices) {
    if (is_starved(choice, largest)) {
      warnings.push_back("the gradient of " + choice.name + " has vanished: its norm is " +
                         short_number(choice.gradient_norm) + ", the largest of all layers " +
                         short_number(largest));
    }
    if (choice.activation_rms < kVanishingActivation * largest_activation) {
      warnings.push_back("the output of " + choice.name +
                         " has vanished: its root mean square is " +
                         short_number(choice.activation_rms) + ", the largest of all layers " +
                         short_number(largest_activation));
    }
  }
}

// Gradients that were starved in the first step and are not in the end. A gradient of 0 is that of
// a candidate without weights.
void warn_starved_start(const std::vector<SearchRecord>& history,
                        std::vector<std::string>& warnings) {
  const double largest = largest_gradient(history.front());
  double smallest = largest;
  std::vector<std::size_t> starved;
  std::string names;
  for (std::size_t l = 0; l < history.front().choices.size(); ++l) {
    const ChoiceRecord &first = history.front().choices[l], &last = history.back().choices[l];
    if (first.gradient_norm == 0 || !is_starved(first, largest)) continue;
    if (is_starved(last, largest_gradient(history.back()))) continue;  // still are
    starved.push_back(l);
    names += (names.empty() ? "" : ", ") + first.name;
    smallest = std::min(smallest, first.gradient_norm);
  }
  if (starved.empty()) return;
  std::size_t epoch = 1;
  for (; epoch + 1 < history.size(); ++epoch) {
    const double now = largest_gradient(history[epoch]);
    if (std::none_of(starved.begin(), starved.end(),
                     [&](std::size_t l) { return is_starved(history[epoch].choices[l], now); })) {
      break;
    }
  }
  warnings.push_back("the gradients of " + names + " had vanished in the first step (norms from " +
                     short_number(smallest) + ", the largest of all layers " +
                     short_number(largest) + ") and were back in epoch " +
                     std::to_string(epoch + 1) + ": before it those layers learned little");
}

// What only the course of the search shows.
void warn_course(const std::vector<SearchRecord>& history, std::vector<std::string>& warnings) {
  const std::size_t epochs = history.size();
  if (epochs < 10) return;
  const std::size_t late = epochs - 1 - epochs / 10;
  for (std::size_t l = 0; l < history.back().choices.size(); ++l) {
    const ChoiceRecord& last = history.back().choices[l];
    const ChoiceRecord& early = history[epochs / 10].choices[l];
    if (early.entropy < kDecided * std::log(static_cast<double>(early.alphas.size()))) {
      warnings.push_back("choice " + last.name + " was decided within " +
                         std::to_string(epochs / 10 + 1) + " of " + std::to_string(epochs) +
                         " epochs, before the weights had learned much");
    }
    const std::int64_t before = history[late].choices[l].best;
    if (before != last.best) {
      warnings.push_back("the choice of " + last.name + " still changed near the end, from " +
                         last.candidates[index_of(before)] + " to " +
                         last.candidates[index_of(last.best)] + ": search longer");
    }
  }
}

}  // namespace

double entropy(const std::vector<double>& probabilities) {
  double sum = 0;
  for (const double p : probabilities) sum -= p > 0 ? p * std::log(p) : 0;
  return sum;
}

UpdateFairness update_fairness(const std::vector<std::int64_t>& updates) {
  check(!updates.empty(), "update_fairness", "there must be at least one candidate; got none");
  UpdateFairness fairness;
  const auto [least, most] = std::minmax_element(updates.begin(), updates.end());
  fairness.least = *least;
  fairness.most = *most;
  if (fairness.most == 0) return fairness;
  fairness.ratio = fairness.least == 0
                       ? std::numeric_limits<double>::infinity()
                       : static_cast<double>(fairness.most) / static_cast<double>(fairness.least);
  double total = 0;
  for (const std::int64_t count : updates) total += static_cast<double>(count);
  const double mean = total / static_cast<double>(updates.size());
  for (const std::int64_t count : updates) {
    const double difference = static_cast<double>(count) - mean;
    fairness.chi_square += difference * difference / mean;
  }
  if (updates.size() > 1) {
    fairness.p_value =
        chi_square_tail(fairness.chi_square, static_cast<double>(updates.size() - 1));
  }
  return fairness;
}

double chi_square_tail(double statistic, double degrees_of_freedom) {
  check(statistic >= 0 && degrees_of_freedom > 0, "chi_square_tail",
        "the statistic must be 0 or more and the degrees of freedom positive; got ", statistic,
        " and ", degrees_of_freedom);
  const double a = degrees_of_freedom / 2, x = statistic / 2;
  if (x == 0) return 1;
  const double front = std::exp(a * std::log(x) - x - std::lgamma(a));
  if (x < a + 1) {
    // P(a, x) = front * sum_n x^n / (a (a + 1) .. (a + n)); all terms positive.
    double term = 1 / a, sum = term;
    for (int n = 1; n < 1000 && term > 1e-17 * sum; ++n) sum += term *= x / (a + n);
    return 1 - front * sum;
  }
  // Q(a, x) by its continued fraction, evaluated by Lentz's method.
  double b = x + 1 - a, c = 1e300, d = 1 / b, fraction = d;
  for (int n = 1; n < 1000; ++n) {
    const double numerator = -n * (n - a);
    b += 2;
    d = 1 / (numerator * d + b);
    c = b + numerator / c;
    fraction *= d * c;
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return front * fraction;
}

std::vector<std::string> search_warnings(const std::vector<SearchRecord>& history) {
  std::vector<std::string> warnings = weight_warnings(history);
  if (history.empty()) return warnings;
  for (const ChoiceRecord& choice : history.back().choices) warn_tie(choice, warnings);
  warn_course(history, warnings);
  return warnings;
}

std::vector<std::string> weight_warnings(const std::vector<SearchRecord>& history) {
  std::vector<std::string> warnings;
  if (history.empty()) return warnings;
  check_history(history);
  for (const ChoiceRecord& choice : history.back().choices) warn_updates(choice, warnings);
  warn_vanishing(history.back(), warnings);
  warn_starved_start(history, warnings);
  return warnings;
}

}  // namespace serenade
