#include "apps/ser/evaluation/evaluate.h"

#include <algorithm>
#include <optional>

#include "apps/ser/data/batch_queue.h"
#include "autograd/engine.h"
#include "autograd/functions.h"

namespace serenade::ser {

std::vector<Prediction> evaluate(Recognizer& recognizer, const Dataset& data, const Corpus& corpus,
                                 const std::string& fold, std::uint64_t seed) {
  const NoGrad no_grad;
  const bool was_training = recognizer.training();
  recognizer.eval();
  // All batches are launched before the first result is read.
  const std::vector<std::vector<std::int64_t>> groups = data.equal_length_groups();
  std::vector<Tensor> results;
  BatchQueue batches(data, recognizer.device());
  batches.start([&, next = std::size_t{0}]() mutable -> std::optional<BatchPlan> {
    if (next == groups.size()) return std::nullopt;
    return data.plan_utterances(groups[next++]);
  });
  while (const std::optional<Batch> batch = batches.next()) {
    results.push_back(softmax(recognizer.forward(batch->input), -1).value());
  }
  std::vector<Prediction> predictions;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::vector<std::int64_t>& group = groups[g];
    const Tensor probabilities = results[g].to(Device::cpu);
    const std::int64_t classes = probabilities.size(1);
    for (std::size_t i = 0; i < group.size(); ++i) {
      const Recording& recording = corpus.recordings[static_cast<std::size_t>(group[i])];
      const real* row = probabilities.data() + static_cast<std::int64_t>(i) * classes;
      Prediction prediction{
          .id = recording.id,
          .speaker = recording.speaker,
          .label = recording.label,
          .predicted = static_cast<int>(std::max_element(row, row + classes) - row),
          .probabilities = {row, row + classes},
          .fold = fold,
          .seed = seed};
      predictions.push_back(std::move(prediction));
    }
  }
  recognizer.train(was_training);
  std::sort(predictions.begin(), predictions.end(),
            [](const Prediction& a, const Prediction& b) { return a.id < b.id; });
  return predictions;
}

}  // namespace serenade::ser
