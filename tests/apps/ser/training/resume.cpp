// A run that is stopped at any step and goes on has the bits of one that was never stopped.

#include <doctest/doctest.h>

#include <csignal>

#include "apps/ser/common/error.h"
#include "apps/ser/training/checkpoints.h"
#include "apps/ser/training/training_loop.h"
#include "nn/training/interrupt.h"
#include "tensor/files.h"
#include "tests/apps/ser/training/tones.h"

using namespace serenade;
using namespace serenade::ser;
namespace fs = std::filesystem;

namespace {

struct Killed {};

// An observer that keeps every step, notes all epochs, and stops like a kill after so many steps.
struct StoppingObserver {
  StoppingObserver(const std::string& prefix, int steps) : checkpoints(prefix, 0), left(steps) {
    observer.checkpoints = &checkpoints;
    observer.on_step = [this](const std::string&, std::int64_t, std::int64_t, const std::string&) {
      if (left-- == 0) throw Killed();
      ++steps_seen;
    };
    observer.on_epoch = [this](const EpochRecord& record) { epochs.push_back(to_json(record)); };
  }

  Checkpoints checkpoints;
  Observer observer;
  int left, steps_seen = 0;
  std::vector<std::string> epochs;
};

constexpr int kNever = 1 << 30;

// All folds of a run, without the times they took.
std::vector<std::string> texts_of(const Config& config, const LoadedCorpus& loaded,
                                  const Observer& observer) {
  std::vector<std::string> texts;
  for (TrainedFold& fold : run_folds(config, loaded, loaded.folds, observer)) {
    texts.push_back(to_json(timeless(std::move(fold.run))));
  }
  return texts;
}

Config resumable_config(const std::string& corpus, const char* system, const char* mode) {
  Config config = small_config(corpus, system, mode);
  config.batch_size = 6;
  config.search.trials = 2;
  config.options.dropout = 0.2;  // draws random numbers at every step
  config.resolve();
  return config;
}

}  // namespace

TEST_CASE("resume: a run stopped at any step ends with the same bits") {
  const TemporaryFolder folder;
  const std::string corpus = make_tone_corpus(folder);
  const std::vector<std::pair<const char*, const char*>> cases = {
      {kGruAtt, "none"},     {kGruAtt, "dropout"},   {kGruAtt, "joint"}, {kGruAtt, "random"},
      {kSeqCap, "sampling"}, {kGruAtt, "two_stage"}, {kGruAtt, "gain"}};
  for (const auto& [system, mode] : cases) {
    CAPTURE(system);
    CAPTURE(mode);
    const bool two_stage = std::string(mode) == "two_stage";
    const bool with_gain = std::string(mode) == "gain";
    Config config = resumable_config(corpus, system,
                                     two_stage   ? "dropout"
                                     : with_gain ? "none"
                                                 : mode);
    if (with_gain) config.gain_augment = 10;
    if (two_stage) {
      config.search.bilevel = Bilevel::two_stage;
      config.search.architecture_epochs = 2;
    }
    // Folds that share their training are kept as one.
    const bool shared = std::string(mode) == "joint" || std::string(mode) == "random";
    if (shared) config.direction = Direction::both;
    const LoadedCorpus loaded = prepare_corpus(config);
    const auto run = [&](const Observer& observer) { return texts_of(config, loaded, observer); };
    StoppingObserver whole(folder / "whole-" + mode, kNever);
    const std::vector<std::string> wanted = run({});
    CHECK(run(whole.observer) == wanted);  // keeping changes nothing
    const int steps = whole.steps_seen;
    CHECK(steps >= 6);
    for (int stop = 0; stop < steps; ++stop) {
      CAPTURE(stop);
      const std::string prefix = folder / "run-" + mode + std::to_string(stop) + "-";
      StoppingObserver first(prefix, stop), second(prefix, kNever);
      CHECK_THROWS_AS(run(first.observer), Killed);
      CHECK(run(second.observer) == wanted);
      CHECK(second.steps_seen == steps - stop);  // none is computed twice
      CHECK(second.epochs.size() == whole.epochs.size());
    }
    // Once more, when all is done: nothing is computed, and all is there.
    StoppingObserver again(folder / "whole-" + mode, 0);
    CHECK(run(again.observer) == wanted);
    CHECK(again.epochs.size() == whole.epochs.size());
  }
}

