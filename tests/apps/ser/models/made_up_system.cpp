// A system made up here, to show that a row is all that a system takes: a network written once, its
// search space, its hand-made architecture; child, supernet and search come with it.

#include <doctest/doctest.h>

#include "apps/ser/models/shared_cnn.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/supernet_search.h"
#include "nn/linear.h"
#include "nn/optim.h"
#include "tests/op_case.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

// The shared convolutions, the mean over time, one searched dense layer, and the classes.
class MeanSystem : public Recognizer {
 public:
  MeanSystem(const RecognizerOptions& options, Builder& builder)
      : cnn_(options, builder),
        dense_(builder.choose("dense", {.in_channels = SharedCnn::kChannels * cnn_.output_bins()})),
        out_({.in_features = builder.width("dense"), .out_features = options.classes}) {
    register_module("cnn", cnn_);
    register_module("dense", *dense_);
    register_module("out", out_);
  }

  Variable forward(const Variable& x) override {
    return out_.forward(relu(dense_->forward(flatten(mean(cnn_.forward(x), 3), 1))));
  }

 private:
  SharedCnn cnn_;
  std::unique_ptr<Layer> dense_;
  Linear out_;
};

SystemRow mean_system() {
  const auto space = [](const RecognizerOptions& options) {
    SearchSpace space = cnn_search_space(options);
    space.choices.push_back({.name = "dense", .candidates = {"8", "12"}, .kind = "width"});
    return space;
  };
  return {.name = "CNN_mean",
          .summary = "convolutions and the mean over time",
          .search_space = space,
          .baseline =
              [space](const RecognizerOptions& options) {
                return make_genotype(space(options), {0, 0, 0, 0, 1});
              },
          .make = [](const RecognizerOptions& options,
                     Builder& builder) { return std::make_unique<MeanSystem>(options, builder); }};
}

}  // namespace

TEST_CASE("a made-up system: one network as a child and as a supernet that is searched") {
  const SystemRow row = mean_system();
  const RecognizerOptions options{.name = row.name, .bins = 64};
  const SearchSpace space = row.search_space(options);
  CHECK(space.size() == 6 * 6 * 6 * 6 * 2);
  CHECK(space.system == row.name);

  manual_seed(4);
  Builder one(space, row.baseline(options));
  const std::unique_ptr<Recognizer> child = row.make(options, one);
  const std::vector<PartCount> parts = part_counts(*child);
  REQUIRE(parts.size() == 3);
  CHECK(parts[0].name == "cnn");
  CHECK(parts[0].parameters == 13104);
  CHECK(parts[1].parameters == 12 * (16 * 2 + 1));

  const Tensor x = random_tensor({3, 1, 64, 20}, 5);
  const auto loss_of = [&](Recognizer& network) {
    return cross_entropy(network.forward(x), {0, 1, 2});
  };
  const double before = loss_of(*child).item();
  Adam adam(child->named_parameters(), {.lr = 1e-2});
  for (int step = 0; step < 5; ++step) {
    adam.zero_grad();
    backward(loss_of(*child));
    adam.step();
  }
  CHECK(loss_of(*child).item() < before);

  for (const StrategyRow& strategy : strategies()) {
    const StrategyOptions search_options{.seed = 1, .epochs = 1, .baseline = row.baseline(options)};
    if (!make_strategy(strategy.name, space, search_options)->needs_supernet()) continue;
    CAPTURE(strategy.name);
    const auto method = make_one_shot(strategy.name, space, search_options);
    Builder all(*method);
    const std::unique_ptr<Recognizer> supernet = row.make(options, all);
    SupernetSearch search(*supernet, *method);
    if (search.trains_architecture()) search.architecture_step([&] { return loss_of(*supernet); });
    search.weight_step([&] { return loss_of(*supernet); });
    search.end_epoch();
    const Genotype found = method->derive(search.alphas());
    Builder found_one(space, found);
    CHECK(row.make(options, found_one)->forward(x).shape() == Shape{3, 4});
  }
}

TEST_CASE("the systems of the table: names, spaces and baselines that belong together") {
  REQUIRE(systems().size() >= 2);
  for (const SystemRow& row : systems()) {
    CAPTURE(row.name);
    const RecognizerOptions options{.name = row.name, .bins = 64};
    CHECK(find_system(row.name).summary == row.summary);
    CHECK(row.search_space(options).system == row.name);
    CHECK_NOTHROW(check_genotype(row.baseline(options), row.search_space(options)));
  }
}
