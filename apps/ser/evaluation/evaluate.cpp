#include "apps/ser/evaluation/evaluate.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "apps/ser/common/error.h"
#include "apps/ser/data/batch_queue.h"
#include "apps/ser/features/sound_pieces.h"
#include "autograd/engine.h"
#include "autograd/functions.h"

namespace serenade::ser {

namespace {

// Recordings that are answered together, or a piece of one.
struct Question {
  std::vector<std::int64_t> recordings;
  BatchPlan plan;
  bool first = true;  // whether it is a recording's first piece
};

std::vector<Question> questions_about(const Dataset& data, const Corpus& corpus) {
  std::vector<Question> questions;
  for (const std::vector<std::int64_t>& group : data.equal_length_groups()) {
    const std::int64_t frames = data.frames(group.front());
    const double seconds = corpus.recordings[static_cast<std::size_t>(group.front())].seconds;
    const std::int64_t piece =
        seconds > kPieceSeconds ? std::llround(frames * kPieceSeconds / seconds) : frames;
    if (next_piece(frames, piece) == frames) {
      questions.push_back({group, data.plan_utterances(group)});
      continue;
    }
    for (const std::int64_t recording : group) {
      for (std::int64_t start = 0; start < frames;) {
        const std::int64_t length = next_piece(frames - start, piece);
        questions.push_back({{recording}, {{{recording, start, length}}, length}, start == 0});
        start += length;
      }
    }
  }
  return questions;
}

}  // namespace

void MeanProbabilities::add(const real* probabilities, std::int64_t classes, std::int64_t length) {
  mean_.resize(static_cast<std::size_t>(classes));
  length_ += static_cast<double>(length);
  const double share = static_cast<double>(length) / length_;  // 1 of the first
  for (std::size_t k = 0; k < mean_.size(); ++k) mean_[k] += (probabilities[k] - mean_[k]) * share;
}

int most_probable(const std::vector<double>& probabilities, const std::string& name) {
  for (const double probability : probabilities) {
    if (std::isfinite(probability)) continue;
    throw NonFiniteError(
        name +
        ": the class probabilities that the network gives are not finite, "
        "so there is no answer; its weights are damaged, or do not fit this sound");
  }
  return static_cast<int>(std::max_element(probabilities.begin(), probabilities.end()) -
                          probabilities.begin());
}

std::vector<Prediction> evaluate(Recognizer& recognizer, const Dataset& data, const Corpus& corpus,
                                 const std::string& fold, std::uint64_t seed) {
  const NoGrad no_grad;
  const bool was_training = recognizer.training();
  recognizer.eval();
  // All batches are launched before the first result is read.
  const std::vector<Question> questions = questions_about(data, corpus);
  std::vector<Tensor> results;
  BatchQueue batches(data, recognizer.device());
  batches.start([&, next = std::size_t{0}]() mutable -> std::optional<BatchPlan> {
    if (next == questions.size()) return std::nullopt;
    return questions[next++].plan;
  });
  while (const std::optional<Batch> batch = batches.next()) {
    results.push_back(softmax(recognizer.forward(batch->input), -1).value());
  }
  std::vector<std::pair<std::int64_t, MeanProbabilities>> answers;
  for (std::size_t q = 0; q < questions.size(); ++q) {
    const Question& question = questions[q];
    const Tensor probabilities = results[q].to(Device::cpu);
    const std::int64_t classes = probabilities.size(1);
    for (std::size_t i = 0; i < question.recordings.size(); ++i) {
      if (question.first) answers.push_back({question.recordings[i], {}});
      answers.back().second.add(probabilities.data() + static_cast<std::int64_t>(i) * classes,
                                classes, question.plan.length);
    }
  }
  std::vector<Prediction> predictions;
  for (const auto& [index, probabilities] : answers) {
    const Recording& recording = corpus.recordings[static_cast<std::size_t>(index)];
    predictions.push_back({.id = recording.id,
                           .speaker = recording.speaker,
                           .label = recording.label,
                           .predicted = most_probable(probabilities.values(), recording.id),
                           .probabilities = probabilities.values(),
                           .fold = fold,
                           .seed = seed});
  }
  recognizer.train(was_training);
  std::sort(predictions.begin(), predictions.end(),
            [](const Prediction& a, const Prediction& b) { return a.id < b.id; });
  return predictions;
}

}  // namespace serenade::ser
