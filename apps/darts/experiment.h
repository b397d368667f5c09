#pragma once
// A search for cells, and the training of a network of cells, as in the paper's appendix A.

#include <memory>
#include <string>

#include "apps/darts/data.h"
#include "apps/darts/genotype.h"
#include "apps/darts/network.h"
#include "nas/batch_problem.h"

namespace serenade::darts {

struct Settings {
  std::string cifar10 = {}, genotype = "DARTS_V2";
  std::int64_t images = 768, channels = 4, cells = 3, batch_size = 32;
  int epochs = 16;
  std::uint64_t seed = 0;
  double learning_rate = 0.025, alpha_learning_rate = 3e-4, drop_path = 0.2;
  bool cutout = false, auxiliary = false;
};

struct Result {
  Cells cells = {};
  std::vector<SearchRecord> history = {};  ///< of a search
  StateDict weights = {};                  ///< at the end
};

/// The strategy of search(): first-order DARTS with the paper's optimisers.
std::unique_ptr<OneShot> first_order(const Settings& settings);

/// First-order DARTS: the weights learn from one half of the training images (SGD, clipped
/// gradients), the alphas from the other (Adam). Both measure "accuracy" on the test images, by
/// which nothing is chosen. hooks: keeper, on_step, on_epoch.
Result search(const Settings& settings, const Images& images, const TrainerOptions& hooks);
Result train(const Cells& cells, const Settings& settings, const Images& images,
             TrainerOptions hooks);

}  // namespace serenade::darts
