#include "apps/ser/training/loaded_corpus.h"

#include <iostream>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/corpus/label_choice.h"
#include "apps/ser/features/device_features.h"
#include "kernels/runtime/async_copy.h"
#include "nn/training/progress.h"

namespace serenade::ser {

namespace {

// Of the device's free memory, what the corpus may take: the rest is for training.
constexpr double kDeviceShare = 0.6;

std::string gigabytes(double bytes) { return fixed(bytes / 1e9, 2); }

// Whether the spectrograms shall be made on the compute device and stay there.
bool keeps_on_device(const Config& config, const Corpus& corpus) {
  if (in_host_memory(compute_device()) || config.corpus_memory == CorpusMemory::host) return false;
  const bool made_there = can_be_made_on_devices(config.features);
  if (!made_there || config.gain_augment > 0) {
    const std::string reason = made_there ? "gain_augment changes batches in the host's memory"
                                          : "features of kind pcen are made on the CPU";
    if (config.corpus_memory == CorpusMemory::device) {
      throw InputError("corpus_memory device: " + reason + "; use corpus_memory host");
    }
    std::cerr << "device: " << reason << ", and the corpus is in host memory\n";
    return false;
  }
  const double bytes = device_bytes(corpus, config.features);
  std::size_t free = 0;
  KERNEL(compute_device(), free_memory, &free);
  if (bytes <= kDeviceShare * static_cast<double>(free)) return true;
  if (config.corpus_memory == CorpusMemory::automatic) return false;
  throw InputError("corpus_memory device: the spectrograms take " + gigabytes(bytes) +
                   " GB, and of the GPU's memory " + gigabytes(static_cast<double>(free)) +
                   " GB are free, of which they may take " + percent(kDeviceShare, 0) +
                   " %; use corpus_memory host");
}

void print_warnings(const Corpus& corpus) {
  for (const std::string& warning : corpus.warnings()) {
    std::cerr << "corpus: " << shown(warning) << "\n";
  }
}

// The folds of the corpus that are to be run.
std::vector<Fold> configured_folds(const Config& config, const Corpus& corpus) {
  std::vector<Fold> folds = session_folds(corpus, config.direction);
  if (config.folds > 0) {
    std::erase_if(folds, [&](const Fold& fold) { return fold.session >= config.folds; });
  }
  return folds;
}

}  // namespace

LoadedCorpus prepare_corpus(const Config& config) {
  LoadedCorpus loaded;
  loaded.corpus = load_corpus({.kind = config.corpus_kind,
                               .root = config.corpus,
                               .labels = config.label_set,
                               .classes = label_names(config.labels),
                               .map = config.label_map});
  print_warnings(loaded.corpus);
  loaded.folds = configured_folds(config, loaded.corpus);  // so that no work precedes a refusal
  const bool on_device = keeps_on_device(config, loaded.corpus);
  ProgressBar bar("features", static_cast<std::int64_t>(loaded.corpus.recordings.size()));
  std::vector<DamagedRecording> damaged;
  const ExtractOptions options{
      .cache_folder = on_device ? "" : config.cache,
      .progress = [&](std::int64_t done, std::int64_t) { bar.update(done); },
      .damaged = &damaged};
  loaded.features =
      on_device ? extract_features_on(compute_device(), loaded.corpus, config.features, options)
                : extract_features(loaded.corpus, config.features, options);
  bar.finish();
  if (!damaged.empty()) {
    leave_out_damaged(loaded.corpus, loaded.features, damaged);
    loaded.folds = configured_folds(config, loaded.corpus);
    print_warnings(loaded.corpus);
  }
  if (!in_host_memory(compute_device())) {
    const bool half = device_format(config.features) == SpectrogramFormat::float16;
    loaded.place = !on_device ? "corpus in host memory"
                   : half     ? "corpus in its memory, half precision"
                              : "corpus in its memory";
    std::cerr << "device: " << compute_device_name() << ", " << loaded.place << ", "
              << gigabytes(device_bytes(loaded.corpus, config.features)) << " GB\n";
  }
  for (const Recording& recording : loaded.corpus.recordings) {
    loaded.labels.push_back(recording.label);
  }
  return loaded;
}

FoldData make_fold_data(const Config& config, const LoadedCorpus& loaded, const Fold& fold) {
  const Normalisation normalisation =
      fit_normalisation(loaded.features, fold.train, config.normalisation);
  const auto set = [&](const std::vector<std::int64_t>& recordings) {
    return Dataset(loaded.features, loaded.labels, recordings.empty() ? fold.train : recordings,
                   normalisation, config.segments);
  };
  FoldData data{&loaded.corpus,       fold,          normalisation, set(fold.train),
                set(fold.validation), set(fold.test)};
  if (config.gain_augment > 0) data.train.augment_gain(config.gain_augment, config.features);
  return data;
}

}  // namespace serenade::ser
