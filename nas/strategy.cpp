#include "nas/strategy.h"

#include <stdexcept>

#include "nas/one_shot.h"
#include "tensor/check.h"
#include "tensor/text.h"

namespace serenade {

namespace {

[[noreturn]] void not_offered(const char* what) {
  throw std::logic_error(std::string("problem: offers no ") + what);
}

}  // namespace

Outcome Problem::evaluate(const Trial&) { not_offered("trials"); }
double Problem::untrained_score(const Genotype&) { not_offered("untrained scores"); }
Module& Problem::supernet(const OneShot&) { not_offered("supernet"); }
std::int64_t Problem::train_batches() const { not_offered("training data"); }
std::int64_t Problem::validation_batches() const { not_offered("validation data"); }
LossFunction Problem::next_train_loss() { not_offered("training data"); }
LossFunction Problem::next_validation_loss() { not_offered("validation data"); }
std::vector<LossFunction> Problem::validation_losses(std::int64_t) {
  not_offered("validation data");
}

bool BlackBox::advance(Problem& problem) {
  const std::optional<Trial> trial = ask();
  if (!trial) return false;
  tell(*trial, problem.evaluate(*trial));
  return true;
}

std::unique_ptr<Strategy> make_strategy(const std::string& name, const SearchSpace& space,
                                        const StrategyOptions& options) {
  space.validate();
  std::vector<std::string> names;
  for (const StrategyRow& row : strategies()) {
    if (row.name == name) return row.make(space, options);
    names.push_back(row.name);
  }
  check(false, "strategy", "there is none named '", name, "'; the nearest is '",
        nearest_word(name, names), "'");
  return nullptr;
}

std::unique_ptr<OneShot> make_one_shot(const std::string& name, const SearchSpace& space,
                                       const StrategyOptions& options) {
  std::unique_ptr<Strategy> strategy = make_strategy(name, space, options);
  check(dynamic_cast<OneShot*>(strategy.get()) != nullptr, "strategy", "must train a supernet; '",
        name, "' does not");
  return std::unique_ptr<OneShot>(dynamic_cast<OneShot*>(strategy.release()));
}

}  // namespace serenade
