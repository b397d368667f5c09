// The loop of a training: what it does in which order, what it keeps, and that a training which was
// stopped at any step ends with the bits of one that never was.

#include "nn/training/trainer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <csignal>
#include <limits>
#include <memory>

#include "nn/data/data_loader.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/training/interrupt.h"
#include "tensor/files.h"
#include "tests/temporary_folder.h"

using namespace serenade;

namespace {

struct Killed {};

constexpr int kEpochs = 3, kSteps = 3;
constexpr std::uint64_t kSeed = 5;

struct Net : Module {
  Linear in{{.in_features = 4, .out_features = 8}}, out{{.in_features = 8, .out_features = 2}};
  Dropout dropout{{.p = 0.3}};  // draws at every step
  Net() {
    register_module("in", in);
    register_module("dropout", dropout);
    register_module("out", out);
  }
  Variable forward(const Variable& x) { return out.forward(dropout.forward(relu(in.forward(x)))); }
};

// Ten samples of two classes, in batches of 4, 4 and 2; counts what else goes on.
struct Points : TrainingTask {
  explicit Points(Net& net) : net(net), data(sample_points(), {0, 1, 0, 1, 0, 1, 0, 1, 0, 1}) {}

  // Takes nothing from the generator that the network draws from.
  static Tensor sample_points() {
    Tensor points({10, 4});
    for (std::int64_t i = 0; i < points.numel(); ++i) {
      points.data()[i] = static_cast<real>(std::sin(static_cast<double>(i * i)));
    }
    return points;
  }

  std::int64_t steps() const override { return loader.size(); }
  void begin_epoch(int epoch, std::int64_t first_step) override {
    batches = std::make_unique<EpochBatches>(loader.epoch(epoch, first_step));
  }
  std::int64_t next_batch() override {
    batch = batches->next();
    return std::ssize(batch->labels);
  }
  Variable loss() override {
    return cross_entropy(net.forward(batch->input), batch->labels) * factor;
  }
  void end_epoch(EpochMetrics& metrics) override {
    seen += metrics.epoch;
    metrics.values["seen"] = seen;
    if (!scores.empty()) metrics.values["score"] = scores.at(size_t(metrics.epoch) - 1);
  }
  void save(SafetensorsFile& state) const override {
    state.metadata["seen"] = std::to_string(seen);
  }
  void load(const SafetensorsFile& state) override { seen = std::stoi(state.metadata.at("seen")); }

  Net& net;
  TensorDataset data;
  DataLoader loader{data, {.batch_size = 4, .shuffle = true, .seed = 3}};
  std::unique_ptr<EpochBatches> batches;
  std::optional<Batch> batch;
  real factor = 1;
  int seen = 0;
  std::vector<double> scores;
};

// All that a training leaves, without the time it took.
struct Outcome {
  std::vector<std::string> lines;
  std::string weights;
  bool operator==(const Outcome&) const = default;
};

Outcome train(StateKeeper* keeper, const std::function<void(const StepProgress&)>& on_step = {},
              double clip_norm = 0, int epochs = kEpochs) {
  manual_seed(kSeed);
  Net net;
  Points points(net);
  Adam adam(net.named_parameters(), {.lr = 0.05});
  CosineSchedule schedule({.rate = 0.05, .epochs = 10});
  Outcome outcome;
  Trainer trainer(net, adam,
                  {.epochs = epochs,
                   .schedule = &schedule,
                   .clip_norm = clip_norm,
                   .monitor = "seen",
                   .seed = kSeed,
                   .identity = "points",
                   .keeper = keeper,
                   .on_step = on_step,
                   .on_epoch = [&](EpochMetrics metrics) {
                     metrics.seconds = 0;
                     outcome.lines.push_back(to_json(metrics));
                   }});
  trainer.resume(points);
  trainer.run(points);
  outcome.weights = content_hash(net.state_dict()) + content_hash(trainer.best());
  return outcome;
}

// A file whose progress has been edited.
void edit(const std::string& path, const std::string& from, const std::string& to) {
  SafetensorsFile state = *Checkpoint(path).load();
  std::string& text = state.metadata.at("trainer.progress");
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
  Checkpoint(path).save(std::move(state));
}

}  // namespace

