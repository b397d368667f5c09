// Gumbel softmax (Jang, Gu & Poole, ICLR 2017; for search: SNAS, Xie et al., ICLR 2019, Eq. 7):
//
//   c = softmax((ln a + g) / tau),  a = softmax(alpha),  g_i = -ln(-ln u_i),  u_i uniform
//
// in both phases, each with noise of its own. The largest c is candidate i with probability a_i,
// whatever tau; a small tau brings c close to that candidate alone. tau falls evenly with the
// epochs. SNAS trains alpha and W in the same steps on the training data; here alpha has steps of
// its own on the validation data, as in GDAS (gdas.cpp).
//
// Traps. ln a is alpha up to a number that softmax does not see. The noise belongs to the step, not
// to the call, or a step cannot be repeated. As tau falls, gradients of alpha grow with 1 / tau and
// are 0 where c is one candidate alone.

#include <cmath>

#include "nas/gumbel.h"

namespace serenade {

namespace {

class Gumbel : public GumbelSearch {
 public:
  using GumbelSearch::GumbelSearch;

  std::string name() const override { return "gumbel"; }
  // What it is without the noise.
  real initial_gain(std::int64_t n) const override { return std::sqrt(static_cast<real>(n)); }
  Path draw(const Draw& draw) const override {
    return {.active = std::vector<bool>(static_cast<std::size_t>(draw.candidates), true),
            .relax = relaxation(draw)};
  }
};

}  // namespace

StrategyRow gumbel_strategy() {
  return {.name = "gumbel",
          .summary = "noisy coefficients that are one candidate ever more",
          .source = "Xie et al. (SNAS), ICLR 2019, Eq. 7",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Gumbel>(space, options);
          }};
}

}  // namespace serenade
