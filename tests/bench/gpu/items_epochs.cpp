// Whole epochs of searching and training over made data of the paper's size, through the loops that
// the program runs, and timelines of their steps.

#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/data/batch_queue.h"
#include "apps/ser/training/experiment.h"
#include "apps/ser/training/training_loop.h"
#include "autograd/functions.h"
#include "kernels/runtime/memory.h"
#include "nas/supernet_search.h"
#include "tensor/random.h"
#include "tensor/storage.h"
#include "tests/bench/gpu/items.h"
#include "tests/bench/gpu/protocol_time.h"
#include "tests/bench/gpu/timeline.h"

namespace serenade::bench {

namespace {

constexpr std::int64_t kFrames = 200;
constexpr int kClasses = 4;

// Recordings of one segment each: `train` of them to train with, a tenth as many to validate.
struct MadeCorpus {
  ser::Corpus corpus;
  ser::Fold fold;
  std::vector<ser::Features> features;
  std::vector<int> labels;

  // All recordings have the same values, each its own memory: the time does not depend on what is
  // in them. On the device in half precision, in host memory in float32.
  MadeCorpus(std::int64_t train, std::int64_t bins, Device device) {
    const auto count = static_cast<std::size_t>(bins * kFrames);
    Tensor noise = Tensor::empty({bins, kFrames});
    fill_normal_(noise, 0, 1, {9, Purpose::test, 0});
    const std::vector<std::uint16_t> halves(count, 0x3C00);  // 1.0
    const std::size_t bytes = count * (device == Device::cpu ? sizeof(float) : 2);
    const void* values = device == Device::cpu ? static_cast<const void*>(noise.data())
                                               : static_cast<const void*>(halves.data());
    auto moments = std::make_shared<std::vector<double>>(static_cast<std::size_t>(2 * bins));
    for (std::size_t i = 1; i < moments->size(); i += 2) (*moments)[i] = kFrames;  // stddev 1
    corpus.classes = {"neutral", "anger", "happiness", "sadness"};
    for (std::int64_t r = 0; r < train + train / 10; ++r) {
      ser::Recording recording;
      recording.id = std::to_string(r);
      recording.label = static_cast<int>(r % kClasses);
      corpus.recordings.push_back(recording);
      labels.push_back(recording.label);
      (r < train ? fold.train : fold.validation).push_back(r);
      const auto memory = std::make_shared<const Storage>(bytes, device);
      KERNEL(device, copy_from_host, memory->data(), values, bytes);
      ser::Features spectrogram;
      spectrogram.bins = bins;
      spectrogram.frames = kFrames;
      spectrogram.device = device;
      spectrogram.moments = std::shared_ptr<const double>(moments, moments->data());
      spectrogram.owner = memory;
      if (device == Device::cpu) {
        spectrogram.values = static_cast<const float*>(memory->data());
      } else {
        spectrogram.format = SpectrogramFormat::float16;
        spectrogram.stored = memory->data();
      }
      features.push_back(spectrogram);
    }
    fold.test = fold.validation;
  }

