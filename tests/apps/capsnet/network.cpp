// The network of apps/capsnet: its parameters, shapes, losses and gradients.

#include "apps/capsnet/network.h"

#include <doctest/doctest.h>

#include "apps/capsnet/digits.h"
#include "apps/capsnet/report.h"
#include "autograd/engine.h"
#include "nn/data/data_loader.h"
#include "nn/optim.h"
#include "nn/training/loader_task.h"
#include "nn/training/run_folder.h"
#include "tests/golden.h"
#include "tests/temporary_folder.h"

using namespace serenade;
using namespace serenade::capsnet;

namespace {

CapsNet::Options tiny(int overlaid) {
  return {.overlaid = overlaid, .side = overlaid == 1 ? 28 : 36, .channels = 8, .types = 2};
}

Batch batch_of(const TensorDataset& set, int overlaid) {
  DataLoaderOptions options = {.batch_size = set.size()};
  if (overlaid == 2) options.transform = overlay(set);
  return *DataLoader(set, options).epoch(0).next();
}

struct Stopped {};

// Weights after two epochs in a folder; ends with Stopped when so many steps are done.
std::vector<real> trained(const std::string& path, int overlaid, int steps = 100) {
  manual_seed(5);
  CapsNet net(tiny(overlaid));
  const TensorDataset set = made_digits(5, Split::train, 25);
  DataLoaderOptions options = {.batch_size = 10, .shuffle = true, .num_workers = 1};
  options.transform = overlaid == 2 ? overlay(set) : random_crop({.size = {28, 28}, .padding = 2});
  const DataLoader loader(set, options);
  Adam adam(net.named_parameters(), {});
  StepSchedule schedule({.rate = 1e-3, .step_size = 1, .gamma = 0.9});
  RunFolder folder("--out", path, "{}\n", 0);
  const auto loss = [&](const Batch& batch, int, std::int64_t) { return net.loss(batch); };
  LoaderTask task({&loader, loss, [&](EpochMetrics& metrics) {
                     metrics.values["error"] = test_error(net, loader);
                   }});
  const auto on_step = [&](const StepProgress& step) {
    if (step.done > steps) throw Stopped{};
  };
  Trainer trainer(net, adam,
                  folder.record({.epochs = 2, .schedule = &schedule, .on_step = on_step}));
  trainer.resume(task);
  trainer.run(task);
  std::vector<real> weights;
  for (const auto& [name, value] : net.state_dict()) {
    for (const real weight : value.to_vector()) weights.push_back(weight);
  }
  return weights;
}

}  // namespace

TEST_CASE("capsnet: a training that was stopped goes on to the same bits") {
  const TemporaryFolder folder;
  for (const int overlaid : {1, 2}) {
    const std::string name = std::to_string(overlaid);
    const std::vector<real> whole = trained(folder / ("whole" + name), overlaid);
    for (const int steps : {1, 4}) {
      CHECK_THROWS_AS(trained(folder / ("parts" + name), overlaid, steps), Stopped);
    }
    CHECK(trained(folder / ("parts" + name), overlaid) == whole);
  }
}

TEST_CASE("capsnet: the paper's parameters, part by part") {
  CapsNet net({});
  CHECK(net.conv.parameter_count() == 20992);         // 9 * 9 * 256 + 256
  CHECK(net.primary.parameter_count() == 5308672);    // 9 * 9 * 256 * 256 + 256
  CHECK(net.digits.parameter_count() == 1474560);     // 6 * 6 * 32 * 10 * 8 * 16
  CHECK(net.decoder[0].parameter_count() == 82432);   // 160 * 512 + 512
  CHECK(net.decoder[2].parameter_count() == 525312);  // 512 * 1024 + 1024
  CHECK(net.decoder[4].parameter_count() == 803600);  // 1024 * 784 + 784
  CHECK(net.parameter_count() == 8215568);
  CHECK(CapsNet({.reconstruction = false}).parameter_count() == 6804224);
  // Two digits, 36 x 36: 10 * 10 * 32 primary capsules, and 1296 pixels to draw.
  const CapsNet multi({.overlaid = 2, .side = 36});
  CHECK(multi.digits.parameter_count() == 4096000);
  CHECK(multi.parameter_count() == 20992 + 5308672 + 4096000 + 82432 + 525312 + 1328400);
  CHECK_THROWS_AS(CapsNet({.side = 16}), std::invalid_argument);
}

