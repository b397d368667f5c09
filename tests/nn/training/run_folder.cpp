// The folder of a training, the task of a loader, and what a program makes of what goes wrong.

#include "nn/training/run_folder.h"

#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>
#include <iostream>
#include <new>
#include <sstream>

#include "nn/linear.h"
#include "nn/training/interrupt.h"
#include "nn/training/loader_task.h"
#include "tensor/files.h"
#include "tests/temporary_folder.h"

using namespace serenade;

namespace {

// What a program says on stderr while it ends with this code.
std::string line_of(int code, const std::function<void()>& work) {
  std::ostringstream said;
  std::streambuf* const before = std::cerr.rdbuf(said.rdbuf());
  const int got = run_program("prog", work);
  std::cerr.rdbuf(before);
  CHECK(got == code);
  return said.str();
}

void refuse(const std::string& path, const std::string& config, const std::string& why) {
  CHECK_THROWS_WITH_AS(RunFolder("--out", path, config), doctest::Contains(why.c_str()),
                       InputError);
}

// As a Trainer does after its first step.
void step_of(RunFolder& run) {
  const TrainerOptions options = run.record({});
  options.on_step({.epoch = 1, .done = 1, .total = 1});
}

struct Stopped {};

// Learns to double; its weights after so many epochs. Ends with Stopped after `steps` steps.
StateDict doubled(const std::string& path, int steps = 1 << 20) {
  manual_seed(1);
  Linear layer({.in_features = 1, .out_features = 1});
  const Tensor x = Tensor::from({1, 2, 3, 4, 5}, {5, 1});
  const TensorDataset data(x, {}, affine(x, 2).value());
  const DataLoader loader(data, {.batch_size = 2, .shuffle = true});
  Adam adam(layer.named_parameters(), {.lr = 0.1});
  RunFolder folder("--out", path, "{}\n", 0);
  const auto loss = [&](const Batch& b, int, std::int64_t) {
    return mse_loss(layer.forward(b.input), b.target);
  };
  LoaderTask task(
      {&loader, loss, [](EpochMetrics& metrics) { metrics.values["twice"] = 2 * metrics.epoch; }});
  const auto on_step = [&](const StepProgress& step) {
    if (step.done > steps) throw Stopped{};
  };
  Trainer trainer(layer, adam, folder.record({.epochs = 4, .on_step = on_step}));
  trainer.resume(task);
  trainer.run(task);
  folder.finish();
  return layer.state_dict();
}

}  // namespace

TEST_CASE("a program: seeds are whole numbers in digits") {
  for (const char* good : {"0", "7", "999999999999999999"}) CHECK(fault_of_seed(good) == "");
  for (const char* bad : {"", "-1", "0x10", "010", "1e3", "1.5", "1000000000000000000"}) {
    CHECK(fault_of_seed(bad) != "");
  }
}

TEST_CASE("a program: each kind of failure has its code and its line") {
  CHECK(line_of(0, [] {}) == "");
  CHECK(line_of(1, [] { throw std::logic_error("odd"); }) == "prog: internal error: odd\n");
  CHECK(line_of(1, [] { throw 7; }).find("internal error") != std::string::npos);
  CHECK(line_of(2, [] { throw InputError("two\nlines"); }) == "prog: two lines\n");
  CHECK(line_of(3, [] { throw std::bad_alloc(); }).find("out of memory") != std::string::npos);
  CHECK(line_of(3, [] { throw std::length_error("long"); }).find("out of memory") !=
        std::string::npos);
  CHECK(line_of(4, [] { throw NonFiniteLoss("step 3"); }).find("step 3") != std::string::npos);
  CHECK(line_of(4, [] { throw NonFiniteGradient("w"); }).find("prog: w") == 0);
  CHECK(line_of(5, [] { read_file("/nowhere/x"); }).find("/nowhere/x") != std::string::npos);
  CHECK(line_of(130, [] { throw Interrupted(SIGINT, "stopped"); }).find("goes on") !=
        std::string::npos);
}

TEST_CASE("a run folder is that of one configuration, until it is finished") {
  const TemporaryFolder folder;
  const std::string path = folder / "deep/run";
  { RunFolder never("--out", path, "zero"); }
  CHECK_FALSE(std::filesystem::exists(folder / "deep"));  // no step, no folder
  {
    RunFolder run("--out", path, "one");
    step_of(run);
    CHECK(read_file(path + "/config.json") == "one");
    refuse(path, "two", "--out " + path + ": it holds a run with other settings");
    refuse(path, "one", "another process");
  }
  RunFolder("--out", path, "one").finish();
  refuse(path, "one", "finished");
  write_file(folder / "note.txt", "mine");
  refuse(folder.path(), "one", "no run");
  refuse(folder / "note.txt", "one", "file");
  CHECK(read_file(folder / "note.txt") == "mine");
  refuse("", "one", "name a folder");
  std::filesystem::create_symlink(folder / "nowhere", folder / "link");
  refuse(folder / "link", "one", "leads nowhere");
}

TEST_CASE("a run folder: what a kill at the very start leaves is no obstacle, two runs are") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  std::filesystem::create_directory(path);
  write_file(path + "/config.json.7.0.partial", "on");
  RunFolder first("--out", path, "one"), second("--out", path, "two");
  step_of(first);
  CHECK_FALSE(std::filesystem::exists(path + "/config.json.7.0.partial"));
  CHECK_THROWS_WITH_AS(step_of(second), doctest::Contains("other settings"), InputError);
  CHECK(read_file(path + "/config.json") == "one");
  RunFolder below("--out", path + "/config.json/sub", "one");
  CHECK_THROWS_WITH_AS(step_of(below), doctest::Contains("--out"), std::runtime_error);
}

TEST_CASE("a run folder has a line for each epoch, and a stopped run goes on with the same bits") {
  const TemporaryFolder folder;
  const StateDict whole = doubled(folder / "whole");
  const std::string lines = read_file(folder / "whole/metrics.jsonl");
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 4);
  CHECK(lines.find("\"twice\":8") != std::string::npos);
  CHECK_THROWS_AS(doubled(folder / "parts", 2), Stopped);
  CHECK_THROWS_AS(doubled(folder / "parts", 7), Stopped);
  const StateDict parts = doubled(folder / "parts");
  for (const auto& [name, tensor] : whole) {
    CHECK(parts.at(name).to_vector() == tensor.to_vector());
  }
  CHECK(std::filesystem::exists(folder / "parts/finished"));
}
