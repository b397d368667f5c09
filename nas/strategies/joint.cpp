// Joint search (Wu et al., ICASSP 2022, Eq. 2): W and alpha both follow the training loss, in the
// same steps, with all candidates: c = softmax(alpha).

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
