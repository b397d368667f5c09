// Sets in memory, and what makes batches of samples: stacking, padding, mixing.

#include "nn/data/batch.h"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>

#include "autograd/functions.h"
#include "nn/data/data_loader.h"
#include "tensor/safetensors.h"
#include "tests/temporary_folder.h"

using namespace serenade;

namespace {

Sample sample(const std::vector<real>& values, const Shape& shape, std::int64_t label) {
  return {.input = Tensor::from(values, shape), .label = label};
}

}  // namespace

TEST_CASE("dataset: the rows of a tensor, without a copy") {
  const Tensor inputs = Tensor::from({1, 2, 3, 4, 5, 6}, {3, 2});
  const TensorDataset data(inputs, {2, 0, 1}, Tensor::from({7, 8, 9}, {3, 1}));
  CHECK(data.size() == 3);
  const Sample last = data.get(2);
  CHECK(last.input.shape() == Shape{2});
  CHECK(last.input.to_vector() == std::vector<real>{5, 6});
  CHECK(last.input.shares_storage_with(inputs));
  CHECK(last.label == 1);
  CHECK(last.target.to_vector() == std::vector<real>{9});
  CHECK(TensorDataset(inputs).get(0).label == kNoLabel);
  CHECK(TensorDataset(Tensor::from({1, 2}, {2})).get(1).input.dim() == 0);
  CHECK_THROWS_WITH_AS(data.get(3), "TensorDataset: a sample must be one of 0 .. 2; got 3",
                       std::invalid_argument);
  CHECK_THROWS_AS(data.get(-1), std::invalid_argument);
  CHECK_THROWS_WITH_AS(TensorDataset(inputs, {1}),
                       "TensorDataset: there must be a label for each sample, or none at all; got "
                       "1 labels for 3 samples",
                       std::invalid_argument);
  CHECK_THROWS_AS(TensorDataset(inputs, {}, Tensor({2, 1})), std::invalid_argument);
  for (const Tensor& none : {Tensor(), Tensor::scalar(1)}) {
    CHECK_THROWS_WITH_AS(TensorDataset{none}, "TensorDataset: inputs must be [N, ..]",
                         std::invalid_argument);
  }

  const Subset half(data, {2, 0});
  CHECK(half.size() == 2);
  CHECK(half.get(0).label == 1);
  CHECK(half.get(1).input.to_vector() == std::vector<real>{1, 2});
  CHECK_THROWS_AS(half.get(2), std::invalid_argument);
  CHECK_THROWS_AS(Subset(data, {3}), std::invalid_argument);
}

TEST_CASE("dataset: bytes as pictures") {
  const NumberArray bytes{.shape = {2, 1, 2}, .bytes = {0, 51, char(255), 102}};
  const ImageDataset data(bytes, {4, 5});
  CHECK(data.image_shape() == Shape{1, 1, 2});
  CHECK(data.get(0).input.to_vector() == std::vector<real>{0, real(51) / 255});
  CHECK(data.get(1).input.to_vector() == std::vector<real>{1, real(102) / 255});
  CHECK(data.get(1).label == 5);
  CHECK_THROWS_AS(data.get(2), std::invalid_argument);
  CHECK_THROWS_AS(ImageDataset({.shape = {2, 2}, .bytes = {1, 2, 3, 4}}), std::invalid_argument);
  CHECK_THROWS_AS(ImageDataset({.shape = {2, 2, 2}, .bytes = {1, 2, 3, 4}}), std::invalid_argument);
  CHECK_THROWS_AS(
      ImageDataset({.shape = {1, 1, 1}, .type = NumberType::f32, .bytes = {0, 0, 0, 0}}),
      std::invalid_argument);
}

