// Uniform path dropout (Wu et al., ICASSP 2022, Eq. 3-4): while W is trained, exactly m of the N
// candidates of each choice are masked, a uniformly drawn set, and the others scaled:
//   c_i = a_i N / (N - m), 0 for the masked ones; a = softmax(alpha) over all N.
// P(i survives) = (N - m) / N, so E[c_i] = a_i: the mixture keeps its scale on average, and no
// layer is ever empty, unlike with independent dropout. m = 0 is first-order DARTS. Alpha learns
// from validation batches with all candidates.

#include <utility>

#include "nas/one_shot.h"
#include "tensor/check.h"

namespace serenade {

namespace {

class Dropout : public OneShot {
 public:
  Dropout(const SearchSpace& space, const StrategyOptions& options) : OneShot(space, options) {
    for (const Choice& choice : space.choices) {
      check(0 <= options.num_masked && options.num_masked < choice.size(), "dropout",
            "num_masked must leave a candidate of every choice; got ", options.num_masked,
            " of the ", choice.size(), " of '", choice.name, "'");
    }
  }

  std::string name() const override { return "dropout"; }
  Path draw(const Draw& draw) const override {
    if (draw.phase == Phase::architecture) return full_path(draw.candidates);
    const RandomKey key{draw.seed, Purpose::path, draw.step};
    std::vector<bool> active(static_cast<std::size_t>(draw.candidates), true);
    for (const std::int64_t i :
         draw_subset(options().num_masked, draw.candidates, key, draw.choice)) {
      active[static_cast<std::size_t>(i)] = false;
    }
    if (options().renormalize) return renormalized_path(std::move(active));
    const std::int64_t survivors = draw.candidates - options().num_masked;
    return scaled_path(std::move(active),
                       static_cast<real>(draw.candidates) / static_cast<real>(survivors));
  }
  std::string fingerprint() const override {
    return std::to_string(options().num_masked) + " masked" +
           (options().renormalize ? ", renormalized" : "");
  }
};

}  // namespace

StrategyRow dropout_strategy() {
  return {.name = "dropout",
          .summary = "weights with some candidates masked, architecture on the validation data",
          .source = "Wu et al., ICASSP 2022, Eq. 3-4",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<Dropout>(space, options);
          }};
}

}  // namespace serenade
