// GDAS (Dong & Yang, CVPR 2019, Eq. 3-5): one candidate per step and layer, drawn with probability
// softmax(alpha) by the Gumbel-max trick, straight-through:
//
//   k = argmax_i (alpha_i + g_i),  p = softmax((alpha + g) / tau)
//   forward: candidate k alone, with coefficient 1;  backward: dc/dalpha = dp/dalpha
//
// tau falls evenly with the epochs, and is in the gradient alone. W is trained along the drawn
// path. In architecture steps all candidates run, so that dL/dp_i is known for each: merged into
// one layer they cost what the widest costs. The authors run candidate k alone, and their code puts
// the sum of dL/dh in the place of the others' dL/dp_i.
//
// Traps. c must be one-hot to the bit, or candidates that were not drawn leak in. (k + p) - p is
// not, in floating point; (k - p) + p is; straight_through_path adds p - p, which is 0 in any
// order. k must be read on the host, which decides what runs.

#include <algorithm>

#include "nas/gumbel.h"

namespace serenade {

namespace {

class Gdas : public GumbelSearch {
 public:
  using GumbelSearch::GumbelSearch;

  std::string name() const override { return "gdas"; }
  Path draw(const Draw& draw) const override {
    std::vector<double> score = draw.alpha_values();
    const std::vector<double> g = noise(draw);
    for (std::size_t i = 0; i < score.size(); ++i) score[i] += g[i];
    const std::int64_t k = std::max_element(score.begin(), score.end()) - score.begin();
    if (draw.phase == Phase::weights) return single_path(draw.candidates, k);
    return straight_through_path(draw.candidates, k, relaxation(draw));
  }
};

}  // namespace

StrategyRow gdas_strategy() {
  return {.name = "gdas",
          .summary = "one candidate drawn by its alpha, with the gradient of a Gumbel softmax",
          .source = "Dong & Yang, CVPR 2019, Eq. 3-5",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Gdas>(space, options);
          }};
}

}  // namespace serenade