TEST_CASE("resume: three stops, and states damaged in between") {
  const TemporaryFolder folder;
  const Config config = resumable_config(make_tone_corpus(folder), kGruAtt, "dropout");
  const LoadedCorpus loaded = prepare_corpus(config);
  const auto run = [&](const Observer& observer) { return texts_of(config, loaded, observer); };
  const std::vector<std::string> wanted = run({});
  for (const int stop : {3, 2, 4}) {
    StoppingObserver part(folder / "run-", stop);
    CHECK_THROWS_AS(run(part.observer), Killed);
  }
  // The newest state loses a byte: the one before it is taken, and the file is kept for a look.
  std::string newest;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("run-") && name.ends_with(".safetensors")) newest = entry.path().string();
  }
  REQUIRE(!newest.empty());
  std::string bytes = read_file(newest);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(newest, bytes);
  std::vector<std::string> told;
  Checkpoints checkpoints(folder / "run-", 0,
                          [&](const std::string& line) { told.push_back(line); });
  CHECK(run({.checkpoints = &checkpoints}) == wanted);
  REQUIRE(told.size() == 1);
  CHECK(contains(told[0], "damaged"));
  CHECK(contains(told[0], "the one before it is taken"));
  CHECK(fs::exists(newest + ".damaged"));

  // A run with more epochs goes on from the end of the shorter one.
  Config longer = config;
  longer.epochs = 4;
  const FoldData data = make_fold_data(config, loaded, loaded.folds.front());
  const auto steps_per_epoch = batch_count(data.train, config.batch_size);
  StoppingObserver grown(folder / "run-", kNever);
  const auto more = texts_of(longer, loaded, grown.observer);
  CHECK(more == texts_of(longer, loaded, {}));
  CHECK(grown.steps_seen == 2 * steps_per_epoch);
}

TEST_CASE("resume: a signal keeps the state and stops, and the second half ends the same") {
  const TemporaryFolder folder;
  const Config config = resumable_config(make_tone_corpus(folder), kGruAtt, "dropout");
  const LoadedCorpus loaded = prepare_corpus(config);
  const auto run = [&](const Observer& observer) { return texts_of(config, loaded, observer); };
  const std::vector<std::string> wanted = run({});
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const std::string prefix = folder / "run" + std::to_string(signal) + "-";
    {
      const StopOnSignals stop_on_signals;
      CHECK(stop_signal() == 0);
      Checkpoints checkpoints(prefix, 1000);  // nothing is due for a long time
      int steps = 0;
      Observer observer{.checkpoints = &checkpoints};
      observer.on_step = [&](const std::string&, std::int64_t, std::int64_t, const std::string&) {
        if (++steps == 5) {
          std::raise(signal);
          std::raise(signal);  // as `timeout` does: at once, so it is the same wish
        }
      };
      CHECK_THROWS_AS(run(observer), Interrupted);
      CHECK(stop_signal() == signal);
    }
    Checkpoints checkpoints(prefix, 1000);
    CHECK(run({.checkpoints = &checkpoints}) == wanted);
  }
}

TEST_CASE("resume: states are kept at a hundredth of the time at most, and removed when done") {
  const TemporaryFolder folder;
  Checkpoints checkpoints(folder / "run-", 5);
  CHECK(checkpoints.due(Moment::end));
  CHECK_FALSE(checkpoints.due(Moment::step));
  SafetensorsFile state;
  state.tensors["x"] = Tensor({1 << 16});
  checkpoints.save("train fold", state);
  CHECK_FALSE(checkpoints.due(Moment::epoch));  // saving has just taken some time
  CHECK(checkpoints.due(Moment::end));
  CHECK(fs::exists(folder / "run-train%20fold.safetensors"));
  checkpoints.remove();
  CHECK(fs::is_empty(folder.path()));
  checkpoints.save("train fold", state);
  checkpoints.save("train fold", state);  // and the one before it
  Checkpoints::remove_all(folder.path());
  CHECK(fs::is_empty(folder.path()));
  Checkpoints nowhere(folder / "absent/run-", 0);
  CHECK_THROWS_AS(nowhere.save("train fold", state), IoError);
}

TEST_CASE("resume: a part of which no state is whole is told, and run again") {
  const TemporaryFolder folder;
  const std::string path = folder / "run-search.safetensors";
  std::vector<std::string> told;
  const auto tell = [&](const std::string& line) { told.push_back(line); };
  Checkpoints checkpoints(folder / "run-", 5, tell);
  CHECK_FALSE(checkpoints.load("search"));
  CHECK(told.empty());
  std::vector<std::string> wanted;
  for (const std::string& name : {path, path + ".previous"}) {
    write_safetensors(name, {});  // without its hash
    wanted.push_back(name + ": damaged (its content does not fit its hash); set aside as " + name +
                     ".damaged; this part is run again");
  }
  CHECK_FALSE(checkpoints.load("search"));
  CHECK(told == wanted);
  write_safetensors(path, {});
  CHECK_FALSE(Checkpoints(folder / "run-", 5).load("search"));  // nobody to tell
  CHECK(fs::exists(path + ".damaged"));
}

TEST_CASE("resume: a state of a later version stops the run, and says what to do") {
  const TemporaryFolder folder;
  const std::string path = folder / "run-search.safetensors";
  Checkpoint(path).save({});
  SafetensorsFile state = read_safetensors(path);
  state.metadata.at("checkpoint.format") = "2";
  state.metadata.erase("checkpoint.hash");
  state.metadata["checkpoint.hash"] = content_hash(state);
  write_safetensors(path, state);
  Checkpoints checkpoints(folder / "run-", 5);
  try {
    checkpoints.load("search");
    FAIL("a state of a later version is taken");
  } catch (const IoError& error) {
    CHECK(error.what() == path +
                              ": written by a later version of this program; remove the file to "
                              "run this part again");
  }
}
