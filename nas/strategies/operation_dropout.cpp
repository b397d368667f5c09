// Independent operation dropout (Bender et al., ICML 2018, section 3.2): while W is trained, each
// candidate is dropped by itself, with probability p, and the others scaled:
//
//   c_i = a_i z_i / (1 - p),  z_i ~ Bernoulli(1 - p),  a = softmax(alpha)
//
// so that E[c_i] = a_i. p rises evenly from 0 in the first epoch to drop_probability in the last
// one of the weights. Alpha learns from validation batches with all candidates.
//
// Trap: with probability p^N a layer has no candidate left and gives zeros, which is what Wu et al.
// (ICASSP 2022, section 3) hold against it; dropout.cpp drops a constant number. Such a layer is
// run here as it is. The scale of a layer's output also varies with the number that is left.

#include <utility>

#include "nas/one_shot.h"
#include "tensor/check.h"

namespace serenade {

namespace {

class OperationDropout : public OneShot {
 public:
  OperationDropout(const SearchSpace& space, const StrategyOptions& options)
      : OneShot(space, options) {
    check(0 <= options.drop_probability && options.drop_probability < 1, "operation_dropout",
          "drop_probability must be 0 <= p < 1; got ", options.drop_probability);
  }

  std::string name() const override { return "operation_dropout"; }
  Path draw(const Draw& draw) const override {
    if (draw.phase == Phase::architecture) return full_path(draw.candidates);
    const double p = probability(draw.epoch);
    const RandomKey key{draw.seed, Purpose::path, draw.step};
    std::vector<bool> active;
    for (std::int64_t i = 0; i < draw.candidates; ++i) {
      active.push_back(uniform(key, draw.choice << 16 | static_cast<std::uint64_t>(i)) >= p);
    }
    return scaled_path(std::move(active), static_cast<real>(1 / (1 - p)));
  }
  std::map<std::string, double> end_epoch(const EpochEnd& end) const override {
    return {{"drop_probability", probability(end.epoch)}};
  }
  std::string fingerprint() const override {
    return "dropped with " + std::to_string(options().drop_probability) + " after " +
           std::to_string(options().epochs) + " epochs";
  }

 private:
  double probability(std::int64_t epoch) const {
    return options().drop_probability * ramp(epoch, options().epochs);
  }
};

}  // namespace

StrategyRow operation_dropout_strategy() {
  return {.name = "operation_dropout",
          .summary = "weights with each candidate dropped by itself, for comparison with dropout",
          .source = "Bender et al., ICML 2018, section 3.2",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<OperationDropout>(space, options);
          }};
}

}  // namespace serenade
