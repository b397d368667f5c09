// The program `capsnet`: trains the capsule network of Sabour, Frosst & Hinton (2017) on digits.

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/capsnet/digits.h"
#include "apps/capsnet/report.h"
#include "nn/training/loader_task.h"
#include "nn/training/run_folder.h"
#include "tensor/files.h"

namespace serenade::capsnet {

struct Settings {
  std::string mnist = {};  ///< folder of MNIST's four files; empty: made digits
  bool multi = false, reconstruction = true;
  bool small = true;  ///< 32 channels and 4 types of capsules in place of 256 and 32
  int routings = 3, epochs = 5;
  std::int64_t batch_size = 100, train_samples = 0, test_samples = 0;  ///< 0: all; 10000, 1000 made
  std::uint64_t seed = 0;
  std::string out = "runs/capsnet";
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Settings, mnist, multi, small, reconstruction, routings, epochs,
                                   batch_size, train_samples, test_samples, seed)

namespace {

using nlohmann::json;

// The first `count` digits of a split; `count` becomes their number.
TensorDataset load(const Settings& s, Split split, std::int64_t& count) {
  if (s.mnist.empty()) {
    if (count == 0) count = split == Split::train ? 10000 : 1000;
    return made_digits(s.seed, split, count);
  }
  try {
    const ImageDataset all = read_mnist(s.mnist, split);
    if (all.size() == 0) throw InputError("there are no pictures");
    if (all.image_shape() != Shape{1, 28, 28}) throw InputError("pictures must be 28 x 28");
    count = count == 0 ? all.size() : std::min(count, all.size());
    const Batch first = *DataLoader(all, {.batch_size = count}).epoch(0).next();
    return TensorDataset(first.input, first.labels);
  } catch (const std::runtime_error& error) {
    throw InputError("--mnist: " + std::string(error.what()) +
                     "; name the folder of its four files");
  }
}

// Trains, or goes on where a run with these settings was stopped, and fills the folder.
void run(Settings s) {
  const TensorDataset training = load(s, Split::train, s.train_samples);
  const TensorDataset test = load(s, Split::test, s.test_samples);
  const std::int64_t side = s.multi ? 36 : 28;
  DataLoaderOptions options = {.batch_size = s.batch_size, .num_workers = 1, .seed = s.seed};
  if (s.multi) options.transform = overlay(test);
  const DataLoader test_batches(test, options);
  options.shuffle = true;
  options.transform = s.multi ? overlay(training) : random_crop({.size = {28, 28}, .padding = 2});
  const DataLoader batches(training, options);
  json settings = s;
  settings["data"] = content_hash(training) + content_hash(test);
  const std::string config = settings.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  RunFolder folder("--out", s.out, config);
  manual_seed(s.seed);
  CapsNet net(
      {s.multi ? 2 : 1, side, s.small ? 32 : 256, s.small ? 4 : 32, s.routings, s.reconstruction});
  Adam adam(net.named_parameters(), {});
  StepSchedule schedule({.rate = 1e-3, .step_size = 1, .gamma = 0.9});
  const auto measure = [&](EpochMetrics& metrics) {
    metrics.values["test_error"] = test_error(net, test_batches);
  };
  LoaderTask task(
      {&batches, [&](const Batch& batch, int, std::int64_t) { return net.loss(batch); }, measure});
  Trainer trainer(net, adam,
                  folder.record({.epochs = s.epochs, .schedule = &schedule, .seed = s.seed}));
  trainer.resume(task);
  trainer.run(task);
  save_model(folder.file("model.safetensors"), net, {{"settings", config}});
  write_file(folder.file("report.html"), report(net, test_batches, config, trainer.history()));
  folder.finish();
  std::cout << "test error " << trainer.history().back().values.at("test_error") << " %, see "
            << folder.file("report.html\n");
}

}  // namespace

}  // namespace serenade::capsnet

int main(int argc, char** argv) {
  using namespace serenade;
  capsnet::Settings s;
  CLI::App app{"Trains a capsule network on handwritten or made digits and writes a report",
               "capsnet"};
  app.option_defaults()->always_capture_default();
  const auto made = app.add_flag("--made")->description("digits made of strokes (default)");
  app.add_option("--mnist", s.mnist, "folder of MNIST's four files")->excludes(made);
  app.add_flag("--multi", s.multi, "two digits laid over one another (MultiMNIST)");
  const auto size = app.add_flag("--small,!--full", s.small,
                                 "32 channels and 4 types, not 256 "
                                 "and 32; default: small for made digits, full for MNIST");
  app.add_option("--routings", s.routings, "iterations")->check(CLI::IsMember({1, 3}));
  app.add_flag("!--no-reconstruction", s.reconstruction, "without the decoder");
  app.add_option("--epochs", s.epochs)->check(CLI::Range(1, 10000));
  app.add_option("--batch-size", s.batch_size)->check(CLI::Range(1, 10000));
  const CLI::Range samples(0, 1000000);
  app.add_option("--train-samples", s.train_samples, "0: all; 10000 made ones")->check(samples);
  app.add_option("--test-samples", s.test_samples, "0: all; 1000 made ones")->check(samples);
  const auto seed = app.add_option("--seed", s.seed, "of weights, batches and made digits");
  seed->check(fault_of_seed, "DIGITS");
  app.add_option("--out", s.out, "folder for results; a run that was stopped goes on there");
  const auto work = [&] {
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) return app.exit(error), void();
      throw InputError(std::string(error.what()) + " (see capsnet --help)");
    }
    if (size->count() == 0) s.small = s.mnist.empty();
    capsnet::run(s);
  };
  return run_program("capsnet", work);
}
