// Weight entanglement (Single-Path NAS, Stamoulis et al. 2019; with gradients of alpha, TangleNAS,
// Sukthanker et al. 2023): first-order DARTS in which the candidates of a choice are crops of one
// kernel. A 3x3 is the middle of the 5x5; here sizes may be rectangular and even, aligned as the
// merged layer aligns them (nas/README.md). Candidates that no kernel holds stay as they are.
//
// Traps. Taps that many candidates share learn from all of them, those at the rim from few. Such a
// mixture keeps the scale of one layer, as its parts are the same numbers: no gain. A weight that
// has several names is one to the optimisers. The supernet must be made by a Builder of the method.

#include "nas/one_shot.h"

namespace serenade {

namespace {

class Entangled : public OneShot {
 public:
  using OneShot::OneShot;

  std::string name() const override { return "entangled"; }
  bool shares_kernels() const override { return true; }
  real initial_gain(std::int64_t /*n*/) const override { return 1; }
};

}  // namespace

StrategyRow entangled_strategy() {
  return {.name = "entangled",
          .summary = "darts whose candidates are crops of one kernel",
          .source = "Stamoulis et al. 2019; Sukthanker et al. 2023",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Entangled>(space, options);
          }};
}

}  // namespace serenade
