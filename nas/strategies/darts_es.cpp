// DARTS with early stopping (Zela et al., ICLR 2020, section 4.3): first-order DARTS that watches
// the largest eigenvalue l of d2L_val/dalpha2, by magnitude, on one validation batch at the end of
// every epoch. Smoothed over a window of 5 epochs, e - 2 .. e + 2 for epoch e, it must not grow by
// more than a factor of 1.3 in 4 epochs:
//
//   stop when mean l around e / mean l around e - 4 > 1.3; the answer is the architecture of e - 4
//
// Traps. Alphas that are to be 10 epochs old at least need 10 + 4 + 2 epochs before the first
// stop. The answer is not the last architecture. Per layer, adding a number to all alphas changes
// nothing, so H 1 = 0 and each layer has an eigenvalue 0: the largest must be taken by magnitude.
// The loss must be the same function of alpha at all points (same batch, same elements dropped).

#include <algorithm>
#include <cmath>
#include <limits>

#include "nas/diagnostics.h"
#include "nas/hessian.h"
#include "nas/one_shot.h"
#include "tensor/check.h"
#include "tensor/repeated_draws.h"

namespace serenade {

namespace {

constexpr const char* kEigenvalue = "eigenvalue";
constexpr std::int64_t kHalfWindow = 2, kDelta = 4;

class EarlyStopping : public OneShot {
 public:
  EarlyStopping(const SearchSpace& space, const StrategyOptions& options)
      : OneShot(space, options) {
    check(options.stop_after >= 0 && options.stop_factor > 0, "darts_es",
          "stop_after must not be negative, and stop_factor positive; got ", options.stop_after,
          " and ", options.stop_factor);
    check(options.bilevel == Bilevel::alternating, "darts_es",
          "bilevel two_stage does not go with a stop, which alphas that learn must cause");
  }

  std::string name() const override { return "darts_es"; }

  std::map<std::string, double> end_epoch(const EpochEnd& end) const override {
    RepeatedDraws draws;
    const std::vector<LossFunction> losses = end.validation_losses(1);
    std::vector<Variable> alphas;
    for (const auto& choice : end.choices) alphas.push_back(choice->alpha());
    const LossFunction loss = [&] { return draws(losses.at(0)); };
    const std::vector<std::vector<double>> hessian = alpha_hessian(loss, alphas);
    for (const std::vector<double>& row : hessian) {
      // More curved than can be said: a history holds finite numbers.
      if (std::any_of(row.begin(), row.end(), [](double x) { return !std::isfinite(x); })) {
        return {{kEigenvalue, std::numeric_limits<real>::max()}};
      }
    }
    const std::vector<double> values = symmetric_eigenvalues(hessian);
    return {{kEigenvalue, std::max(std::abs(values.front()), std::abs(values.back()))}};
  }

  bool stops_early(const std::vector<SearchRecord>& history) const override {
    const std::int64_t middle = std::ssize(history) - 1 - kHalfWindow;
    if (middle - kDelta < std::max(options().stop_after, kHalfWindow)) return false;
    const double before = smoothed(history, middle - kDelta);
    return smoothed(history, middle) > options().stop_factor * before;
  }

  Genotype recommend() const override {
    const std::vector<SearchRecord> epochs = history();
    if (!stops_early(epochs)) return OneShot::recommend();
    std::vector<std::vector<double>> alphas;
    const SearchRecord answer = until_answer(epochs).back();
    for (const ChoiceRecord& choice : answer.choices) alphas.push_back(choice.alphas);
    return derive(alphas);
  }
  // The epochs after the answer are those that a stop discards.
  std::vector<std::string> warnings(const std::vector<SearchRecord>& history) const override {
    return search_warnings(stops_early(history) ? until_answer(history) : history);
  }
  std::string fingerprint() const override {
    return "stops after " + std::to_string(options().stop_after) + " by a factor of " +
           std::to_string(options().stop_factor);
  }

 private:
  // Of a search that has stopped early.
  static std::vector<SearchRecord> until_answer(const std::vector<SearchRecord>& history) {
    return {history.begin(), history.end() - (kHalfWindow + kDelta)};
  }
  static double smoothed(const std::vector<SearchRecord>& history, std::int64_t middle) {
    double sum = 0;
    for (std::int64_t e = middle - kHalfWindow; e <= middle + kHalfWindow; ++e) {
      const auto found = history[static_cast<std::size_t>(e)].values.find(kEigenvalue);
      if (found != history[static_cast<std::size_t>(e)].values.end()) sum += found->second;
    }
    return sum / (2 * kHalfWindow + 1);
  }
};

}  // namespace

StrategyRow darts_es_strategy() {
  return {.name = "darts_es",
          .summary = "darts that stops when the validation loss becomes too curved",
          .source = "Zela et al., ICLR 2020, section 4.3",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<EarlyStopping>(space, options);
          }};
}

}  // namespace serenade
