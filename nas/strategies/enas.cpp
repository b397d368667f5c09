// REINFORCE with shared weights: ENAS (Pham, Guan, Zoph, Le & Dean, "Efficient neural architecture
// search via parameter sharing", ICML 2018, section 2.2). In each step a policy pi draws a child m:
//
//   w:      a step along dL_train(m, w)/dw of that child alone             (Eq. 1 with their M = 1)
//   alpha:  a step along (R(m, w) - b) d log pi(m)/dalpha, w as it is;  R = -L_val of one batch
//   b <- decay b + (1 - decay) R                                           (the baseline)
//   answer: of `child_population` children that pi draws at the end, the one with the highest R
//
// pi(m) = prod_l softmax(alpha_l)[m_l]: a table of logits, as in nas/policy.h, where they have an
// LSTM. A reward need not be differentiable: nothing runs but the child, without a graph, and what
// moves alpha is the gradient of log pi. On average over pi the step is pi_j (R_j - R_mean), the
// form of DARTS's gradient of alpha. A problem gives losses, so R is -L; theirs are accuracy and
// c exp(-L), the inverse perplexity. Their code adds to R the entropy of the distributions that a
// child was drawn from, times 1e-4 and without a gradient of its own. The LSTM has others for every
// child; a table has one for all, which R - b takes out again. So it is left out.
// They train w and alpha in turn, an epoch and then many steps; here steps alternate as in all
// strategies, or one stage follows the other.
//
// Traps. b is the average of earlier rewards (reinforce.cpp says why); the first is the first b. It
// is a number that must survive a break: StepGradient::kept. The children that w is trained along
// come from pi as well: what is drawn rarely is trained rarely, and looks bad for that alone. On
// the toy of tests/nas the largest alphas are right for 15 of 20 seeds (the test prints it) and the
// best of 50 draws for all. (In two stages w is trained along uniform paths; then both are right
// for all.) So the answer is not the largest alphas. Theirs are compared on one minibatch; here on
// a pass over the validation data.

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/children.h"
#include "nas/diagnostics.h"
#include "nas/gumbel.h"
#include "tensor/check.h"

namespace serenade {

namespace {

class Enas : public OneShot {
 public:
  Enas(const SearchSpace& space, const StrategyOptions& options) : OneShot(space, options) {
    check(options.child_population >= 1, "enas", "there must be children to choose from; got ",
          options.child_population);
    check(0 <= options.baseline_decay && options.baseline_decay <= 1, "enas",
          "the decay of the baseline must be 0 .. 1; got ", options.baseline_decay);
  }

  std::string name() const override { return "enas"; }
  Path draw(const Draw& draw) const override {
    const Purpose purpose = draw.phase == Phase::weights ? Purpose::path : Purpose::architecture;
    const RandomKey key{draw.seed, purpose, draw.step};
    return single_path(draw.candidates, candidate(draw.alpha_values(), key, draw.choice));
  }

  StepGradient architecture_gradient(const ArchitectureStep& step) const override {
    Variable loss;
    {
      const NoGrad no_graph;
      loss = step.validation_loss();
    }
    Variable log_policy;
    for (const auto& choice : step.choices) {
      const Variable logs = log_softmax(choice->alpha(), 0);
      const Variable own = sum(mul(logs, choice->coefficients()));
      log_policy = log_policy.defined() ? add(log_policy, own) : own;
    }
    // Descent on (L - b) log pi. With R = -L, b is the average of losses.
    const auto share = static_cast<real>(1 - options().baseline_decay);
    const Variable baseline = step.kept.defined() ? step.kept : loss;
    const Variable advantage = sub(loss, baseline);
    return {.loss = loss,
            .gradients = grad(sum(mul(advantage, log_policy)), step.alphas),
            .kept = add(baseline, affine(advantage, share))};
  }

  std::map<std::string, double> end_epoch(const EpochEnd& end) const override {
    if (end.epoch + 1 < planned_steps()) return {};
    Children children(end);
    Child best;
    double lowest = std::numeric_limits<double>::infinity();
    for (std::int64_t i = 0; i < options().child_population; ++i) {
      // Keys that no step has.
      const RandomKey key{options().seed, Purpose::architecture,
                          UINT64_MAX - static_cast<std::uint64_t>(i)};
      Child child;
      for (std::size_t l = 0; l < end.choices.size(); ++l) {
        child.push_back(candidate(end.choices[l]->alpha_values(), key, l));
      }
      const double loss = children.loss(child);
      if (loss < lowest) {
        lowest = loss;
        best = child;
      }
    }
    children.decide(best);
    return children.measured();
  }
  // The answer is a child, and its alphas are written in the end: they are no course.
  std::vector<std::string> warnings(const std::vector<SearchRecord>& history) const override {
    return weight_warnings(history);
  }
  std::string fingerprint() const override {
    return std::to_string(planned_steps()) + " epochs, baseline " +
           std::to_string(options().baseline_decay) + ", the best of " +
           std::to_string(options().child_population);
  }

 private:
  // Candidate i with probability softmax(alpha)_i.
  static std::int64_t candidate(std::vector<double> alpha, const RandomKey& key,
                                std::uint64_t choice) {
    const std::vector<double> noise =
        gumbel_noise(static_cast<std::int64_t>(alpha.size()), key, choice);
    for (std::size_t i = 0; i < alpha.size(); ++i) alpha[i] += noise[i];
    return std::max_element(alpha.begin(), alpha.end()) - alpha.begin();
  }
};

}  // namespace

StrategyRow enas_strategy() {
  return {.name = "enas",
          .summary = "weights along the draws of a policy that follows their validation loss",
          .source = "Pham et al., ICML 2018, section 2.2",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Enas>(space, options);
          }};
}

}  // namespace serenade
