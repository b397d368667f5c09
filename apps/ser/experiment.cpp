// Loading, training and evaluating; the search is in search_experiment.cpp.

#include "apps/ser/experiment.h"

#include <algorithm>
#include <cmath>

#include "apps/ser/compute_device.h"
#include "apps/ser/progress.h"
#include "apps/ser/training_loop.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/optim.h"
#include "nn/recorded_step.h"

namespace serenade::ser {

namespace {

// Mean cross-entropy of predictions, from their probabilities.
double mean_loss(const std::vector<Prediction>& predictions) {
  double total = 0;
  for (const Prediction& p : predictions) {
    total -= std::log(std::max(1e-30, p.probabilities[static_cast<std::size_t>(p.label)]));
  }
  return total / static_cast<double>(predictions.size());
}

}  // namespace

Material load_material(const Config& config) {
  Material material;
  material.corpus =
      load_corpus({.kind = config.corpus_kind, .root = config.corpus, .labels = config.label_set});
  material.folds = session_folds(material.corpus, config.direction);
  if (config.folds > 0) {
    std::erase_if(material.folds, [&](const Fold& fold) { return fold.session >= config.folds; });
  }
  ProgressBar bar("features", static_cast<std::int64_t>(material.corpus.recordings.size()));
  material.features =
      extract_features(material.corpus, config.features,
                       {.cache_folder = config.cache,
                        .threads = 0,
                        .progress = [&](std::int64_t done, std::int64_t) { bar.update(done); }});
  bar.finish();
  for (const Recording& recording : material.corpus.recordings) {
    material.labels.push_back(recording.label);
  }
  return material;
}

FoldData make_fold_data(const Config& config, const Material& material, const Fold& fold) {
  const Normalisation normalisation =
      fit_normalisation(material.features, fold.train, config.normalisation);
  const auto set = [&](const std::vector<std::int64_t>& recordings) {
    return Dataset(material.features, material.labels, recordings, normalisation, config.segments);
  };
  return {&material.corpus,     fold,          normalisation, set(fold.train),
          set(fold.validation), set(fold.test)};
}

std::vector<Prediction> evaluate(System& system, const Dataset& data, const Corpus& corpus,
                                 const std::string& fold, std::uint64_t seed) {
  const NoGrad no_grad;
  const bool was_training = system.training();
  system.eval();
  std::vector<Prediction> predictions;
  for (const std::vector<std::int64_t>& group : data.equal_length_groups()) {
    const Batch batch = data.utterances(group);
    const Tensor input = batch.input.to(system.device());
    const Tensor probabilities = softmax(system.forward(input), -1).value().to(Device::cpu);
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
  system.train(was_training);
  std::sort(predictions.begin(), predictions.end(),
            [](const Prediction& a, const Prediction& b) { return a.id < b.id; });
  return predictions;
}

namespace {

// Validates one fold after an epoch, and keeps the weights if they are its best so far.
void end_epoch(System& system, const FoldData& data, EpochRecord record, Training& training,
               StateDict& best) {
  const std::vector<Prediction> validation = evaluate(system, data.validation, *data.corpus);
  const ConfusionMatrix matrix = confusion(validation, data.corpus->classes);
  record.validation_loss = mean_loss(validation);
  record.validation_wa = matrix.wa();
  record.validation_ua = matrix.ua();
  if (training.best_epoch == 0 || record.validation_wa > training.best_validation_wa) {
    training.best_epoch = record.epoch;
    training.best_validation_wa = record.validation_wa;
    best = system.state_dict();
  }
  training.epochs.push_back(record);
}

// The steps of one epoch; fills in the record's loss and gradient norm.
void train_epoch(System& system, Adam& adam, const Dataset& train, const Config& config,
                 const Observer& observer, RecordedStep& recorded, EpochRecord& record) {
  const Batches batches(train, config.batch_size, config.seed,
                        static_cast<std::uint64_t>(record.epoch));
  double total = 0;
  for (std::int64_t step = 0; step < batches.count(); ++step) {
    const Batch batch = batches.batch(step);
    const Tensor input = batch.input.to(system.device());
    adam.zero_grad();
    Variable loss;
    recorded.run([&] {
      loss = cross_entropy(system.forward(input), batch.labels);
      backward(loss);
    });
    const double value = loss.item();
    require_finite(value, record.stage, record.epoch, step);
    if (step + 1 == batches.count()) record.gradient_norm = gradient_norm(adam.parameters());
    adam.step();
    total += value * static_cast<double>(batch.labels.size());
    if (observer.on_step) {
      observer.on_step(record.stage, (record.epoch - 1) * batches.count() + step + 1,
                       config.epochs * batches.count(),
                       epoch_text(record.epoch, config.epochs, value));
    }
  }
  record.train_loss = total / static_cast<double>(train.segment_count());
}

}  // namespace

std::vector<Training> train_architecture(const Config& config, const std::vector<FoldData>& folds,
                                         const Genotype& genotype, const Observer& observer,
                                         const std::string& stage) {
  manual_seed(config.seed);
  const std::unique_ptr<System> system = make_system(config.options, genotype);
  system->to(compute_device());
  RecordedStep recorded(compute_device());
  Adam adam(system->named_parameters(), {});
  const std::unique_ptr<Schedule> schedule = make_schedule(config);
  std::vector<Training> trainings(folds.size());
  std::vector<StateDict> best(folds.size());
  for (int epoch = 1; epoch <= config.epochs; ++epoch) {
    const Stopwatch watch;
    adam.set_learning_rate(schedule->learning_rate());
    EpochRecord record{.stage = stage, .epoch = epoch, .learning_rate = adam.learning_rate()};
    train_epoch(*system, adam, folds.front().train, config, observer, recorded, record);
    schedule->end_epoch(record.train_loss);
    const CapsuleLengths lengths = system->capsule_lengths();
    record.window_length = lengths.window;
    record.utterance_length = lengths.utterance;
    for (std::size_t i = 0; i < folds.size(); ++i) {
      end_epoch(*system, folds[i], record, trainings[i], best[i]);
    }
    for (Training& training : trainings) {
      training.epochs.back().seconds = watch.seconds() / static_cast<double>(folds.size());
    }
    if (observer.on_epoch) observer.on_epoch(trainings.front().epochs.back());
  }
  for (std::size_t i = 0; i < folds.size(); ++i) {
    trainings[i].genotype = genotype;
    trainings[i].parameters = system->parameter_count();
    trainings[i].system = make_system(config.options, genotype);
    trainings[i].system->to(compute_device());
    trainings[i].system->load_state_dict(best[i]);
    trainings[i].system->eval();
  }
  return trainings;
}

}  // namespace serenade::ser
