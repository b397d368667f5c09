// Tutorial 5: search an architecture with nas/.
//
// Small noisy images hold one stroke of four pixels in a row, either + + - - or + - + -. Both have
// the same pixels in another order, so whoever looks at single pixels, or along a column, can only
// guess which of the two it is; a kernel of one row and four columns sees it. The program is not
// told. It knows only what could be built, and finds out what should be:
//
//   1. a search space     the choices that are open
//   2. a network          written once, for all architectures and for each of them
//   3. a problem          what is searched: the network and its data
//   4. a strategy         how it is searched, by name: first a supernet with path dropout (Wu et
//                         al., ICASSP 2022, Eq. 3-4), then random search
//   5. a genotype         the answer, written down; and the child that it names, trained alone
//
// Read tutorials 2 and 3 before this, nas/README.md after it.
//
//   build/tutorial_05_search_an_architecture

#include <cstdint>
#include <cstdio>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/builder.h"
#include "nas/one_shot.h"
#include "nas/strategy.h"
#include "nas/supernet_search.h"
#include "nn/fused.h"
#include "nn/linear.h"
#include "nn/optim.h"

using namespace serenade;

namespace {

struct Batch {
  Tensor images;   // [N, 1, 8, 8]
  Indices labels;  // N of 0 or 1: the stroke
};

// Batches with other numbers have other images: that is how the three sets below differ.
Batch make_batch(std::uint64_t number) {
  const std::int64_t count = 32, size = 8;
  const double strokes[2][4] = {{1, 1, -1, -1}, {1, -1, 1, -1}};
  const RandomKey key{.seed = 5, .purpose = Purpose::data, .step = number};
  Batch batch{Tensor::empty({count, 1, size, size}), {}};
  fill_normal_(batch.images, 0, real(0.2), key);
  for (std::int64_t n = 0; n < count; ++n) {
    const std::uint64_t element = 100000 + 2 * static_cast<std::uint64_t>(n);
    const auto row = static_cast<std::int64_t>(8 * uniform(key, element));
    const auto column = static_cast<std::int64_t>(5 * uniform(key, element + 1));
    real* start = batch.images.data() + (n * size + row) * size + column;
    for (int i = 0; i < 4; ++i) start[i] += static_cast<real>(strokes[n % 2][i]);
    batch.labels.push_back(n % 2);
  }
  return batch;
}

std::vector<Batch> make_set(std::uint64_t first, std::uint64_t count) {
  std::vector<Batch> set;
  for (std::uint64_t i = 0; i < count; ++i) set.push_back(make_batch(first + i));
  return set;
}

const std::vector<Batch> kTraining = make_set(0, 8);
const std::vector<Batch> kValidation = make_set(100, 8);
const std::vector<Batch> kTest = make_set(200, 8);

// 1. A search space -------------------------------------------------------------------------------

// Two choices, of three and of two candidates: six architectures. With its kind, a candidate is a
// row of the table in nas/candidates.h: "1x4" is "conv_1x4", "4" is "width_4".
SearchSpace stroke_space() {
  return {.choices = {{.name = "look", .candidates = {"1x1", "4x1", "1x4"}, .kind = "conv"},
                      {.name = "hidden", .candidates = {"4", "8"}, .kind = "width"}},
          .system = "strokes"};
}

// 2. A network ------------------------------------------------------------------------------------

// Where it has a choice it asks the builder, and cannot tell what it gets: all candidates mixed (in
// a supernet), or the one that a genotype names (in a child).
struct StrokeNet : Module {
  std::unique_ptr<Layer> look, hidden;
  Linear out;

  explicit StrokeNet(Builder& builder)
      : look(builder.choose("look", {.in_channels = 1, .out_channels = 8})),
        hidden(builder.choose("hidden", {.in_channels = 8})),
        out({.in_features = builder.width("hidden"), .out_features = 2}) {
    register_module("look", *look);
    register_module("hidden", *hidden);
    register_module("out", out);
  }

