// Path sampling (Wu et al., ICASSP 2022, Eq. 3-4, after single-path one-shot search, Guo et al.,
// ECCV 2020): W is trained along one uniformly drawn path a step, whose candidates have coefficient
// 1; alpha on validation batches with all candidates, c = softmax(alpha).

#include "nas/one_shot.h"

namespace serenade {

namespace {

class Sampling : public OneShot {
 public:
  using OneShot::OneShot;

  std::string name() const override { return "sampling"; }
  Path draw(const Draw& draw) const override {
    if (draw.phase == Phase::architecture) return full_path(draw.candidates);
    const RandomKey key{draw.seed, Purpose::path, draw.step};
    return single_path(draw.candidates, draw_subset(1, draw.candidates, key, draw.choice)[0]);
  }
};

}  // namespace

StrategyRow sampling_strategy() {
  return {.name = "sampling",
          .summary = "weights along one random path a step, architecture on the validation data",
          .source = "Wu et al., ICASSP 2022, Eq. 3-4",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Sampling>(space, options);
          }};
}

}  // namespace serenade
