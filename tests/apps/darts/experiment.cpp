// Searches and trainings of a few steps: what changes, and that a break changes no bit.

#include "apps/darts/experiment.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>

#include "nn/training/interrupt.h"
#include "tests/temporary_folder.h"

using namespace serenade;
using namespace serenade::darts;

namespace {

Settings tiny() {
  Settings settings;
  settings.images = 32;
  settings.channels = 2;
  settings.cells = 3;
  settings.batch_size = 8;
  settings.epochs = 2;
  return settings;
}

struct InMemory : StateKeeper {
  std::optional<SafetensorsFile> load() override { return state; }
  bool due(Moment) const override { return true; }
  void save(SafetensorsFile kept) override {
    state = std::move(kept);
    if (++count == stop_after) throw Interrupted(2, "stop");
  }
  std::optional<SafetensorsFile> state;
  int count = 0, stop_after = -1;
};

void check_same(const Result& a, const Result& b) {
  REQUIRE(a.weights.size() == b.weights.size());
  for (const auto& [name, tensor] : a.weights) {
    INFO(name);
    CHECK(b.weights.at(name).to_vector() == tensor.to_vector());
  }
  REQUIRE(a.history.size() == b.history.size());
  for (std::size_t i = 0; i < a.history.size(); ++i) {
    CHECK(history_json({a.history[i]}) == history_json({b.history[i]}));
  }
  CHECK(a.cells == b.cells);
}

// Stopped after so many states, and begun again.
template <class Run>
Result in_two_parts(int stop_after, const Run& run) {
  InMemory keeper;
  keeper.stop_after = stop_after;
  TrainerOptions hooks = {.keeper = &keeper};
  CHECK_THROWS_AS(run(hooks), Interrupted);
  return run(hooks);
}

}  // namespace

TEST_CASE("darts search: alphas and weights learn, and a break changes nothing") {
  const Settings settings = tiny();
  const Images images = load_images("", settings.images, 0, false);
  int epochs = 0;
  TrainerOptions hooks;
  hooks.on_epoch = [&](const EpochMetrics& metrics) {
    CHECK(metrics.epoch == ++epochs);
    CHECK(metrics.values.at("accuracy") >= 0);
    CHECK(metrics.values.at("accuracy") <= 1);
  };
  const auto run = [&](const TrainerOptions& options) { return search(settings, images, options); };
  const Result whole = run(hooks);
  CHECK(epochs == 2);
  REQUIRE(whole.history.size() == 2);
  REQUIRE(whole.history[1].choices.size() == 28);
  CHECK(whole.history[1].weight_steps == 4);  // 16 images of a half, 8 a step, two epochs
  CHECK(whole.history[1].architecture_steps == 4);
  for (const ChoiceRecord& choice : whole.history[1].choices) {
    for (const double alpha : choice.alphas) {
      CHECK(alpha != 0);
      CHECK(std::abs(alpha) < 4 * 6e-4);  // Adam: about its rate, 3e-4, a step
    }
  }
  CHECK(whole.cells == cell_space().derive(whole.history[1]));
  check_same(whole, in_two_parts(1, run));  // in the middle of the first epoch
  check_same(whole, in_two_parts(2, run));  // between the epochs
  check_same(whole, in_two_parts(3, run));
}

TEST_CASE("darts training: drop-path, cutout and both heads, and a break changes nothing") {
  Settings settings = tiny();
  settings.auxiliary = settings.cutout = true;
  settings.drop_path = 0.5;
  const Images images = load_images("", settings.images, 0, settings.cutout);
  const Cells cells = find_cells("DARTS_V2", 0);
  const auto run = [&](const TrainerOptions& options) {
    return train(cells, settings, images, options);
  };
  const Result whole = run({});
  CHECK(whole.cells == cells);
  check_same(whole, in_two_parts(2, run));
  check_same(whole, in_two_parts(6, run));  // in the second epoch, which drops paths
  settings.drop_path = 0;
  CHECK(run({}).weights.at("out.weight").to_vector() != whole.weights.at("out.weight").to_vector());
}

TEST_CASE("darts: images, made or of CIFAR-10") {
  const Images made = load_images("", 20, 3, true);
  CHECK(made.training->size() == 20);
  CHECK(made.side == 16);
  CHECK(made.classes == 6);
  CHECK(made.majority > 0.1);
  CHECK(made.majority < 0.25);
  const Sample sample = made.training->get(0);
  const RandomKey key{.seed = 1};
  CHECK(made.augment(sample, key).input.shape() == Shape{3, 16, 16});
  std::int64_t blank = 0;  // by cutout, after the normalisation
  for (const real value : made.augment(sample, key).input.to_vector()) blank += value == 0;
  CHECK(blank >= 3 * 16);
  CHECK(made.normalise(sample, key).input.at({0, 0, 0}) ==
        doctest::Approx((double(sample.input.at({0, 0, 0})) - 0.45) / 0.25));

  const TemporaryFolder folder;
  for (const auto& [name, labels] :
       {std::pair{"data_batch_1.bin", "\1\1\2"}, {"test_batch.bin", "\1\2"}}) {
    std::ofstream file(folder / name, std::ios::binary);
    for (const char* label = labels; *label != 0; ++label) {
      file << *label << std::string(3072, '\100');
    }
  }
  const Images cifar = load_images(folder.path(), 0, 0, false);
  CHECK(cifar.training->size() == 3);
  CHECK(cifar.side == 32);
  CHECK(cifar.majority == 0.5);
  CHECK_THROWS_AS(load_images(folder / "nowhere", 0, 0, false), std::invalid_argument);
}
