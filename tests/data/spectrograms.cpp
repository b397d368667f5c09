// The way of the data to a device: spectrograms made there, batches made there or sent ahead, and
// whole experiments either way. In float, with the emulation or a GPU.

#include <doctest/doctest.h>

#include <cmath>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/error.h"
#include "apps/ser/data/batch_queue.h"
#include "apps/ser/features/device_features.h"
#include "apps/ser/training/experiment.h"
#include "apps/ser/training/training_loop.h"
#include "kernels/runtime/cuda_device.h"
#include "kernels/runtime/memory.h"
#include "tensor/storage.h"
#include "tests/apps/ser/common/files.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

// A tone in noise: between the lines of a pure one there is nothing but rounding.
std::vector<float> noisy_tone(double hertz, std::int64_t samples, std::uint64_t seed) {
  std::vector<float> wave = tone(hertz, samples);
  const std::vector<float> rest = noise(samples, seed);
  for (std::size_t i = 0; i < wave.size(); ++i) wave[i] = 0.8f * wave[i] + 0.1f * rest[i];
  return wave;
}

// Two groups of two speakers with a tone of 0.35 s or so per class. Returns the manifest.
std::string make_tone_corpus(const TemporaryFolder& folder) {
  std::string csv = "path,label,speaker,group\n";
  int count = 0;
  for (const char* speaker : {"A", "B", "C", "D"}) {
    for (int label = 0; label < 4; ++label, ++count) {
      const std::string name = "tone" + std::to_string(count) + ".wav";
      write_wav(folder / name,
                noisy_tone(250 * (label + 1) + 7 * count, 5600 + 160 * (count % 3), count));
      csv += name + "," + class_names()[static_cast<std::size_t>(label)] + "," + speaker + "," +
             (speaker[0] < 'C' ? "one" : "two") + "\n";
    }
  }
  write_text(folder / "manifest.csv", csv);
  return folder / "manifest.csv";
}

// As small as the networks allow.
Config small_config(const std::string& corpus, const char* system, const std::string& mode) {
  Config config;
  config.system = system;
  config.strategy = mode;
  config.corpus = corpus;
  config.cache = "";
  config.direction = Direction::first;
  config.folds = 1;
  config.epochs = config.search_epochs = 1;
  config.batch_size = 3;
  config.seed = 5;
  config.features.n_fft = 640;
  config.features.bins = 32;
  config.segments = {32, 8};
  config.resolve();
  return config;
}

// The compute device for the length of a scope.
class ComputeDevice {
 public:
  explicit ComputeDevice(const std::string& word) { choose_compute_device(word); }
  ~ComputeDevice() { choose_compute_device("cpu"); }
};

// The same spectrograms, in the device's memory.
std::vector<Features> moved(const std::vector<Features>& host) {
  std::vector<Features> features;
  for (Features spectrogram : host) {
    const auto bytes =
        static_cast<std::size_t>(spectrogram.bins * spectrogram.frames) * sizeof(float);
    const auto there = std::make_shared<const Storage>(bytes, Device::cuda);
    KERNEL(Device::cuda, copy_from_host, there->data(), spectrogram.values, bytes);
    spectrogram.values = nullptr;
    spectrogram.stored = there->data();
    spectrogram.owner = there;
    spectrogram.device = Device::cuda;
    features.push_back(spectrogram);
  }
  return features;
}

}  // namespace

TEST_CASE("data: spectrograms made on the device are the front end's, but for half precision") {
  const TemporaryFolder folder;
  const Corpus corpus = load_corpus({.root = make_tone_corpus(folder)});
  FeatureSettings log = feature_preset("small"), mel = feature_preset("mel");
  log.n_fft = mel.n_fft = 640;
  log.bins = 40;
  mel.bins = 321;
  mel.n_mels = 20;
  for (const FeatureSettings& settings : {log, mel}) {
    CAPTURE(to_string(settings.kind));
    Corpus few = corpus;
    few.recordings.resize(3);
    const std::vector<Features> host = extract_features(few, settings);
    const std::vector<Features> there = extract_features_on(Device::cuda, few, settings);
    const Normalisation a = fit_normalisation(host, {0, 2}), b = fit_normalisation(there, {0, 2});
    const Dataset of_host(host, {0, 1, 2}, {0, 1, 2}, a, {32, 8});
    const Dataset of_there(there, {0, 1, 2}, {0, 1, 2}, a, {32, 8});
    CHECK(of_there.device() == Device::cuda);
    for (std::size_t f = 0; f < a.mean.size(); ++f) {
      CHECK(b.mean[f] == doctest::Approx(a.mean[f]).epsilon(2e-3));
      CHECK(b.stddev[f] == doctest::Approx(a.stddev[f]).epsilon(2e-2));
    }
    for (std::int64_t r = 0; r < 3; ++r) {
      const std::vector<real> x = of_host.utterance(r).input.to_vector();
      const std::vector<real> y = of_there.utterance(r).input.to_vector();
      REQUIRE(x.size() == y.size());
      const std::size_t frames = static_cast<std::size_t>(of_host.frames(r));
      double worst = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        // in units of the spectrogram: half of the last of 11 bits of a value below 16
        worst = std::max<double>(worst, std::abs(x[i] - y[i]) * a.stddev[i / frames]);
      }
      CHECK(worst < 6e-3);
    }
  }
}

