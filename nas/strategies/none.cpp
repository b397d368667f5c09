// No search: the architecture that one brings along.

#include "nas/strategy.h"
#include "tensor/check.h"

namespace serenade {

namespace {

class None : public Strategy {
 public:
  None(const SearchSpace& space, const StrategyOptions& options) : baseline_(options.baseline) {
    check_genotype(baseline_, space, "baseline");
  }

  std::string name() const override { return "none"; }
  bool advance(Problem&) override { return false; }
  Genotype recommend() const override { return baseline_; }
  SafetensorsFile save_state() override {
    SafetensorsFile file;
    file.metadata["no_search"] = baseline_.summary();
    return file;
  }
  void load_state(const SafetensorsFile& state) override {
    const auto found = state.metadata.find("no_search");
    check(found != state.metadata.end() && found->second == baseline_.summary(), "none",
          "must be given what it has saved for the same architecture");
  }
  bool shares_training() const override { return true; }

 private:
  Genotype baseline_;
};

}  // namespace

StrategyRow none_strategy() {
  return {.name = "none",
          .summary = "no search: the hand-made architecture, or one from a file",
          .source = "",
          .make = [](const SearchSpace& space, const StrategyOptions& options) {
            return std::make_unique<None>(space, options);
          }};
}

}  // namespace serenade
