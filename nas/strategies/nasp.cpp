// NASP, architecture search by proximal iterations (Yao et al., AAAI 2020, algorithm 2): there is
// no softmax. The architecture A in [0, 1]^n is discrete whenever it is used, and continuous only
// where its gradient is taken:
//
//   B = prox(A): 1 for the largest entry of A, 0 for the others       (C1, one candidate per layer)
//   A = clip(A - eta dL_val(w, B)/dB, 0, 1)                           (C2; step 2-3)
//   w = w - .. dL_train(w, prox(A))/dw, with the one candidate alone  (step 5)
//
// A = 1/2 + alpha, so that alphas start at 0 as elsewhere. B has a 1 where the paper keeps A's
// value, as in the authors' code. In the architecture steps all candidates run: an entry of B that
// is 0 has a gradient too. The paper's penalty on size is left out.
//
// Traps. Ties go to the first candidate. A candidate that is never the largest is never trained,
// and may look bad for that alone. The optimiser of A sees gradients at B. Weights that are trained
// before the first architecture step would be those of the first candidates, so there is no
// two_stage.

#include <algorithm>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/one_shot.h"
#include "tensor/check.h"

namespace serenade {

namespace {

class Nasp : public OneShot {
 public:
  Nasp(const SearchSpace& space, const StrategyOptions& options) : OneShot(space, options) {
    check(options.bilevel == Bilevel::alternating, "nasp",
          "bilevel two_stage does not go with weights that follow the largest alpha");
  }

  std::string name() const override { return "nasp"; }
  Path draw(const Draw& draw) const override {
    const std::vector<double> alpha = draw.alpha_values();
    const std::int64_t best = std::max_element(alpha.begin(), alpha.end()) - alpha.begin();
    if (draw.phase == Phase::weights) return single_path(draw.candidates, best);
    return straight_through_path(draw.candidates, best, [](const Variable& a) { return a; });
  }
  void project(std::vector<Variable>& alphas) const override {
    const NoGrad no_graph;
    for (Variable& alpha : alphas) {
      alpha.value().copy_(clamp(alpha, real(-0.5), real(0.5)).value());
    }
  }
};

}  // namespace

StrategyRow nasp_strategy() {
  return {.name = "nasp",
          .summary = "weights along the best path, architecture by the gradient there",
          .source = "Yao et al., AAAI 2020, algorithm 2",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Nasp>(space, options);
          }};
}

}  // namespace serenade