TEST_CASE("data: a batch that was sent ahead has the bits of one made on the device") {
  const TemporaryFolder folder;
  const Corpus corpus = load_corpus({.root = make_tone_corpus(folder)});
  FeatureSettings settings = feature_preset("small");
  settings.bins = 40;
  const std::vector<Features> host = extract_features(corpus, settings), there = moved(host);
  const std::vector<std::int64_t> training = {0, 3, 4, 7, 9, 11};
  const std::vector<int> labels(corpus.recordings.size(), 1);
  for (const NormalisationKind kind :
       {NormalisationKind::per_bin, NormalisationKind::global, NormalisationKind::per_utterance}) {
    CAPTURE(to_string(kind));
    const Normalisation normalisation = fit_normalisation(host, training, kind);
    const Dataset of_host(host, labels, training, normalisation, {20, 4});
    const Dataset of_there(there, labels, training, normalisation, {20, 4});
    BatchQueue sent(of_host, Device::cuda), made(of_there, Device::cuda);
    for (const std::uint64_t pass : {1, 2}) {
      sent.start(one_pass(of_host, 3, 4, pass));
      made.start(one_pass(of_there, 3, 4, pass));
      for (std::int64_t i = 0; i < batch_count(of_host, 3); ++i) {
        const Batch a = *sent.next(), b = *made.next();
        CHECK(a.input.device() == Device::cuda);
        CHECK(a.input.to_vector() == b.input.to_vector());
        CHECK(a.labels == b.labels);
      }
      CHECK_FALSE(sent.next());
    }
    sent.start(one_pass(of_host, 2, 4, 3));  // left in the middle
    sent.next();
  }
}

TEST_CASE("data: an experiment gives the same losses wherever the spectrograms are") {
  const TemporaryFolder folder;
  const std::string corpus = make_tone_corpus(folder);
  const ComputeDevice device("cuda");
  Config config = small_config(corpus, kGruAtt, "dropout");
  FoldRun runs[2];
  for (const CorpusMemory memory : {CorpusMemory::host, CorpusMemory::device}) {
    config.corpus_memory = memory;
    const LoadedCorpus loaded = prepare_corpus(config);
    const bool there = memory == CorpusMemory::device;
    CHECK(loaded.features.front().device == (there ? Device::cuda : Device::cpu));
    std::int64_t steps = 0;
    Observer observer;
    observer.on_step = [&](const std::string&, std::int64_t, std::int64_t, const std::string&) {
      ++steps;
    };
    runs[there] = run_fold(config, loaded, loaded.folds.front(), observer).run;
    CHECK(steps == 6);  // 8 segments in batches of 3, searching and training
  }
  CHECK(runs[0].device.find("corpus in host memory") != std::string::npos);
  CHECK(runs[1].device.find("half precision") != std::string::npos);
  REQUIRE(runs[0].epochs.size() == runs[1].epochs.size());
  for (std::size_t i = 0; i < runs[0].epochs.size(); ++i) {
    const EpochRecord &a = runs[0].epochs[i], &b = runs[1].epochs[i];
    CHECK(a.train_loss > 0);
    CHECK(b.train_loss == doctest::Approx(a.train_loss).epsilon(1e-3));
    CHECK(b.architecture_loss == doctest::Approx(a.architecture_loss).epsilon(1e-3));
    CHECK(b.child_loss == doctest::Approx(a.child_loss).epsilon(1e-3));
    CHECK(b.validation_loss == doctest::Approx(a.validation_loss).epsilon(1e-3));
  }
}

TEST_CASE("data: a non-finite loss stops training on a device") {
  const TemporaryFolder folder;
  const ComputeDevice device("cuda");
  Config config = small_config(make_tone_corpus(folder), kGruAtt, "none");
  config.learning_rate = 1e30;
  config.batch_size = 1;
  const LoadedCorpus loaded = prepare_corpus(config);
  CHECK_THROWS_AS(run_fold(config, loaded, loaded.folds.front(), {}), NonFiniteError);
}
