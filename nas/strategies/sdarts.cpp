// SmoothDARTS (Chen & Hsieh, ICML 2020, Eq. 6-8): W must be good around alpha, not at alpha alone,
// so that the architecture that is taken in the end is not far from what was trained:
//
//   random:       w follows E_d [dL_train(w, alpha + d)/dw],  d ~ U[-eps, eps]       (SDARTS-RS)
//   adversarial:  w follows dL_train(w, alpha + d*)/dw,  d* = argmax of L_train in that box: some
//                 steps of d += 2 eps / steps sign(dL_train/dalpha), clipped to it   (SDARTS-ADV)
//
// eps rises evenly from a tenth of `perturbation` to all of it. Alpha learns as in first-order
// DARTS. perturbation 0 is first-order DARTS, bit for bit.
//
// Traps. The authors' code perturbs softmax(alpha) and scales it to a sum of 1; here, as in the
// paper's formulas, alpha. The passes of the ascent must drop the same elements as the step itself
// (SupernetSearch repeats the draws). Alpha comes back from a copy. No gradient of alpha may be
// left behind, or none of W from the ascent.

#include <cmath>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/one_shot.h"
#include "nas/perturb.h"
#include "tensor/check.h"

namespace serenade {

namespace {

class SmoothDarts : public OneShot {
 public:
  SmoothDarts(const SearchSpace& space, const StrategyOptions& options) : OneShot(space, options) {
    check(options.perturbation >= 0 && std::isfinite(options.perturbation), "sdarts",
          "perturbation must be 0 or more; got ", options.perturbation);
    check(options.adversarial_steps >= 0, "sdarts", "adversarial_steps must be 0 or more; got ",
          options.adversarial_steps);
  }

  std::string name() const override { return "sdarts"; }

  StepGradient weight_gradient(const WeightStep& step) const override {
    const auto epsilon = static_cast<real>(width(step.epoch));
    const std::int64_t steps = options().adversarial_steps;
    std::vector<Variable> d = random_start(step, epsilon);
    Moved alphas(step.alphas);
    alphas.to(d, 1);
    for (std::int64_t i = 0; i < steps; ++i) {
      const std::vector<Variable> uphill = grad(step.loss(), step.alphas);
      for (std::size_t k = 0; k < d.size(); ++k) {
        if (!uphill[k].defined()) continue;
        const real length = 2 * epsilon / static_cast<real>(steps);
        d[k] = clamp(add(d[k], affine(sign(uphill[k]), length)), -epsilon, epsilon);
      }
      alphas.to(d, 1);
    }
    return OneShot::weight_gradient(step);
  }
  std::map<std::string, double> end_epoch(const EpochEnd& end) const override {
    return {{"perturbation", width(end.epoch)}};
  }
  std::string fingerprint() const override {
    return "perturbed by " + std::to_string(options().perturbation) + " after " +
           std::to_string(options().epochs) + " epochs, " +
           std::to_string(options().adversarial_steps) + " steps of ascent";
  }

 private:
  // Half the side of the box.
  double width(std::int64_t epoch) const {
    return options().perturbation * (0.1 + 0.9 * ramp(epoch, options().epochs));
  }

  // A point of the box for every alpha: each has 65,536 elements of the step's stream.
  std::vector<Variable> random_start(const WeightStep& step, real epsilon) const {
    const RandomKey key{options().seed, Purpose::path, step.step};
    std::vector<Variable> d;
    for (std::size_t k = 0; k < step.alphas.size(); ++k) {
      const Variable& alpha = step.alphas[k];
      std::vector<real> values;
      for (std::int64_t i = 0; i < alpha.numel(); ++i) {
        const double u = uniform(key, k << 16 | static_cast<std::uint64_t>(i));
        values.push_back(epsilon * static_cast<real>(2 * u - 1));
      }
      d.emplace_back(Tensor::from(values, alpha.shape()).to(alpha.device()));
    }
    return d;
  }
};

}  // namespace

StrategyRow sdarts_strategy() {
  return {.name = "sdarts",
          .summary = "darts whose weights are trained around the architecture, not at it",
          .source = "Chen & Hsieh, ICML 2020, Eq. 6-8",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<SmoothDarts>(space, options);
          }};
}

}  // namespace serenade