TEST_CASE("capsnet: shapes, guesses and masks") {
  CapsNet net(tiny(1));
  const Batch batch = batch_of(made_digits(1, Split::train, 3), 1);
  CHECK(net.primary_capsules(batch.input).shape() == Shape{3, 72, 8});
  const Variable v = net.digit_capsules(batch.input);
  CHECK(v.shape() == Shape{3, 10, 16});
  CHECK(net.guesses(v) == argmax(capsule_norm(v), 1));
  // The decoder sees one capsule: the others may be anything.
  Tensor other = v.value().clone();
  other.slice(1, 0, 4).copy_(Tensor::full({3, 4, 16}, real(0.3)));
  const Indices seen = {4, 5, 6};
  CHECK(net.reconstruct(v, seen).shape() == Shape{3, 784});
  check_close(net.reconstruct(other, seen).value(), net.reconstruct(v, seen).value(), "masked");
  Tensor two({1, 10, 16});
  two.slice(1, 7, 1).copy_(Tensor::full({1, 1, 16}, real(0.2)));
  two.slice(1, 3, 1).copy_(Tensor::full({1, 1, 16}, real(0.1)));
  CHECK(CapsNet(tiny(2)).guesses(two) == Indices{37});
  CHECK(digits_of({37, 5}, 2, 0) == Indices{3, 0});
  CHECK(digits_of({37, 5}, 2, 1) == Indices{7, 5});
  CHECK(digits_of({7, 5}, 1, 0) == Indices{7, 5});
}

TEST_CASE("capsnet: the loss is the library's margin loss and the squares of the pixels") {
  CapsNet::Options options = tiny(1);
  const Batch batch = batch_of(made_digits(1, Split::train, 5), 1);
  CapsNet with(options);
  options.reconstruction = false;
  CapsNet without(options);
  for (const auto& [name, value] : with.state_dict()) {
    if (name.find("decoder") == 0) continue;
    for (auto& [own, parameter] : without.named_parameters()) {
      if (own == name) Variable(parameter).value().copy_(value);
    }
  }
  const Variable v = with.digit_capsules(batch.input);
  const double margin = margin_loss(capsule_norm(v), batch.labels).item();
  CHECK(without.loss(batch).item() == doctest::Approx(margin));
  const Tensor drawn = with.reconstruct(v, batch.labels).value();
  double squares = 0;
  for (std::int64_t i = 0; i < drawn.numel(); ++i) {
    const double d = drawn.data()[i] - batch.input.data()[i];
    squares += d * d;
  }
  CHECK(with.loss(batch).item() == doctest::Approx(margin + 0.0005 * squares / 5));
}

TEST_CASE("capsnet: of two digits both count as present, and each is drawn by its own capsule") {
  CapsNet::Options options = tiny(2);
  options.reconstruction = false;
  CapsNet net(options);
  const Batch batch = batch_of(made_digits(1, Split::train, 20), 2);
  const Tensor lengths = capsule_norm(net.digit_capsules(batch.input)).value();
  double margin = 0;
  for (std::int64_t n = 0; n < 20; ++n) {
    for (std::int64_t k = 0; k < 10; ++k) {
      const std::int64_t label = batch.labels[std::size_t(n)];
      const double length = lengths.at({n, k}), low = std::max(0.0, 0.9 - length);
      const double high = std::max(0.0, length - 0.1);
      margin += label / 10 == k || label % 10 == k ? low * low : 0.5 * high * high;
    }
  }
  CHECK(net.loss(batch).item() == doctest::Approx(margin / 20));
  CapsNet drawing(tiny(2));
  const Variable v = drawing.digit_capsules(batch.input);
  const Indices first = digits_of(batch.labels, 2, 0), second = digits_of(batch.labels, 2, 1);
  const Variable a = reshape(batch.target.slice(1, 0, 1), {20, 1296});
  const Variable b = reshape(batch.target.slice(1, 1, 1), {20, 1296});
  const double squares = mse_loss(drawing.reconstruct(v, first), a, Reduction::sum).item() +
                         mse_loss(drawing.reconstruct(v, second), b, Reduction::sum).item();
  Batch blank = batch;
  blank.target = Tensor(batch.target.shape());
  const double blank_squares =
      sum(square(drawing.reconstruct(v, first)) + square(drawing.reconstruct(v, second))).item();
  const double difference = drawing.loss(batch).item() - drawing.loss(blank).item();
  CHECK(difference == doctest::Approx(0.0005 * (squares - blank_squares) / 20).epsilon(1e-3));
}

TEST_CASE("capsnet: every parameter gets a gradient, and a few steps teach") {
  for (const int overlaid : {1, 2}) {
    CAPTURE(overlaid);
    manual_seed(3);
    CapsNet net(tiny(overlaid));
    Adam adam(net.named_parameters(), {});
    const Batch batch = batch_of(made_digits(1, Split::train, 20), overlaid);
    double first = 0, last = 0;
    for (int step = 0; step < 12; ++step) {
      adam.zero_grad();
      const Variable loss = net.loss(batch);
      backward(loss);
      last = loss.item();
      if (step == 0) first = last;
      for (const auto& [name, parameter] : net.named_parameters()) {
        if (step > 0) break;
        CAPTURE(name);
        REQUIRE(parameter.grad().defined());
        CHECK(first_non_finite(parameter.grad()) == -1);
        CHECK(sum(abs(parameter.grad())).item() > 0);
      }
      adam.step();
    }
    CHECK(last < 0.7 * first);
  }
}
