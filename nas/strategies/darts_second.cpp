// Second-order DARTS (Liu, Simonyan & Yang, ICLR 2019): alpha follows the validation loss at the
// weights that one step of gradient descent would give, through that step as well:
//
//   w' = w - xi dL_train(w, alpha)/dw                                                      (Eq. 6)
//   g  = dL_val(w', alpha)/dalpha - xi h,  h = d2L_train(w, alpha)/(dalpha dw) v           (Eq. 7)
//   h  ~ (dL_train(w + eps v, alpha)/dalpha - dL_train(w - eps v, alpha)/dalpha) / (2 eps) (Eq. 8)
//
// with v = dL_val(w', alpha)/dw' and eps = 0.01 / |v|, |v| of all weights as one vector. xi is the
// rate of W at the moment. W learns by whatever optimiser it has: w' is the paper's plain step.
//
// Traps. The differences are taken at w, not at w'. They are divided by 2 eps: `/ 2 * eps` divides
// and multiplies, which leaves first order; several public copies have it. W comes back from a
// copy, as + eps v - 2 eps v + eps v does not. All passes must see the same batch and drop the same
// elements, or h is noise: SupernetSearch repeats the draws. Batch normalisation's running
// statistics also see the weights w' and w +- eps v. In float, eps v must not vanish beside w.

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/one_shot.h"
#include "nas/perturb.h"

namespace serenade {

namespace {

class SecondOrder : public OneShot {
 public:
  using OneShot::OneShot;

  std::string name() const override { return "darts_second"; }

  StepGradient architecture_gradient(const ArchitectureStep& step) const override {
    // In the second of two stages there is no weight step to look ahead to.
    if (!step.train_loss) return OneShot::architecture_gradient(step);
    const auto xi = static_cast<real>(step.learning_rate);
    Moved weights(step.weights);
    weights.to(grad(step.train_loss(), step.weights), -xi);

    std::vector<Variable> all = step.alphas;
    all.insert(all.end(), step.weights.begin(), step.weights.end());
    const Variable loss = step.validation_loss();
    std::vector<Variable> g = grad(loss, all);
    const std::vector<Variable> v(g.begin() + std::ssize(step.alphas), g.end());
    g.resize(step.alphas.size());
    const Variable norm = joint_norm(v);
    if (!norm.defined()) return {loss, g};  // a loss without weights

    // Not 0, so that v = 0 gives h = 0.
    const Variable safe = affine(norm, 1, real(1e-12));
    const Variable epsilon = affine(pow(safe, -1), real(kLength));
    weights.to(v, epsilon);
    const std::vector<Variable> ahead = grad(step.train_loss(), step.alphas);
    weights.to(v, affine(epsilon, -1));
    const std::vector<Variable> behind = grad(step.train_loss(), step.alphas);
    const Variable factor = affine(safe, -xi / real(2 * kLength));  // -xi / (2 eps)
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (!ahead[i].defined()) continue;
      const Variable term = mul(sub(ahead[i], behind[i]), factor);
      g[i] = g[i].defined() ? add(g[i], term) : term;
    }
    return {loss, g};
  }

 private:
  static constexpr double kLength = 0.01;  // of eps v
};

}  // namespace

StrategyRow darts_second_strategy() {
  return {.name = "darts_second",
          .summary = "darts that looks one step of the weights ahead",
          .source = "Liu, Simonyan & Yang, ICLR 2019, Eq. 6-8",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<SecondOrder>(space, options);
          }};
}

}  // namespace serenade
