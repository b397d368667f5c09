// Tutorial 8: a transformer block.
//
// Read a row of eight letters and write it backwards. Every place has to fetch the letter of
// another one, and which one depends on the place alone: attention from place to place, and nothing
// else in the network lets places talk to each other. The program fails if fewer than 99 % of the
// letters of new rows are right, or if the network can do without knowing its places.

#include <cstdio>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "nn/optim.h"
#include "nn/schedule.h"
#include "nn/transformer.h"
#include "tensor/random.h"

using namespace serenade;

constexpr std::int64_t kPlaces = 8, kLetters = 10, kWidth = 32, kRows = 64;

struct Rows {
  Indices letters, backwards;  // kRows rows of kPlaces
};

Rows random_rows(std::uint64_t step) {
  const RandomKey key = {.seed = 1, .purpose = Purpose::data, .step = step};
  Rows rows;
  for (std::uint64_t i = 0; i < kRows * kPlaces; ++i) {
    rows.letters.push_back(random_integer(key, i, kLetters));
  }
  for (std::int64_t i = 0; i < kRows * kPlaces; ++i) {
    const std::int64_t row = i / kPlaces, place = i % kPlaces;
    rows.backwards.push_back(
        rows.letters[static_cast<std::size_t>(row * kPlaces + kPlaces - 1 - place)]);
  }
  return rows;
}

struct Reverser : Module {
  Embedding letters{{.num_embeddings = kLetters, .embedding_dim = kWidth}};
  Embedding places{{.num_embeddings = kPlaces, .embedding_dim = kWidth}};
  TransformerEncoderLayer block{{.d_model = kWidth,
                                 .nhead = 4,
                                 .dim_feedforward = 64,
                                 .dropout = 0,
                                 .activation = TransformerActivation::gelu,
                                 .norm_first = true}};
  Linear out{{.in_features = kWidth, .out_features = kLetters}};
  bool knows_places;

  explicit Reverser(bool with_places) : knows_places(with_places) {
    register_module("letters", letters);
    if (knows_places) register_module("places", places);
    register_module("block", block);
    register_module("out", out);
  }
  // Scores of the letters at every place: [kRows * kPlaces, kLetters].
  Variable forward(const Indices& row_letters) {
    Variable x = letters.forward(row_letters, {kRows, kPlaces});
    if (knows_places) x = x + places.forward({0, 1, 2, 3, 4, 5, 6, 7});  // the same for all rows
    return reshape(out.forward(block.forward(x)), {kRows * kPlaces, kLetters});
  }
};

double accuracy(Reverser& net) {
  const NoGrad no_grad;
  const Rows rows = random_rows(1'000'000);
  const Indices guesses = argmax(net.forward(rows.letters), 1);
  std::int64_t right = 0;
  for (std::size_t i = 0; i < guesses.size(); ++i) right += guesses[i] == rows.backwards[i] ? 1 : 0;
  return double(right) / double(guesses.size());
}

// The share of new letters that are right after the training.
double train(bool with_places) {
  manual_seed(1);
  Reverser net(with_places);
  // Matrices decay, biases and the weights of norms do not.
  ParameterGroup matrices, others{.weight_decay = 0};
  for (const auto& named : net.named_parameters()) {
    (named.second.dim() > 1 ? matrices : others).parameters.push_back(named);
  }
  AdamW optimizer({matrices, others}, {.weight_decay = 0.01});
  constexpr int kSteps = 300;
  OneCycleSchedule schedule({.max_rate = 5e-3, .epochs = kSteps});
  for (int step = 0; step < kSteps; ++step) {
    const Rows rows = random_rows(static_cast<std::uint64_t>(step));
    optimizer.set_learning_rate(schedule.learning_rate());
    optimizer.zero_grad();
    const Variable loss = cross_entropy(net.forward(rows.letters), rows.backwards);
    backward(loss);
    optimizer.step();
    schedule.end_epoch(double(loss.item()));
    if (step % 100 == 0 || step == kSteps - 1) {
      std::printf("step %3d   loss %.4f   letters of new rows: %5.1f %% right\n", step,
                  double(loss.item()), 100 * accuracy(net));
    }
  }
  return accuracy(net);
}

int main() {
  std::printf("with places\n");
  const double with = train(true);
  std::printf("without: all places see the same, and write the same\n");
  const double without = train(false);
  return with >= 0.99 && without < 0.5 ? 0 : 1;
}
