// A search over loaders: which batches it sees, what it tells, and that a break changes no bit.

#include "nas/batch_problem.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "autograd/functions.h"
#include "nas/builder.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/training/interrupt.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

SearchSpace hidden_space() {
  return {.choices = {{.name = "hidden", .candidates = {"2", "5"}, .kind = "width"}}};
}

struct Net : Module {
  std::unique_ptr<Layer> hidden;
  Dropout dropout{{.p = 0.3}};
  Linear out;
  explicit Net(Builder& builder)
      : hidden(builder.choose("hidden", {.in_channels = 3})),
        out({.in_features = builder.width("hidden"), .out_features = 2}) {
    register_module("hidden", *hidden);
    register_module("dropout", dropout);
    register_module("out", out);
  }
  Variable forward(const Variable& x) {
    return out.forward(dropout.forward(relu(hidden->forward(x))));
  }
};

TensorDataset numbers(std::int64_t count, std::uint64_t seed) {
  Indices labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(i % 2);
  return TensorDataset(random_tensor({count, 3}, seed), labels);
}

// Keeps the state in memory; stops the search, as a signal would, when it has been kept so often.
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

struct Setup {
  TensorDataset training = numbers(12, 1), validation = numbers(8, 2);
  DataLoader train{training, {.batch_size = 3, .shuffle = true, .seed = 5}};       // 4 batches
  DataLoader validate{validation, {.batch_size = 3, .shuffle = true, .seed = 6}};  // 3 batches
  CosineSchedule schedule{{.rate = 0.01, .min_rate = 0.001, .epochs = 3}};
  std::unique_ptr<OneShot> method;
  std::unique_ptr<Net> net;
  std::vector<std::vector<std::int64_t>> seen;  // samples of the batches
  std::vector<StepProgress> steps;
  std::vector<EpochMetrics> epochs;
  std::unique_ptr<BatchProblem> problem;

  explicit Setup(StateKeeper* keeper, const std::string& identity = "a",
                 const std::string& mode = "sampling")
      : method(
            make_one_shot(mode, hidden_space(), {.seed = 3, .epochs = 3, .learning_rate = 0.01})) {
    manual_seed(3);
    Builder builder(*method);
    net = std::make_unique<Net>(builder);
    const auto loss = [this](const Batch& batch) {
      seen.push_back(batch.indices);
      return cross_entropy(net->forward(batch.input), batch.labels);
    };
    const auto measure = [this](EpochMetrics& metrics) {
      metrics.values["weight"] = sum_of_weights();
    };
    problem = std::make_unique<BatchProblem>(
        *method, *net,
        BatchProblemOptions{
            .training = &train,
            .validation = &validate,
            .loss = loss,
            .measure = measure,
            .schedule = &schedule,
            .identity = identity,
            .keeper = keeper,
            .on_step = [this](const StepProgress& step) { steps.push_back(step); },
            .on_epoch = [this](const EpochMetrics& epoch) { epochs.push_back(epoch); }});
  }
  double sum_of_weights() const { return double(sum(net->out.weight).item()); }
};

}  // namespace

TEST_CASE("batch problem: batches of both loaders, rates, metrics and progress") {
  Setup setup(nullptr);
  setup.problem->run();
  CHECK(setup.steps.size() == 12);
  CHECK(setup.steps[5].epoch == 2);
  CHECK(setup.steps[5].done == 6);
  CHECK(setup.steps[5].total == 12);
  REQUIRE(setup.epochs.size() == 3);
  CHECK(setup.epochs[0].learning_rate == doctest::Approx(0.01));
  CHECK(setup.epochs[1].learning_rate == doctest::Approx(0.00775));  // a quarter down a cosine
  const SearchRecord& last = setup.method->search()->history().back();
  CHECK(setup.epochs[2].train_loss == last.weight_loss);
  CHECK(setup.epochs[2].values.at("validation_loss") == last.architecture_loss);
  CHECK(setup.epochs[2].values.at("weight") == setup.sum_of_weights());
  // Losses come in turn: a validation batch, a training batch. Validation begins anew after three.
  REQUIRE(setup.seen.size() == 24);
  const auto batches = [](const DataLoader& loader, std::int64_t epoch) {
    std::vector<std::vector<std::int64_t>> all;
    for (const Batch& batch : loader.epoch(epoch)) all.push_back(batch.indices);
    return all;
  };
  CHECK(setup.seen[1] == batches(setup.train, 0)[0]);
  CHECK(setup.seen[9] == batches(setup.train, 1)[0]);
  CHECK(setup.seen[4] == batches(setup.validate, 0)[2]);
  CHECK(setup.seen[6] == batches(setup.validate, 1)[0]);
  CHECK(setup.seen[8] == batches(setup.validate, 1)[1]);
}

