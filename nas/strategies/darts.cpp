// First-order DARTS (Liu, Simonyan & Yang, ICLR 2019, Eq. 5-7 with xi = 0): W on training batches
// with all candidates, c = softmax(alpha); alpha on validation batches, by the gradient at the W of
// the moment. These are the defaults of OneShot, and path dropout with none masked.
//
// Trap: the W of the moment is not the W that is best for alpha. Where the validation loss depends
// on alpha through W above all, the gradient points elsewhere (darts_second.cpp has an example).

#include "nas/one_shot.h"

namespace serenade {

namespace {

class Darts : public OneShot {
 public:
  using OneShot::OneShot;

  std::string name() const override { return "darts"; }
  // The mean of n independent outputs has 1/n of the variance of one.
};

}  // namespace

StrategyRow darts_strategy() {
  return {.name = "darts",
          .summary = "weights with all candidates, architecture on the validation data",
          .source = "Liu, Simonyan & Yang, ICLR 2019, first order",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Darts>(space, options);
          }};
}

}  // namespace serenade