TEST_CASE("trainer: stopped at any step, a training ends with the same bits") {
  for (const double clip_norm : {0.0, 0.1}) {
    const Outcome wanted = train(nullptr, {}, clip_norm);
    REQUIRE(wanted.lines.size() == kEpochs);
    for (int steps = 0; steps <= kEpochs * kSteps; ++steps) {
      CAPTURE(steps);
      const TemporaryFolder folder;
      const std::string path = folder / "state.safetensors";
      int left = steps;
      const auto kill = [&](const StepProgress&) {
        if (left-- == 0) throw Killed();
      };
      CheckpointFile first(path, 0);  // every step is kept
      if (steps < kEpochs * kSteps) {
        CHECK_THROWS_AS(train(&first, kill, clip_norm), Killed);
      } else {
        CHECK(train(&first, kill, clip_norm) == wanted);
      }
      int seen = 0;
      CheckpointFile second(path, 0);
      CHECK(train(
                &second, [&](const StepProgress&) { ++seen; }, clip_norm) == wanted);
      // A step that was killed before it was kept is done again, and so is the last one of an
      // epoch; no other is.
      CHECK(seen <= kEpochs * kSteps - steps + 1);
    }
    CHECK(train(nullptr, {}, clip_norm) == wanted);
  }
  CHECK_FALSE(train(nullptr, {}, 0.1) == train(nullptr));  // or nothing was clipped
}

TEST_CASE("trainer: a training may grow, and is no other one") {
  const TemporaryFolder folder;
  const std::string path = folder / "state.safetensors";
  CheckpointFile kept(path, 1000);
  train(&kept);
  CheckpointFile grown(path, 1000);
  int seen = 0;
  CHECK(train(
            &grown, [&](const StepProgress&) { ++seen; }, 0, kEpochs + 2) ==
        train(nullptr, {}, 0, kEpochs + 2));
  CHECK(seen == 2 * kSteps);
  // What is longer than asked for is not taken over.
  CheckpointFile shorter(path, 1000);
  CHECK(train(&shorter) == train(nullptr));
}

TEST_CASE("trainer: a signal keeps the state and stops") {
  const Outcome wanted = train(nullptr);
  const TemporaryFolder folder;
  {
    const StopOnSignals stop_on_signals;
    CheckpointFile kept(folder / "state.safetensors", 1000);
    int steps = 0;
    CHECK_THROWS_AS(train(&kept,
                          [&](const StepProgress&) {
                            if (++steps == 5) std::raise(SIGTERM);
                          }),
                    Interrupted);
    CHECK(steps == 5);
  }
  CheckpointFile kept(folder / "state.safetensors", 1000);
  int steps = 0;
  CHECK(train(&kept, [&](const StepProgress&) { ++steps; }) == wanted);
  CHECK(steps == kEpochs * kSteps - 5);
}

TEST_CASE("trainer: the mean loss weighs samples, progress counts steps") {
  manual_seed(kSeed);
  Net net;
  net.eval();  // no dropout
  Points points(net);
  SGD still(net.named_parameters(), {.lr = 1e-30});  // so every step sees the same network
  std::vector<std::int64_t> done;
  Trainer trainer(net, still, {.epochs = 2, .on_step = [&](const StepProgress& step) {
                                 CHECK(step.total == 2 * kSteps);
                                 CHECK(step.epoch == (step.done - 1) / kSteps + 1);
                                 done.push_back(step.done);
                               }});
  trainer.run(points);
  CHECK(done == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6});
  const double all = cross_entropy(net.forward(points.data.inputs()), points.data.labels()).item();
  CHECK(trainer.history()[0].train_loss == doctest::Approx(all).epsilon(1e-5));
  CHECK(trainer.history()[1].learning_rate == 1e-30);
  CHECK(trainer.best_epoch() == 2);  // nothing is monitored
}

TEST_CASE("trainer: the best epoch, and an early stop") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  struct Case {
    std::vector<double> scores;
    bool lower_is_better;
    int patience, epochs, best;
  };
  const std::vector<Case> cases = {{{1, 3, 2, 3, 1}, false, 0, 5, 2},
                                   {{1, 3, 2, 3, 1}, false, 2, 4, 2},
                                   {{3, 1, 2, 0, 5}, true, 0, 5, 4},
                                   {{3, 1, 2, 0, 5}, true, 1, 3, 2},
                                   {{3, nan, nan, 4, 5}, false, 0, 5, 5}};
  for (const Case& c : cases) {
    Net net;
    Points points(net);
    points.scores = c.scores;
    SGD sgd(net.named_parameters(), {.lr = 0.1});
    std::vector<std::string> weights;
    Trainer trainer(net, sgd,
                    {.epochs = 5,
                     .monitor = "score",
                     .lower_is_better = c.lower_is_better,
                     .patience = c.patience,
                     .on_epoch = [&](const EpochMetrics&) {
                       weights.push_back(content_hash(net.state_dict()));
                     }});
    trainer.run(points);
    CHECK(std::ssize(trainer.history()) == c.epochs);
    CHECK(trainer.best_epoch() == c.best);
    CHECK(content_hash(trainer.best()) == weights.at(static_cast<std::size_t>(c.best) - 1));
  }
}

