// The strategies of the paper against an independent implementation of their formulas: what each
// draws, every loss and alpha of two epochs, and the weights at their end.

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "autograd/functions.h"
#include "nas/builder.h"
#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "nn/linear.h"
#include "tests/golden.h"
#include "tests/nas/small_net.h"

using namespace serenade;

namespace {

constexpr bool kDouble = sizeof(real) == 8;

SearchSpace golden_space() {
  return {.choices = {{.name = "conv", .candidates = {"3x3", "2x3", "1x4"}, .kind = "conv"},
                      {.name = "dense", .candidates = {"2", "3"}, .kind = "width"}}};
}

// Three batches to train with, two to validate with; notes what every step does.
class GoldenProblem : public Problem {
 public:
  explicit GoldenProblem(const Golden& file) : file_(file) {
    Builder builder(space_);
    net = std::make_unique<SmallNet>(builder);
    StateDict start;
    for (const auto& [name, value] : net->state_dict()) start[name] = file.tensor("start." + name);
    net->load_state_dict(start);
  }

  const SearchSpace& space() const override { return space_; }
  Module& supernet(const OneShot&) override { return *net; }
  std::int64_t train_batches() const override { return 3; }
  std::int64_t validation_batches() const override { return 2; }
  LossFunction next_train_loss() override {
    return [this, batch = trained_++ % 3] { return loss_on(batch); };
  }
  LossFunction next_validation_loss() override {
    return [this, batch = 3 + validated_++ % 2] {
      const Variable loss = loss_on(batch);
      alpha_losses.push_back(loss.value().at({}));
      return loss;
    };
  }
  void begin_epoch(SupernetSearch& search) override { search_ = &search; }
  void end_step(const StepRecord& last, std::int64_t, std::int64_t) override {
    weight_losses.push_back(static_cast<real>(last.loss.get()));
    paths.push_back(last.paths);
    for (const std::vector<double>& choice : search_->alphas()) {
      for (const double alpha : choice) alphas.push_back(static_cast<real>(alpha));
    }
  }

  std::unique_ptr<SmallNet> net;
  std::vector<real> weight_losses, alpha_losses, alphas;
  std::vector<std::vector<Path>> paths;

 private:
  Variable loss_on(int batch) {
    Indices labels;
    for (const real label : file_.tensor("labels" + std::to_string(batch)).to_vector()) {
      labels.push_back(static_cast<std::int64_t>(label));
    }
    return cross_entropy(net->forward(file_.tensor("x" + std::to_string(batch))), labels);
  }

  const Golden& file_;
  SearchSpace space_ = golden_space();
  SupernetSearch* search_ = nullptr;
  int trained_ = 0, validated_ = 0;
};

// "101": of three candidates the second takes no part.
std::string digits(const std::string& mode, std::size_t candidates, real pick) {
  std::string text(candidates, mode == "sampling" ? '0' : '1');
  if (mode != "joint") text.at(static_cast<std::size_t>(pick)) = mode == "sampling" ? '1' : '0';
  return text;
}

}  // namespace

TEST_CASE("joint, sampling and dropout search as an independent implementation does") {
  const Golden file = golden("searches");
  for (const char* name : {"joint", "sampling", "dropout"}) {
    const std::string mode = name;
    CAPTURE(mode);
    const std::unique_ptr<OneShot> method =
        make_one_shot(mode, golden_space(),
                      {.seed = 3, .epochs = 2, .learning_rate = 0.01, .alpha_learning_rate = 0.02});
    GoldenProblem problem(file);
    while (method->advance(problem)) {
    }
    REQUIRE(problem.paths.size() == 6);
    for (std::int64_t step = 0; step < 6; ++step) {
      const std::vector<Path>& paths = problem.paths[static_cast<std::size_t>(step)];
      const Tensor picks = file.tensor("picks");
      CHECK(paths[0].to_string() == digits(mode, 3, picks.at({step, 0})));
      CHECK(paths[1].to_string() == digits(mode, 2, picks.at({step, 1})));
    }
    const auto check = [&](const std::vector<real>& got, const std::string& what) {
      const Tensor expected = file.tensor(mode + "." + what);
      check_close(Tensor::from(got, expected.shape()), expected, mode + ": " + what,
                  kDouble ? 1e-10 : 1e-4);
    };
    check(problem.weight_losses, "weight_losses");
    check(problem.alphas, "alphas");
    CHECK(problem.alpha_losses.size() == (mode == "joint" ? 0u : 6u));
    if (mode != "joint") check(problem.alpha_losses, "alpha_losses");
    for (const auto& [parameter, value] : problem.net->state_dict()) {
      if (!parameter.ends_with("alpha")) check(value.to_vector(), parameter);
    }
  }
}
