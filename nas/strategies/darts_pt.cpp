// Perturbation-based architecture selection, DARTS-PT (Wang et al., ICLR 2021, algorithm 1): the
// supernet is trained as in first-order DARTS, but the answer is not the largest alpha. It is the
// candidates that the trained supernet can spare least. The choices are decided one by one, in
// random order:
//
//   remove each candidate i: c_i = 0, the others keep c = softmax(alpha), not scaled to a sum of 1
//   keep the one without which the validation loss is highest; the others are gone for good
//   train W and the open alphas for tuning_epochs, W at a tenth of its rate
//
// A decided choice is one candidate with coefficient 1. Its alphas are then 10 for that one and 0
// for the others, so that whoever reads alphas reads the answer.
//
// Traps. Scaling the rest to a sum of 1 would make a candidate that others can stand in for look
// needed. Two equal candidates share their work: alone, each can be spared, however large its
// alpha. All removals must see the same batches and drop the same elements.

#include <algorithm>
#include <cmath>

#include "autograd/engine.h"
#include "nas/diagnostics.h"
#include "nas/one_shot.h"
#include "tensor/check.h"
#include "tensor/repeated_draws.h"

namespace serenade {

namespace {

class Perturbation : public OneShot {
 public:
  Perturbation(const SearchSpace& space, const StrategyOptions& options)
      : OneShot(space, options),
        order_(draw_subset(std::ssize(space.choices), std::ssize(space.choices),
                           {options.seed, Purpose::path, UINT64_MAX}, 0)) {
    check(options.tuning_epochs >= 1, "darts_pt", "tuning_epochs must be 1 or more; got ",
          options.tuning_epochs);
    check(options.bilevel == Bilevel::alternating, "darts_pt",
          "bilevel two_stage does not go with decisions that the weights are tuned to");
  }

  std::string name() const override { return "darts_pt"; }
  // The last decision comes at the end of the last epoch.
  std::int64_t planned_steps() const override {
    if (options().epochs == 0) return 0;
    return options().epochs + (std::ssize(order_) - 1) * options().tuning_epochs;
  }
  double rate_scale(std::int64_t epoch) const override {
    return epoch < options().epochs ? 1 : 0.1;
  }

  Path draw(const Draw& draw) const override {
    const auto place = std::find(order_.begin(), order_.end(), draw.choice) - order_.begin();
    if (place >= decided_before(draw.epoch)) return full_path(draw.candidates);
    const std::vector<double> alpha = draw.alpha_values();
    return single_path(draw.candidates,
                       std::max_element(alpha.begin(), alpha.end()) - alpha.begin());
  }

  std::map<std::string, double> end_epoch(const EpochEnd& end) const override {
    const std::int64_t next = decided_before(end.epoch);
    if (decided_before(end.epoch + 1) == next) return {};
    for (std::int64_t place = 0; place < next; ++place) {
      SupernetChoice& decided = *end.choices[index(place)];
      decided.set_path(single_path(decided.candidate_count(), decided.best()));
    }
    SupernetChoice& open = *end.choices[index(next)];
    const std::int64_t n = open.candidate_count();
    const std::vector<LossFunction> losses = end.validation_losses(INT64_MAX);
    std::vector<double> without(static_cast<std::size_t>(n), 0);
    RepeatedDraws draws;
    for (std::int64_t i = 0; i < n; ++i) {
      std::vector<bool> rest(without.size(), true);
      rest[static_cast<std::size_t>(i)] = false;
      open.set_path(scaled_path(rest, 1));
      const NoGrad no_graph;
      draws([&] {
        for (const LossFunction& loss : losses) {
          without[static_cast<std::size_t>(i)] += static_cast<double>(loss().item());
        }
      });
    }
    std::map<std::string, double> measured;
    for (std::int64_t i = 0; i < n; ++i) {
      const double mean = without[static_cast<std::size_t>(i)] / static_cast<double>(losses.size());
      if (std::isfinite(mean)) {
        const std::string& candidate = open.candidates()[static_cast<std::size_t>(i)];
        measured["loss of " + open.name() + " without " + candidate] = mean;
      }
    }
    const std::int64_t kept = std::max_element(without.begin(), without.end()) - without.begin();
    std::vector<real> alpha(without.size(), 0);
    alpha[static_cast<std::size_t>(kept)] = 10;
    Variable(open.alpha()).value().copy_(Tensor::from(alpha, {n}));
    return measured;
  }
  // Decisions change alphas at once, up to the last epoch, and make no ties.
  std::vector<std::string> warnings(const std::vector<SearchRecord>& history) const override {
    return weight_warnings(history);
  }
  std::string fingerprint() const override {
    return std::to_string(options().epochs) + " epochs, then " +
           std::to_string(options().tuning_epochs) + " between decisions";
  }

 private:
  std::size_t index(std::int64_t place) const {
    return static_cast<std::size_t>(order_[static_cast<std::size_t>(place)]);
  }
  // How many choices, the first ones of order_, are decided when an epoch begins.
  std::int64_t decided_before(std::int64_t epoch) const {
    if (epoch < options().epochs) return 0;
    return (epoch - options().epochs) / options().tuning_epochs + 1;
  }

  std::vector<std::int64_t> order_;  // of deciding
};

}  // namespace

StrategyRow darts_pt_strategy() {
  return {.name = "darts_pt",
          .summary = "darts that keeps the candidates whose removal hurts most",
          .source = "Wang et al., ICLR 2021, algorithm 1",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Perturbation>(space, options);
          }};
}

}  // namespace serenade
