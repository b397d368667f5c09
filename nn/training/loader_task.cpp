#include "nn/training/loader_task.h"

#include <algorithm>
#include <map>
#include <utility>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tensor/check.h"

namespace serenade {

LoaderTask::LoaderTask(Options options) : options_(std::move(options)) {
  check(options_.loader != nullptr && options_.loss != nullptr, "LoaderTask",
        "there must be a loader and a loss");
  check(options_.loader->size() > 0, "LoaderTask",
        "the loader must have a batch: its batch_size is larger than its set, and drop_last leaves "
        "such a batch out");
}

void LoaderTask::end_epoch(EpochMetrics& metrics) {
  if (options_.measure) options_.measure(metrics);
}

void LoaderTask::begin_epoch(int epoch, std::int64_t first_step) {
  batches_ = options_.loader->epoch(epoch - 1, first_step);
  epoch_ = epoch;
  step_ = (epoch - 1) * steps() + first_step - 1;
}

std::int64_t LoaderTask::next_batch() {
  batch_ = batches_->next().value();
  ++step_;
  return batch_.size();
}

double accuracy(Module& network, const std::function<Variable(const Variable&)>& scores,
                const DataLoader& loader) {
  struct Mode {
    Module& network;
    bool training;
    ~Mode() { network.train(training); }
  } const mode{network, network.training()};
  const NoGrad no_graph;
  network.eval();
  std::int64_t right = 0, count = 0;
  for (const Batch& batch : loader.epoch(0)) {
    const Indices guesses = argmax(scores(batch.input.to(network.device())), 1);
    check(guesses.size() == batch.labels.size(), "accuracy",
          "every sample must have a label and scores; got ", batch.labels.size(), " labels and ",
          guesses.size(), " scores");
    for (std::size_t n = 0; n < guesses.size(); ++n) right += guesses[n] == batch.labels[n];
    count += batch.size();
  }
  check(count > 0, "accuracy", "there must be a sample");
  return static_cast<double>(right) / static_cast<double>(count);
}

double majority_accuracy(const std::vector<std::int64_t>& training,
                         const std::vector<std::int64_t>& test) {
  check(!training.empty() && !test.empty(), "majority_accuracy", "there must be labels");
  std::map<std::int64_t, std::int64_t> counts;
  for (const std::int64_t label : training) ++counts[label];
  const auto most = std::max_element(counts.begin(), counts.end(),
                                     [](auto& a, auto& b) { return a.second < b.second; });
  const auto hits = std::count(test.begin(), test.end(), most->first);
  return static_cast<double>(hits) / static_cast<double>(test.size());
}

}  // namespace serenade
