// Training with a loader: the batches and numbers that a loss is given; accuracy.

#include "nn/training/loader_task.h"

#include <doctest/doctest.h>

#include "autograd/functions.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "tests/op_case.h"

using namespace serenade;

TEST_CASE("loader task: every batch of every epoch with its numbers") {
  const TensorDataset set(random_tensor({5, 3}, 1), {0, 1, 0, 1, 1});
  const DataLoader loader(set, {.batch_size = 2, .shuffle = true, .seed = 4});
  Linear layer({.in_features = 3, .out_features = 2});
  std::vector<std::vector<std::int64_t>> indices;
  std::vector<std::pair<int, std::int64_t>> numbers;
  const auto loss = [&](const Batch& batch, int epoch, std::int64_t step) {
    indices.push_back(batch.indices);
    numbers.emplace_back(epoch, step);
    return cross_entropy(layer.forward(batch.input), batch.labels);
  };
  const auto measure = [](EpochMetrics& metrics) { metrics.values["seven"] = 7; };
  LoaderTask task({.loader = &loader, .loss = loss, .measure = measure});
  SGD sgd(layer.named_parameters(), {.lr = 0.1});
  Trainer trainer(layer, sgd, {.epochs = 2});
  trainer.run(task);
  CHECK(trainer.history()[1].values.at("seven") == 7);
  CHECK_THROWS_AS(LoaderTask({.loader = &loader}), std::invalid_argument);
  std::vector<std::vector<std::int64_t>> expected;
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    for (const Batch& batch : loader.epoch(epoch)) expected.push_back(batch.indices);
  }
  CHECK(indices == expected);
  using Numbers = std::vector<std::pair<int, std::int64_t>>;
  CHECK(numbers == Numbers{{1, 0}, {1, 1}, {1, 2}, {2, 3}, {2, 4}, {2, 5}});
  // From the middle of an epoch on.
  task.begin_epoch(2, 1);
  CHECK(task.next_batch() == 2);
  task.loss();
  CHECK(indices.back() == expected[4]);
  CHECK(numbers.back() == std::pair<int, std::int64_t>(2, 4));
}

TEST_CASE("accuracy: the share of labels with the largest score, in evaluation mode") {
  const TensorDataset set(Tensor::from({3, 1, 0, 2, 5, 4, 1, 7}, {4, 2}), {0, 1, 1, 1});
  const DataLoader loader(set, {.batch_size = 3});
  Dropout dropout({.p = 0.9});
  const auto scores = [&](const Variable& x) {
    CHECK_FALSE(dropout.training());
    return dropout.forward(x);
  };
  CHECK(accuracy(dropout, scores, loader) == 0.75);  // the third says 0
  CHECK(dropout.training());
  dropout.eval();
  CHECK(accuracy(dropout, scores, loader) == 0.75);
  CHECK_FALSE(dropout.training());
  const TensorDataset unlabelled(random_tensor({2, 2}, 1));
  const DataLoader no_labels(unlabelled, {.batch_size = 2});
  CHECK_THROWS_AS(accuracy(dropout, scores, no_labels), std::invalid_argument);
}

TEST_CASE("majority accuracy: of the most frequent label, the smallest on ties") {
  CHECK(majority_accuracy({2, 1, 2}, {1, 2, 2, 2}) == 0.75);
  CHECK(majority_accuracy({2, 1}, {1, 2, 2, 2}) == 0.25);
  CHECK(majority_accuracy({7}, {1}) == 0);
  CHECK_THROWS_AS(majority_accuracy({}, {1}), std::invalid_argument);
}
