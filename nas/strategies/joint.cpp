// Joint search (Wu et al., ICASSP 2022, Eq. 2): W and alpha both follow the training loss, in the
// same steps, with all candidates: c = softmax(alpha).

#include <cmath>

#include "nas/one_shot.h"
#include "tensor/check.h"

namespace serenade {

namespace {

class Joint : public OneShot {
 public:
  Joint(const SearchSpace& space, const StrategyOptions& options) : OneShot(space, options) {
    check(options.bilevel == Bilevel::alternating, "joint",
          "bilevel two_stage does not go with joint search, which trains all at once");
  }

  std::string name() const override { return "joint"; }
  bool trains_jointly() const override { return true; }
  // Nothing but the training data is looked at.
  bool shares_training() const override { return true; }
  // The mean of n independent outputs has 1/n of the variance of one.
  real initial_gain(std::int64_t n) const override { return std::sqrt(static_cast<real>(n)); }
};

}  // namespace

StrategyRow joint_strategy() {
  return {.name = "joint",
          .summary = "weights and architecture together, on the training data",
          .source = "Wu et al., ICASSP 2022, Eq. 2",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Joint>(space, options);
          }};
}

}  // namespace serenade
