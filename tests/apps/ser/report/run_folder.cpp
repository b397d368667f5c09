// What a resumed run takes over of its folds.

#include "apps/ser/report/run_folder.h"

#include <doctest/doctest.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "apps/ser/common/error.h"
#include "tensor/files.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace fs = std::filesystem;

TEST_CASE("run folder: a fold counts as finished with all its files, and its epochs with it") {
  const TemporaryFolder folder;
  const std::string path = folder / "run", metrics = path + "/metrics.jsonl";
  Config config;
  config.resolve();
  std::vector<std::string> told;
  const auto open = [&](OverwritePolicy policy) {
    auto run = std::make_unique<RunFolder>(path, config, policy, 5,
                                           [&](const std::string& line) { told.push_back(line); });
    run->begin({});
    return run;
  };
  const std::string epoch = R"("epoch": 1, "fold": )", a = "{" + epoch + "\"a\"}\n";
  { open(OverwritePolicy::refuse); }
  FoldRun fold;
  fold.fold = "a";
  fold.genotype = baseline_genotype(config.options);
  for (const char* name : {"genotype.json", "model.safetensors", "predictions.csv"}) {
    write_text(path + "/folds/a/" + name, "old");
  }
  write_text(path + "/checkpoint/a.json", to_json(fold));
  // Of other folds, of none, of one without a name, of no epoch at all, and of a torn line.
  write_text(metrics,
             a + "{" + epoch + "\"b\"}\n{\"epoch\": 1}\n{" + epoch + "3}\n[1]\n" + a + "{\"epo");
  const std::string real = fs::canonical(path);
  {
    const auto run = open(OverwritePolicy::resume);
    CHECK(read_file(metrics) == a + a);
    CHECK(run->finished_fold("a").has_value());
    CHECK_FALSE(run->finished_fold("b").has_value());
    run->log_epoch("a", {.stage = "train", .epoch = 2});
    CHECK(read_file(metrics) == a + a);
    run->log_epoch("b", {.stage = "train", .epoch = 2});
    CHECK(contains(read_file(metrics).substr(2 * a.size()), "\"fold\":\"b\""));
    // A run with more epochs than it was planned for is another one.
    for (const int epochs : {config.epochs, config.epochs + 1}) {
      fold.planned_epochs = epochs;
      write_text(path + "/checkpoint/a.json", to_json(fold));
      CHECK(run->finished_fold("a").has_value() == (epochs == config.epochs));
    }
    fold.planned_epochs = 0;
    write_text(path + "/checkpoint/a.json", to_json(fold));
    CHECK(told.empty());
    for (const char* name : {"genotype.json", "model.safetensors", "predictions.csv"}) {
      const std::string file = "/folds/a/" + std::string(name);
      fs::remove(path + file);
      CHECK_FALSE(run->finished_fold("a").has_value());
      CHECK(told.back() == real + file + ": not there; the fold is run again");
      write_text(path + file, "old");
    }
    write_text(path + "/checkpoint/a.json", "{}");
    CHECK_FALSE(run->finished_fold("a").has_value());
    const std::string state = real + "/checkpoint/a.json";
    CHECK(told.back() == state +
                             ": not a saved run of a fold: key 'fold' not found; set aside as " +
                             state + ".damaged, and run again");
    CHECK(read_file(state + ".damaged") == "{}");
  }
  fs::remove(metrics);
  fs::create_symlink("absent/metrics.jsonl", metrics);
  CHECK(message_of<IoError>([&] { open(OverwritePolicy::resume); }) ==
        real + "/metrics.jsonl: cannot be written");
}

TEST_CASE("run folder: a run of before the settings of strategies goes on") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  Config config;
  config.strategy = "random";
  config.search.trials = 3;
  config.resolve();
  const auto resume = [&](OverwritePolicy policy) { RunFolder(path, config, policy, 5, {}); };
  { RunFolder(path, config, OverwritePolicy::refuse, 5, {}).begin({}); }
  auto old = nlohmann::json::parse(read_file(path + "/config.json"));
  old["mode"] = old["strategy"];
  old["random_architectures"] = old["trials"];
  for (const Setting& setting : config_settings()) {
    const bool was_there = setting.key == "num_masked" || setting.key == "renormalize";
    if (setting.key == "strategy" || (!setting.strategies.empty() && !was_there)) {
      old.erase(setting.key);
    }
  }
  write_text(path + "/config.json", old.dump());
  auto mark = nlohmann::json::parse(read_file(path + "/serenade.json"));
  mark["config"] = old;  // the copy
  write_text(path + "/serenade.json", mark.dump());
  CHECK_NOTHROW(resume(OverwritePolicy::resume));
  CHECK(to_json(*stored_folder_config(path)) == to_json(config));
  config.search.trials = 4;
  CHECK(contains(message_of<InputError>([&] { resume(OverwritePolicy::resume); }),
                 "'trials' was 3 in this run, not 4"));
  config.search.trials = 3;
  config.search.scored = 40;
  CHECK(contains(message_of<InputError>([&] { resume(OverwritePolicy::resume); }), "'scored'"));
}

}  // namespace serenade::ser