TEST_CASE("dataset: tensors of a safetensors file") {
  const TemporaryFolder folder;
  const std::string path = folder / "set.safetensors";
  SafetensorsFile file;
  file.tensors["x"] = Tensor::from({1, 2, 3, 4}, {2, 2});
  file.integers["y"] = {.shape = {2}, .values = {7, 8}};
  file.integers["few"] = {.shape = {1}, .values = {7}};
  write_safetensors(path, file);
  CHECK(read_safetensors_dataset(path, "x", "y").get(1).label == 8);
  CHECK(read_safetensors_dataset(path, "x").get(1).input.to_vector() == std::vector<real>{3, 4});
  CHECK_THROWS_WITH_AS(read_safetensors_dataset(path, "z"), doctest::Contains("no tensor named z"),
                       std::runtime_error);
  CHECK_THROWS_WITH_AS(read_safetensors_dataset(path, "x", "few"),
                       doctest::Contains("x must be [N, ..] with N labels; got [2, 2] and 1"),
                       std::runtime_error);
}

TEST_CASE("stack_samples: on top of each other, and what does not go together") {
  const Batch batch =
      stack_samples({sample({1, 2}, {2, 1}, 0),
                     {.input = Tensor::from({3, 4}, {1, 2}).transpose(0, 1), .label = 5}});
  CHECK(batch.input.shape() == Shape{2, 2, 1});
  CHECK(batch.input.to_vector() == std::vector<real>{1, 2, 3, 4});
  CHECK(batch.labels == std::vector<std::int64_t>{0, 5});
  CHECK_THROWS_WITH_AS(stack_samples({sample({1, 2}, {2}, 0), sample({1, 2}, {2, 1}, 0)}),
                       "collate: the inputs of a batch must have one shape; got [2] and [2, 1]",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(stack_samples({sample({1}, {1}, 0), sample({1}, {1}, kNoLabel)}),
                       doctest::Contains("1 labels for 2 samples"), std::invalid_argument);
  CHECK_THROWS_AS(stack_samples({}), std::invalid_argument);
  CHECK_THROWS_AS(stack_samples({Sample{}}), std::invalid_argument);
  CHECK_THROWS_AS(stack_samples({sample({1}, {1}, 0),
                                 {.input = Tensor({1}), .label = 0, .target = Tensor({1})}}),
                  std::invalid_argument);
}

TEST_CASE("pad_samples: to the longest, with lengths") {
  const Collate collate = pad_samples({.value = -1});
  const Batch batch = collate({sample({1, 2}, {1, 2}, 0), sample({3, 4, 5, 6}, {2, 2}, 1)});
  CHECK(batch.input.shape() == Shape{2, 2, 2});
  CHECK(batch.input.to_vector() == std::vector<real>{1, 2, -1, -1, 3, 4, 5, 6});
  CHECK(batch.lengths == std::vector<std::int64_t>{1, 2});
  CHECK(batch.labels == std::vector<std::int64_t>{0, 1});

  const Batch last = pad_samples({.axis = -1})(
      {sample({1, 2, 3, 4, 5, 6}, {2, 3}, 0), sample({7, 8}, {2, 1}, 0), sample({}, {2, 0}, 0)});
  CHECK(last.input.shape() == Shape{3, 2, 3});
  CHECK(last.input.to_vector() ==
        std::vector<real>{1, 2, 3, 4, 5, 6, 7, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(last.lengths == std::vector<std::int64_t>{3, 1, 0});
  CHECK_THROWS_WITH_AS(
      collate({sample({1, 2}, {1, 2}, 0), sample({3}, {1, 1}, 1)}),
      "pad_samples: the inputs of a batch may differ along axis 0 only; got [1, 2] and [1, 1]",
      std::invalid_argument);
  CHECK_THROWS_AS(collate({sample({1, 2}, {1, 2}, 0), sample({3}, {1}, 1)}), std::invalid_argument);
  CHECK_THROWS_AS(collate({sample({1}, {}, 0)}), std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      pad_samples({.axis = -1})({sample({1, 2}, {1, 2}, 0), sample({3}, {1}, 1)}),
      "pad_samples: the inputs of a batch may differ along axis 1 only; got [1, 2] and [1]",
      std::invalid_argument);
}

TEST_CASE("mixup: inputs and shares by the same weight and the same partners") {
  Batch batch{.input = Tensor::from({1, 2, 3, 4, 5, 6}, {3, 2}), .labels = {0, 1, 3}};
  const BatchTransform mix = mixup({.alpha = 1, .num_classes = 4});
  const RandomKey key = batch_key(5, 1, 2);
  const Batch mixed = mix(batch, key);
  const real w = static_cast<real>(symmetric_beta(split_key(key, 0), 1));
  const std::vector<std::int64_t> partners = permutation(split_key(key, 1), 3);
  CHECK(mixed.target.shape() == Shape{3, 4});
  for (std::int64_t i = 0; i < 3; ++i) {
    const std::int64_t j = partners[static_cast<std::size_t>(i)];
    for (std::int64_t k = 0; k < 2; ++k) {
      CHECK(mixed.input.at({i, k}) ==
            doctest::Approx(w * batch.input.at({i, k}) + (1 - w) * batch.input.at({j, k})));
    }
    for (std::int64_t c = 0; c < 4; ++c) {
      const real share = w * (batch.labels[static_cast<std::size_t>(i)] == c) +
                         (1 - w) * (batch.labels[static_cast<std::size_t>(j)] == c);
      CHECK(mixed.target.at({i, c}) == doctest::Approx(share));
    }
  }
  CHECK(mixed.labels == batch.labels);
  CHECK(batch.input.at({0, 0}) == 1);  // the batch that was given is as it was
  CHECK(std::isfinite(cross_entropy(Variable(Tensor({3, 4})), mixed.target).item()));
  CHECK(mix(batch, key).input.to_vector() == mixed.input.to_vector());
  CHECK(mix(batch, batch_key(5, 1, 3)).input.to_vector() != mixed.input.to_vector());

  batch.target = Tensor::from({1, 0, 0}, {3, 1});  // what has a target needs no classes
  CHECK(mixup({})(batch, key).target.shape() == Shape{3, 1});
  batch.target = {};
  for (const std::int64_t label : {-1, 4}) {
    batch.labels[1] = label;
    CHECK_THROWS_WITH_AS(mix(batch, key),
                         ("mixup: labels must be in 0 .. 3; got " + std::to_string(label)).c_str(),
                         std::invalid_argument);
  }
  batch.labels.clear();
  CHECK_THROWS_AS(mix(batch, key), std::invalid_argument);
  for (const Tensor& target : {Tensor::scalar(1), Tensor({2, 3}), Tensor({4})}) {
    batch.target = target;
    CHECK_THROWS_WITH_AS(mix(batch, key),
                         ("mixup: the target must be [N, ..] as the input is; got " +
                          to_string(target.shape()) + " for [3, 2]")
                             .c_str(),
                         std::invalid_argument);
  }
  const Batch none = mix({.input = Tensor({0, 2})}, key);
  CHECK(none.input.shape() == Shape{0, 2});
  CHECK(none.target.shape() == Shape{0, 4});
  for (const double alpha : {0.0, -1.0, HUGE_VAL, std::nan("")}) {
    CAPTURE(alpha);
    CHECK_THROWS_WITH_AS(mixup({.alpha = alpha}),
                         doctest::Contains("mixup: alpha must be finite and above 0; got "),
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(
        symmetric_beta({}, alpha),
        doctest::Contains("symmetric_beta: alpha must be finite and above 0; got "),
        std::invalid_argument);
  }
  CHECK_THROWS_AS(mixup({.num_classes = -1}), std::invalid_argument);
}

TEST_CASE("symmetric_beta: mean and variance of the distribution, for small alphas too") {
  for (const double alpha : {0.001, 0.2, 1.0, 4.0}) {
    CAPTURE(alpha);
    constexpr int kDraws = 4000;
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double x = symmetric_beta(batch_key(1, 0, i), alpha);
      REQUIRE((x >= 0 && x <= 1));
      sum += x - 0.5;
      squares += (x - 0.5) * (x - 0.5);
    }
    // Var = 1 / (4 (2 alpha + 1)); the mean of the draws has that divided by their number.
    const double variance = 1 / (4 * (2 * alpha + 1));
    CHECK(std::abs(sum / kDraws) < 4 * std::sqrt(variance / kDraws));
    CHECK(squares / kDraws == doctest::Approx(variance).epsilon(0.05));
  }
}