  // x: [N, 1, 8, 8]; result [N, 2], one score per stroke. Pooling over the whole image: it does not
  // matter where the stroke is.
  Variable forward(const Variable& x) {
    const Variable seen = flatten(relu_maxpool(*look, x, {8, 8}), 1);  // [N, 8]
    return out.forward(relu(hidden->forward(seen)));
  }
};

Variable loss_of(StrokeNet& net, const Batch& batch) {
  return cross_entropy(net.forward(batch.images), batch.labels);
}

double accuracy(StrokeNet& net, const std::vector<Batch>& set) {
  const NoGrad no_graph;
  double right = 0, count = 0;
  for (const Batch& batch : set) {
    const Tensor scores = net.forward(batch.images).value();
    for (std::int64_t n = 0; n < scores.size(0); ++n) {
      const std::int64_t guess = scores.at({n, 1}) > scores.at({n, 0}) ? 1 : 0;
      right += guess == batch.labels[static_cast<std::size_t>(n)] ? 1 : 0;
      ++count;
    }
  }
  return right / count;
}

// One architecture, trained alone from scratch; its accuracy on `set`.
double train_child(const Genotype& genotype, const std::vector<Batch>& set) {
  manual_seed(0);
  Builder builder(stroke_space(), genotype);
  StrokeNet child(builder);
  Adam adam(child.named_parameters(), {.lr = 1e-2});
  for (int epoch = 0; epoch < 15; ++epoch) {
    for (const Batch& batch : kTraining) {
      adam.zero_grad();
      backward(loss_of(child, batch));
      adam.step();
    }
  }
  return accuracy(child, set);
}

// 3. A problem ------------------------------------------------------------------------------------

// A problem offers what a strategy may ask for: a supernet and batches to train it with, or trials,
// in which one architecture is trained alone and given a score. This one offers both.
class StrokeProblem : public Problem {
 public:
  const SearchSpace& space() const override { return space_; }

  Module& supernet(const OneShot& method) override {
    if (!net_) {
      manual_seed(0);
      Builder builder(method);
      net_ = std::make_unique<StrokeNet>(builder);
    }
    return *net_;
  }
  std::int64_t train_batches() const override { return std::ssize(kTraining); }
  std::int64_t validation_batches() const override { return std::ssize(kValidation); }
  LossFunction next_train_loss() override { return next(kTraining, trained_++); }
  LossFunction next_validation_loss() override { return next(kValidation, validated_++); }

  // softmax(alpha) of the choice "look" is how much of each kernel is in the mixture.
  void end_epoch(SupernetSearch& search) override {
    const SearchRecord& epoch = search.history().back();
    if (epoch.epoch % 5 != 4) return;
    const std::vector<double>& look = epoch.choices[0].probabilities;
    std::printf("  epoch %2d   loss %.3f   1x1 %.3f   4x1 %.3f   1x4 %.3f\n",
                static_cast<int>(epoch.epoch + 1), epoch.weight_loss, look[0], look[1], look[2]);
  }

  Outcome evaluate(const Trial& trial) override {
    const double score = train_child(trial.genotype, kValidation);
    std::printf("  trial %d   %s   validation accuracy %.3f\n", static_cast<int>(trial.id),
                trial.genotype.summary().c_str(), score);
    return {.score = score, .cost = 1};
  }

 private:
  LossFunction next(const std::vector<Batch>& set, std::size_t i) {
    return [this, &batch = set[i % set.size()]] { return loss_of(*net_, batch); };
  }

  SearchSpace space_ = stroke_space();
  std::unique_ptr<StrokeNet> net_;
  std::size_t trained_ = 0, validated_ = 0;
};

// 4. A strategy -----------------------------------------------------------------------------------

// Nothing here depends on which one it is. As random search may try as many architectures as there
// are, it shows how good each of them is: what the supernet has to find out without training them.
Genotype search(const std::string& name) {
  StrokeProblem problem;
  const std::unique_ptr<Strategy> strategy = make_strategy(name, problem.space(),
                                                           {.epochs = 20,
                                                            .learning_rate = 1e-2,
                                                            .alpha_learning_rate = 2e-2,
                                                            .trials = problem.space().size()});
  while (strategy->advance(problem)) {  // a supernet epoch, or a trial
  }
  return strategy->recommend();
}

}  // namespace

int main() {
  std::printf("The supernet, searched with path dropout: softmax(alpha) of its three kernels\n");
  const Genotype by_dropout = search("dropout");
  std::printf("\nRandom search: architectures trained alone, one by one\n");
  const Genotype by_random = search("random");

  // 5. A genotype ---------------------------------------------------------------------------------
  std::printf("\nThe genotype that dropout found:\n%s\n", to_json(by_dropout).c_str());
  const double right = train_child(by_dropout, kTest);
  Genotype other = by_dropout;
  other.decisions[0].candidate = "4x1";
  const double wrong = train_child(other, kTest);
  std::printf("Accuracy on new images, trained alone: %.3f; with a kernel of 4x1: %.3f\n", right,
              wrong);

  // The claims above, checked: a tutorial that is wrong fails its test.
  for (const Genotype& found : {by_dropout, by_random}) {
    if (found.candidate("look") != "1x4") {
      std::fprintf(stderr, "the kernel that sees the stroke was not found\n");
      return 1;
    }
  }
  if (right < 0.95 || wrong > 0.65) {
    std::fprintf(stderr, "the kernel should decide whether strokes can be told apart\n");
    return 1;
  }
  return 0;
}