TEST_CASE("batch problem: stopped anywhere and begun again, it ends with the same bits") {
  InMemory whole;
  Setup undisturbed(&whole);
  undisturbed.problem->run();
  CHECK(whole.count == 12);  // three steps and the epoch, three times
  const StateDict expected = undisturbed.net->state_dict();
  for (int stop = 1; stop <= 12; ++stop) {
    INFO(stop);
    InMemory keeper;
    keeper.stop_after = stop;
    Setup first(&keeper);
    CHECK_THROWS_AS(first.problem->run(), Interrupted);
    Setup second(&keeper);
    second.problem->run();
    CHECK(same_numbers(second.net->state_dict(), expected));
    CHECK(second.method->search()->alphas() == undisturbed.method->search()->alphas());
    CHECK(second.method->recommend() == undisturbed.method->recommend());
    REQUIRE(second.epochs.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(second.epochs[i].values == undisturbed.epochs[i].values);
      CHECK(second.epochs[i].train_loss == undisturbed.epochs[i].train_loss);
      CHECK(second.epochs[i].learning_rate == undisturbed.epochs[i].learning_rate);
    }
  }
}

TEST_CASE("batch problem: so do strategies that look ahead, or at the end of an epoch") {
  for (const char* mode : {"darts_second", "darts_es", "darts_pt", "spos", "enas"}) {
    InMemory whole;
    Setup undisturbed(&whole, "a", mode);
    undisturbed.problem->run();
    const std::string history = history_json(undisturbed.method->search()->history());
    for (const int stop : {1, 4, 6, 11}) {
      INFO(mode << " " << stop);
      InMemory keeper;
      keeper.stop_after = stop;
      Setup first(&keeper, "a", mode);
      CHECK_THROWS_AS(first.problem->run(), Interrupted);
      Setup second(&keeper, "a", mode);
      second.problem->run();
      CHECK(same_numbers(second.net->state_dict(), undisturbed.net->state_dict()));
      CHECK(history_json(second.method->search()->history()) == history);
    }
  }
}

TEST_CASE("batch problem: the first batches of the validation data, the same every time") {
  Setup setup(nullptr);
  std::vector<std::vector<std::int64_t>> expected;
  for (const Batch& batch : setup.validate.epoch(0)) expected.push_back(batch.indices);
  for (const std::int64_t at_most : {2, 2, 100}) {
    setup.seen.clear();
    for (const LossFunction& loss : setup.problem->validation_losses(at_most)) loss();
    CHECK(setup.seen.size() == std::min<std::size_t>(expected.size(), at_most == 2 ? 2 : 3));
    for (std::size_t i = 0; i < setup.seen.size(); ++i) CHECK(setup.seen[i] == expected[i]);
  }
}

TEST_CASE("batch problem: the state of another search is not taken over") {
  InMemory keeper;
  keeper.stop_after = 6;
  Setup first(&keeper);
  CHECK_THROWS_AS(first.problem->run(), Interrupted);
  keeper.stop_after = -1;
  Setup other(&keeper, "b");
  other.problem->run();
  CHECK(other.steps.size() == 12);  // from the beginning
  DataLoader none(other.training, {.batch_size = 100, .drop_last = true});
  const auto loss = [](const Batch&) { return Variable(); };
  const BatchProblemOptions empty = {.training = &none, .validation = &none, .loss = loss};
  CHECK_THROWS_AS(BatchProblem(*other.method, *other.net, empty), std::invalid_argument);
  const BatchProblemOptions no_loss = {.training = &other.train, .validation = &other.validate};
  CHECK_THROWS_AS(BatchProblem(*other.method, *other.net, no_loss), std::invalid_argument);
}
