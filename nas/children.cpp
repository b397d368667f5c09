#include "nas/children.h"

#include <algorithm>
#include <cmath>

#include "autograd/engine.h"

namespace serenade {

Children::Children(const EpochEnd& end)
    : choices_(end.choices), losses_(end.validation_losses(INT64_MAX)) {}

double Children::loss(const Child& child) {
  for (std::size_t i = 0; i < child.size(); ++i) {
    choices_[i]->set_path(single_path(choices_[i]->candidate_count(), child[i]));
  }
  const NoGrad no_graph;
  const double found = draws_([&] {
    double total = 0;
    for (const LossFunction& loss : losses_) total += static_cast<double>(loss().item());
    return std::isfinite(total) ? total : std::numeric_limits<double>::max();
  });
  ++compared_;
  lowest_ = std::min(lowest_, found);
  return found;
}

std::map<std::string, double> Children::measured() const {
  const double batches = static_cast<double>(std::max<std::size_t>(1, losses_.size()));
  return {{"children compared", static_cast<double>(compared_)},
          {"lowest loss of a child", lowest_ / batches}};
}

void Children::decide(const Child& child) {
  for (std::size_t i = 0; i < child.size(); ++i) {
    const SupernetChoice& choice = *choices_[i];
    std::vector<real> alpha(static_cast<std::size_t>(choice.candidate_count()), 0);
    alpha[static_cast<std::size_t>(child[i])] = 1;
    Variable(choice.alpha()).value().copy_(Tensor::from(alpha, choice.alpha().shape()));
  }
}

}  // namespace serenade