  ser::FoldData data(const ser::Config& config) const {
    const ser::Normalisation normalisation =
        ser::fit_normalisation(features, fold.train, config.normalisation);
    const auto set = [&](const std::vector<std::int64_t>& recordings) {
      return ser::Dataset(features, labels, recordings, normalisation, config.segments);
    };
    return {&corpus, fold, normalisation, set(fold.train), set(fold.validation), set(fold.test)};
  }
};

ser::Config config_of(const char* system, const std::string& mode, std::int64_t bins) {
  ser::Config config;
  config.system = system;
  config.strategy = mode;
  config.features = ser::feature_preset(bins == 4096 ? "paper" : "small");
  config.epochs = config.search_epochs = 2;  // the first also loads code and finds memory
  config.resolve();
  return config;
}

double second_epoch(const std::vector<ser::EpochRecord>& epochs) { return epochs.back().seconds; }

EpochSeconds measure_epochs(const MadeCorpus& made, const char* system, std::int64_t bins) {
  EpochSeconds seconds;
  const ser::Config alone = config_of(system, "none", bins);
  std::vector<ser::FoldData> folds;
  folds.push_back(made.data(alone));
  seconds.train = second_epoch(
      ser::train_architecture(alone, {&folds[0]}, ser::baseline_genotype(alone.options), {})[0]
          .epochs);
  const auto search = [&](const std::string& mode) {
    return second_epoch(
        ser::search_architectures(config_of(system, mode, bins), folds, {})[0].epochs);
  };
  seconds.joint = search("joint");
  seconds.sampling = search("sampling");
  seconds.dropout = search("dropout");
  return seconds;
}

// Steps of a search, after the first ones, with batches as the program gets them.
Timeline search_timeline(const MadeCorpus& made, std::int64_t bins, int steps) {
  using Clock = std::chrono::steady_clock;
  constexpr int kFirstSteps = 5;
  const ser::Config config = config_of(ser::kGruAtt, "dropout", bins);
  const ser::FoldData data = made.data(config);
  const auto method = make_one_shot(config.strategy, ser::search_space(config.options), {});
  const std::unique_ptr<ser::Recognizer> supernet = ser::make_supernet(config.options, *method);
  supernet->to(Device::cuda);
  SupernetSearch search(*supernet, *method);
  ser::BatchQueue batches(data.train, Device::cuda);
  batches.start(ser::endless_passes(data.train, config.batch_size, 1));
  // The first steps have marks too: without, their graph would be another.
  auto marks = std::make_unique<DeviceMarks>(4 * kFirstSteps + 1);
  const auto step = [&] {
    marks->mark();
    const ser::Batch batch = *batches.next();
    marks->mark();
    search.weight_step([&] {
      marks->mark();
      return cross_entropy(supernet->forward(batch.input), batch.labels);
    });
    marks->mark();
  };
  for (int i = 0; i < kFirstSteps; ++i) step();
  cuda::synchronize();
  marks = std::make_unique<DeviceMarks>(static_cast<std::size_t>(4 * steps + 1));
  const auto begin = Clock::now();
  const auto now = [&] {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  };
  Timeline timeline;
  for (int i = 0; i < steps; ++i) {
    const double from = now();
    step();
    timeline.host.push_back({from, now()});
  }
  const std::vector<double> times = marks->milliseconds();
  for (std::size_t i = 1; i + 3 < times.size(); i += 4) {
    timeline.device.push_back({times[i], times[i + 1]});      // the batch is made
    timeline.device.push_back({times[i + 2], times[i + 3]});  // the captured step
  }
  return timeline;
}

// Returns the share of time in which the device waited, in percent.
double draw_timeline(const MadeCorpus& made, std::int64_t bins, int steps, const std::string& title,
                     const std::string& path) {
  const Timeline timeline = search_timeline(made, bins, steps);
  std::ofstream(path) << timeline_svg(timeline, title);
  const double waited = 100 * idle_share(timeline.device);
  std::printf("%s: the device waited %.1f %% of the time; %s\n", title.c_str(), waited,
              path.c_str());
  return waited;
}

}  // namespace

void bench_epochs(GpuReport& report, const std::string& folder, bool quick) {
  const std::int64_t bins = quick ? 200 : 4096, segments = quick ? 160 : 5000;
  const int steps = quick ? 8 : 40;
  ser::choose_compute_device("cuda", true);
  std::printf("\n### Epochs over %lld made segments of %lld x %lld, TF32\n\n",
              static_cast<long long>(segments), static_cast<long long>(bins),
              static_cast<long long>(kFrames));
  std::vector<EpochSeconds> systems;
  double slowest = 0, waited = 0;
  {
    const MadeCorpus made(segments, bins, Device::cuda);
    std::printf("| system | train, s | joint | sampling | dropout |\n|---|---:|---:|---:|---:|\n");
    for (const char* system : {ser::kGruAtt, ser::kSeqCap}) {
      const EpochSeconds s = measure_epochs(made, system, bins);
      std::printf("| %s | %.2f | %.2f | %.2f | %.2f |\n", system, s.train, s.joint, s.sampling,
                  s.dropout);
      std::fflush(stdout);
      systems.push_back(s);
      slowest = std::max({slowest, s.joint, s.sampling, s.dropout});
    }
    std::printf("\n");
    waited = draw_timeline(made, bins, steps, "Search steps, corpus on the device",
                           folder + "/timeline_device.svg");
  }
  const double waited_for_batches =
      draw_timeline(MadeCorpus(quick ? 160 : 500, bins, Device::cpu), bins, steps,
                    "Search steps, batches sent ahead", folder + "/timeline_host.svg");
  ser::choose_compute_device("cpu");
  const auto measured = [&](double value) {
    return quick ? std::optional<double>() : std::optional<double>(value);
  };
  for (const auto& [where, share] :
       {std::pair{"corpus on the device", waited}, {"batches sent ahead", waited_for_batches}}) {
    report.number({std::string("the device waits for the host, ") + where,
                   "at most 1 % of a search", 1, "%", measured(share)});
  }
  report.number({"one search of 60 epochs, 5,000 paper-size segments", "under 5 minutes", 5, "min",
                 measured(kSearchEpochs * slowest / 60)});
  report.number(
      {"Table 2 protocol at IEMOCAP's size, extrapolated", "under 3 hours", 3, "h",
       measured(protocol_seconds(systems, kIemocapSegments / static_cast<double>(segments)) /
                3600)});
}

}  // namespace serenade::bench
