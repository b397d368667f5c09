// `serenade predict` on five seconds of sound: the whole process, from its start to its answer,
// against PyTorch's model call alone in a process that is already warm.

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "apps/ser/corpus/audio.h"
#include "apps/ser/features/features.h"
#include "apps/ser/training/config.h"
#include "apps/ser/training/model_file.h"
#include "tensor/random.h"
#include "tests/bench/peers/items.h"

namespace serenade::bench {

namespace {

constexpr int kSeconds = 5;

// A gliding tone with overtones: any sound will do, the work is the same.
std::vector<float> sound() {
  std::vector<float> samples(kSeconds * ser::kSampleRate);
  double phase = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double t = double(i) / ser::kSampleRate;
    phase += 2 * M_PI * (150 + 40 * std::sin(2 * t)) / ser::kSampleRate;
    samples[i] = static_cast<float>(0.3 * std::sin(phase) + 0.1 * std::sin(3 * phase));
  }
  return samples;
}

// A freshly initialised recogniser of the preset paper, as a model file.
void write_fresh_model(const std::string& path, const std::string& system) {
  ser::Config config;
  ser::set_value(config, "system", system);
  ser::set_value(config, "preset", "paper");
  config.resolve();
  manual_seed(7);
  const Genotype genotype = ser::baseline_genotype(config.options);
  ser::Normalisation normalisation;
  normalisation.mean.assign(static_cast<std::size_t>(config.features.rows()), -4.0f);
  normalisation.stddev.assign(static_cast<std::size_t>(config.features.rows()), 2.0f);
  ser::write_model(path, config, genotype, normalisation,
                   *ser::make_recognizer(config.options, genotype));
}

}  // namespace

void predict_items(const Setting& setting) {
  setting.report.heading("serenade predict on a file of 5 seconds, preset paper");
  const std::string wav = setting.folder + "/five_seconds.wav";
  const std::string model = setting.folder + "/paper.safetensors";
  ser::write_wav(wav, sound());
  for (const char* name : {ser::kGruAtt, ser::kSeqCap}) {
    write_fresh_model(model, name);
    const ser::FeatureSettings features = ser::feature_preset("paper");
    const nlohmann::json arguments = {
        {"name", name},
        {"bins", features.rows()},
        {"frames", ser::frame_count(kSeconds * ser::kSampleRate, features)}};
    std::optional<PyTorch::Prepared> item;
    if (setting.pytorch != nullptr) item = setting.pytorch->prepare("predict", arguments.dump());
    std::vector<std::optional<Contender>> peers;
    if (item)
      peers.push_back(asking(setting.pytorch->contender(*item, "call", "model call alone"), 1));
    const Contender whole{
        .name = "ours", .version = "", .note = "", .round = [&] {
          let_threads_sleep();
          return run_program({setting.serenade, "predict", model, wav, "--no-level-check",
                              "--threads", std::to_string(setting.threads)});
        }};
    setting.report.contest(std::string(name) + ", whole process", whole, peers);
    if (setting.pytorch != nullptr) setting.pytorch->drop();
  }
}

}  // namespace serenade::bench
