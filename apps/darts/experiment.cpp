#include "apps/darts/experiment.h"

#include <numeric>

#include "nas/cell_candidates.h"
#include "nn/training/loader_task.h"

namespace serenade::darts {

namespace {

constexpr double kClipNorm = 5, kAuxiliaryWeight = 0.4;

std::unique_ptr<Optimizer> sgd(const NamedParameters& weights, double rate) {
  const SGD::Options options = {.lr = rate, .momentum = 0.9, .weight_decay = 3e-4};
  return std::make_unique<SGD>(weights, options);
}

class FirstOrder : public OneShot {
 public:
  using OneShot::OneShot;
  std::string name() const override { return "darts"; }
  double clip_norm() const override { return kClipNorm; }
  std::unique_ptr<Optimizer> make_weight_optimizer(const NamedParameters& weights) const override {
    return sgd(weights, options().learning_rate);
  }
  std::unique_ptr<Optimizer> make_alpha_optimizer(const NamedParameters& alphas) const override {
    const double rate = options().alpha_learning_rate;
    return std::make_unique<Adam>(alphas,
                                  Adam::Options{.lr = rate, .beta1 = 0.5, .weight_decay = 1e-3});
  }
  Genotype derive(const std::vector<std::vector<double>>& alphas) const override {
    return cell_space().to_genotype(cell_space().derive(alphas));
  }
};

CellNetwork::Options network_options(const Settings& settings, const Images& images,
                                     bool searching) {
  return {.channels = settings.channels,
          .cells = settings.cells,
          .classes = images.classes,
          .side = images.side,
          .affine = !searching,
          .auxiliary = settings.auxiliary && !searching};
}

auto measure_accuracy(CellNetwork& network, const Images& images) {
  return [&](EpochMetrics& metrics) {
    const DataLoader loader(*images.test, {.batch_size = 100, .transform = images.normalise});
    const auto scores = [&](const Variable& x) { return network.forward(x).classes; };
    metrics.values["accuracy"] = accuracy(network, scores, loader);
  };
}

Subset half(const Images& images, std::int64_t which) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(images.training->size() / 2));
  std::iota(indices.begin(), indices.end(), which * std::ssize(indices));
  return Subset(*images.training, indices);
}

DataLoaderOptions loading(const Settings& settings, const Images& images, std::uint64_t part) {
  return {.batch_size = settings.batch_size,
          .shuffle = true,
          .drop_last = true,
          .seed = 2 * settings.seed + part,
          .transform = images.augment};
}

}  // namespace

std::unique_ptr<OneShot> first_order(const Settings& settings) {
  const StrategyOptions options = {.seed = settings.seed,
                                   .epochs = settings.epochs,
                                   .learning_rate = settings.learning_rate,
                                   .alpha_learning_rate = settings.alpha_learning_rate};
  return std::make_unique<FirstOrder>(cell_space().space(), options);
}

Result search(const Settings& settings, const Images& images, const TrainerOptions& hooks) {
  const std::unique_ptr<OneShot> method = first_order(settings);
  manual_seed(settings.seed);
  const CandidateTable candidates = cell_candidates(true);
  Builder builder(*method, candidates);
  CellNetwork network(builder, network_options(settings, images, true));
  const Subset first = half(images, 0), second = half(images, 1);
  const DataLoader training(first, loading(settings, images, 0));
  const DataLoader validation(second, loading(settings, images, 1));
  const double rate = settings.learning_rate;
  CosineSchedule cosine({.rate = rate, .min_rate = rate / 25, .epochs = settings.epochs});
  const auto loss = [&](const Batch& batch) {
    return cross_entropy(network.forward(batch.input).classes, batch.labels);
  };
  BatchProblem problem(*method, network,
                       {.training = &training,
                        .validation = &validation,
                        .loss = loss,
                        .measure = measure_accuracy(network, images),
                        .schedule = &cosine,
                        .identity = hooks.identity,
                        .keeper = hooks.keeper,
                        .on_step = hooks.on_step,
                        .on_epoch = hooks.on_epoch});
  problem.run();
  const std::vector<SearchRecord>& history = method->search()->history();
  return {cell_space().derive(history.back()), history, network.state_dict()};
}

Result train(const Cells& cells, const Settings& settings, const Images& images,
             TrainerOptions hooks) {
  manual_seed(settings.seed);
  const CandidateTable candidates = cell_candidates(false);
  Builder builder(cell_space().space(), cell_space().to_genotype(cells), candidates);
  CellNetwork network(builder, network_options(settings, images, false));
  const auto optimizer = sgd(network.named_parameters(), settings.learning_rate);
  CosineSchedule cosine({.rate = settings.learning_rate, .epochs = settings.epochs});
  const DataLoader loader(*images.training, loading(settings, images, 0));
  const auto loss = [&](const Batch& batch, int epoch, std::int64_t step) {
    const DropPath drop = {
        .p = settings.drop_path * (epoch - 1) / settings.epochs,
        .key = {settings.seed, Purpose::dropout, static_cast<std::uint64_t>(step)}};
    const Scores scores = network.forward(batch.input, drop);
    Variable main = cross_entropy(scores.classes, batch.labels);
    if (!scores.auxiliary.defined()) return main;
    return main + real(kAuxiliaryWeight) * cross_entropy(scores.auxiliary, batch.labels);
  };
  LoaderTask task({&loader, loss, measure_accuracy(network, images)});
  hooks.epochs = settings.epochs;
  hooks.seed = settings.seed;
  hooks.schedule = &cosine;
  hooks.clip_norm = kClipNorm;
  Trainer trainer(network, *optimizer, hooks);
  if (hooks.keeper != nullptr) trainer.resume(task);
  trainer.run(task);
  return {.cells = cells, .weights = network.state_dict()};
}

}  // namespace serenade::darts