TEST_CASE("trainer: what cannot be is refused in words") {
  Net net;
  Points points(net);
  SGD sgd(net.named_parameters(), {.lr = 0.1});
  CHECK_THROWS_WITH_AS(Trainer(net, sgd, {.epochs = 0}), doctest::Contains("epochs"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(Trainer(net, sgd, {.clip_norm = -1}), doctest::Contains("clip_norm"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(Trainer(net, sgd, {.patience = 1}), doctest::Contains("monitor"),
                       std::invalid_argument);
  Trainer unknown(net, sgd, {.monitor = "accuracy"});
  CHECK_THROWS_WITH_AS(unknown.run(points), doctest::Contains("'accuracy'"), std::invalid_argument);

  const std::string before = content_hash(net.state_dict());
  points.factor = std::numeric_limits<real>::infinity();
  Trainer infinite(net, sgd, {});
  CHECK_THROWS_WITH_AS(infinite.run(points), doctest::Contains("epoch 1, step 1"), NonFiniteLoss);
  CHECK(content_hash(net.state_dict()) == before);
}

TEST_CASE("trainer: a layer that was not registered is noticed") {
  struct Forgetful : Net {
    Linear first{{.in_features = 4, .out_features = 4}};  // nobody is told
    Variable forward(const Variable& x) { return Net::forward(first.forward(x)); }
  };
  struct ForgetfulPoints : Points {
    Forgetful& forgetful;
    explicit ForgetfulPoints(Forgetful& net) : Points(net), forgetful(net) {}
    Variable loss() override {
      return cross_entropy(forgetful.forward(batch->input), batch->labels);
    }
  };
  Forgetful net;
  ForgetfulPoints points(net);
  SGD sgd(net.named_parameters(), {.lr = 0.1});
  Trainer trainer(net, sgd, {});
  CHECK_THROWS_WITH_AS(trainer.run(points), doctest::Contains("register_module"),
                       std::invalid_argument);
  // Known to the optimiser, it may be.
  NamedParameters all = net.named_parameters();
  for (const auto& [name, parameter] : net.first.named_parameters()) {
    all.emplace_back("first." + name, parameter);
  }
  SGD knowing(all, {.lr = 0.1});
  Trainer(net, knowing, {}).run(points);
}

TEST_CASE("trainer: a state that was edited is refused") {
  const std::vector<std::pair<std::string, std::string>> edits = {
      {"\"epoch\":4", "\"epoch\":3"},
      {"\"epoch\":4", "\"epoch\":0"},
      {"\"epoch\":4", "\"epoch\":1e99"},
      {"\"step\":0", "\"step\":4"},
      {"\"step\":0", "\"step\":-1"},
      {"\"samples\":0", "\"sample\":0"},
      {"\"best_epoch\":3", "\"best_epoch\":4"},
      {"\"train_loss\"", "\"train\""},
      {"\"schedule\":{", "\"schedules\":{"}};
  for (const auto& [from, to] : edits) {
    CAPTURE(to);
    const TemporaryFolder folder;
    const std::string path = folder / "state.safetensors";
    CheckpointFile kept(path, 1000);
    train(&kept);
    edit(path, from, to);
    CheckpointFile edited(path, 1000);
    CHECK_THROWS_AS(train(&edited), std::exception);
  }
}

TEST_CASE("checkpoint file: a damaged state is told of, and the one before it taken") {
  const TemporaryFolder folder;
  const std::string path = folder / "state.safetensors";
  const Outcome wanted = train(nullptr);
  CheckpointFile kept(path, 0);
  train(&kept);
  std::string bytes = read_file(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(path, bytes);
  std::vector<std::string> told;
  CheckpointFile again(path, 0, [&](const std::string& line) { told.push_back(line); });
  CHECK(train(&again) == wanted);
  REQUIRE(told.size() == 1);
  CHECK(told[0].find("the one before it is taken") != std::string::npos);
  again.remove();
  CHECK_FALSE(CheckpointFile(path).load());
}

TEST_CASE("keeping pace: what keeping costs is counted, and bounds how often it is done") {
  KeepingPace pace(5);
  CHECK(pace.due(Moment::epoch));  // nothing has been paid so far
  pace.kept(2);
  pace.kept(1);
  CHECK(pace.cost().times == 2);
  CHECK(pace.cost().seconds >= 3);
  CHECK(pace.cost().seconds < 4);
  CHECK(pace.cost().share > 1);          // of the moment that this pace has lived
  CHECK_FALSE(pace.due(Moment::epoch));  // for a hundred seconds
  CHECK_FALSE(pace.due(Moment::step));
  CHECK(pace.due(Moment::end));
}
