#include "apps/darts/data.h"

#include "nn/data/cifar.h"
#include "nn/data/made_shapes.h"
#include "nn/training/loader_task.h"

namespace serenade::darts {

namespace {

constexpr std::int64_t kMadeTest = 300;

template <class Set>
Images images_of(const Set& training, const Set& test, std::int64_t classes,
                 const NormaliseOptions& scale, bool cut) {
  const std::int64_t side = test.get(0).input.size(1);
  std::vector<Transform> steps = {random_crop({.size = {side, side}, .padding = side / 8}),
                                  random_horizontal_flip(), normalise(scale)};
  if (cut) steps.push_back(cutout({.size = side / 2}));
  return {std::make_shared<Set>(training),
          std::make_shared<Set>(test),
          classes,
          side,
          majority_accuracy(training.labels(), test.labels()),
          normalise(scale),
          compose(steps)};
}

}  // namespace

Images load_images(const std::string& folder, std::int64_t count, std::uint64_t seed, bool cut) {
  if (folder.empty()) {
    return images_of(made_shapes(seed, kMadeTest, count), made_shapes(seed, 0, kMadeTest),
                     kMadeClasses, {{real(0.45)}, {real(0.25)}}, cut);
  }
  try {
    return images_of(
        read_cifar10(folder, Split::train), read_cifar10(folder, Split::test), 10,
        {{real(0.4914), real(0.4822), real(0.4465)}, {real(0.2470), real(0.2435), real(0.2616)}},
        cut);
  } catch (const std::runtime_error& error) {
    throw std::invalid_argument(error.what());
  }
}

}  // namespace serenade::darts
