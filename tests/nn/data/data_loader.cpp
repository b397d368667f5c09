// Batches: their order, the same bits from any number of workers and after a break, what is thrown
// in a worker, and loops that are left early.

#include "nn/data/data_loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <new>
#include <set>
#include <stdexcept>
#include <thread>

using namespace serenade;

namespace {

// Sample i is [i, i + 0.5] with label i % 3; some take longer than others, so that workers do not
// end in the order in which they began.
class Counting : public Dataset {
 public:
  explicit Counting(std::int64_t size) : size_(size) {}

  std::int64_t size() const override { return size_; }
  Sample get(std::int64_t index) const override {
    ++gets;
    if (on_get) on_get(index);
    if (index % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    const auto value = static_cast<real>(index);
    return {.input = Tensor::from({value, value + real(0.5)}, {2}), .label = index % 3};
  }

  mutable std::atomic<std::int64_t> gets{0};
  std::function<void(std::int64_t)> on_get;

 private:
  std::int64_t size_;
};

Sample add_noise(Sample sample, const RandomKey& key) {
  Tensor noise = Tensor::empty(sample.input.shape());
  fill_uniform_(noise, 0, real(0.25), key);
  noise.add_(sample.input);
  sample.input = noise;
  return sample;
}

std::vector<Batch> batches_of(const DataLoader& loader, std::int64_t epoch,
                              std::int64_t first_batch = 0) {
  std::vector<Batch> batches;
  for (const Batch& batch : loader.epoch(epoch, first_batch)) batches.push_back(batch);
  return batches;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  const std::vector<real> x = a.to_vector(), y = b.to_vector();
  return a.shape() == b.shape() && std::memcmp(x.data(), y.data(), x.size() * sizeof(real)) == 0;
}

bool same_bits(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Batch& x, const Batch& y) {
    return same_bits(x.input, y.input) && same_bits(x.target, y.target) && x.labels == y.labels &&
           x.lengths == y.lengths && x.indices == y.indices;
  });
}

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing thrown";
}

}  // namespace

TEST_CASE("data loader: batches in order, the last one smaller") {
  const Counting data(7);
  const DataLoader loader(data, {.batch_size = 3});
  CHECK(loader.size() == 3);
  const std::vector<Batch> batches = batches_of(loader, 0);
  REQUIRE(batches.size() == 3);
  CHECK(batches[1].input.shape() == Shape{3, 2});
  CHECK(batches[1].input.to_vector() ==
        std::vector<real>{3, real(3.5), 4, real(4.5), 5, real(5.5)});
  CHECK(batches[1].labels == std::vector<std::int64_t>{0, 1, 2});
  CHECK(batches[1].indices == std::vector<std::int64_t>{3, 4, 5});
  CHECK(batches[1].lengths.empty());
  CHECK(!batches[1].target.defined());
  CHECK(batches[2].size() == 1);

  const DataLoader whole(data, {.batch_size = 3, .drop_last = true});
  CHECK(whole.size() == 2);
  CHECK(batches_of(whole, 0).size() == 2);
  CHECK(DataLoader(data, {.batch_size = 7, .drop_last = true}).size() == 1);
  CHECK(batches_of(DataLoader(data, {.batch_size = 8, .drop_last = true}), 0).empty());
  CHECK(batches_of(DataLoader(data, {.batch_size = 100, .num_workers = 3}), 0).size() == 1);
  const Counting none(0);
  CHECK(batches_of(DataLoader(none, {.batch_size = 2, .shuffle = true, .num_workers = 2}), 0)
            .empty());
}

TEST_CASE("data loader: the order is a permutation, and a function of seed and epoch") {
  const Counting data(50);
  const DataLoader loader(data, {.batch_size = 8, .shuffle = true, .seed = 4});
  const std::vector<std::int64_t> order = loader.order(3);
  CHECK(std::set<std::int64_t>(order.begin(), order.end()).size() == 50);
  CHECK(*std::min_element(order.begin(), order.end()) == 0);
  CHECK(*std::max_element(order.begin(), order.end()) == 49);
  CHECK(order == permutation({4, Purpose::shuffle, 3}, 50));
  loader.order(7);
  batches_of(loader, 5);
  CHECK(loader.order(3) == order);
  CHECK(loader.order(4) != order);
  CHECK(DataLoader(data, {.shuffle = true, .seed = 5}).order(3) != order);
  std::vector<std::int64_t> seen;
  for (const Batch& batch : loader.epoch(3)) {
    seen.insert(seen.end(), batch.indices.begin(), batch.indices.end());
  }
  CHECK(seen == order);
}

TEST_CASE("data loader: the same bits for any number of workers, and from the middle of an epoch") {
  const Counting data(45);
  const auto loader = [&](int workers, int prefetch) {
    return DataLoader(data, {.batch_size = 4,
                             .shuffle = true,
                             .num_workers = workers,
                             .prefetch_factor = prefetch,
                             .seed = 9,
                             .transform = compose({add_noise, add_noise}),
                             .batch_transform = mixup({.alpha = 0.4, .num_classes = 3})});
  };
  const std::vector<Batch> expected = batches_of(loader(0, 2), 2);
  REQUIRE(expected.size() == 12);
  CHECK(expected[0].target.shape() == Shape{4, 3});
  for (const int workers : {0, 1, 2, 5, 40}) {
    for (const int prefetch : {1, 3}) {
      CAPTURE(workers);
      CHECK(same_bits(batches_of(loader(workers, prefetch), 2), expected));
      for (const std::int64_t first : {0, 1, 7, 11, 12}) {
        CHECK(same_bits(batches_of(loader(workers, prefetch), 2, first),
                        {expected.begin() + first, expected.end()}));
      }
    }
  }
  CHECK(!same_bits(batches_of(loader(2, 2), 3), expected));
}

TEST_CASE("data loader: transforms get the keys of seed, epoch and sample, or batch") {
  const Counting data(10);
  const auto key_numbers = [&](std::uint64_t seed, std::int64_t epoch, bool shuffle) {
    DataLoaderOptions options{.batch_size = 4, .shuffle = shuffle, .num_workers = 2, .seed = seed};
    options.transform = [](Sample sample, const RandomKey& key) {
      sample.target = Tensor::full({1}, static_cast<real>(uniform(key, 3)));
      return sample;
    };
    options.batch_transform = [](Batch batch, const RandomKey& key) {
      batch.lengths = {random_integer(key, 5, 1000)};
      return batch;
    };
    return batches_of(DataLoader(data, options), epoch);
  };
  for (const std::uint64_t seed : {1, 2}) {
    for (const std::int64_t epoch : {0, 4}) {
      for (const bool shuffle : {false, true}) {
        const std::vector<Batch> batches = key_numbers(seed, epoch, shuffle);
        for (std::int64_t b = 0; b < std::ssize(batches); ++b) {
          const Batch& batch = batches[static_cast<std::size_t>(b)];
          CHECK(batch.lengths[0] == random_integer(batch_key(seed, epoch, b), 5, 1000));
          for (std::int64_t i = 0; i < batch.size(); ++i) {
            const RandomKey key =
                sample_key(seed, epoch, batch.indices[static_cast<std::size_t>(i)]);
            CHECK(batch.target.at({i, 0}) == static_cast<real>(uniform(key, 3)));
          }
        }
      }
    }
  }
}

TEST_CASE("data loader: two epochs at once, and one that is moved") {
  const Counting data(12);
  const DataLoader loader(data, {.batch_size = 5, .shuffle = true, .num_workers = 2, .seed = 1});
  EpochBatches first = loader.epoch(0), second = loader.epoch(1);
  const std::vector<Batch> zero = batches_of(loader, 0), one = batches_of(loader, 1);
  std::vector<Batch> from_first, from_second;
  for (int i = 0; i < 3; ++i) {
    from_first.push_back(first.next().value());
    from_second.push_back(second.next().value());
    EpochBatches moved = std::move(second);
    second = std::move(moved);
  }
  CHECK(!first.next().has_value());
  CHECK(!first.next().has_value());
  CHECK(same_bits(from_first, zero));
  CHECK(same_bits(from_second, one));
}

TEST_CASE("data loader: workers run ahead only so far, and end when a loop is left") {
  const Counting data(1000);
  const DataLoader loader(data, {.batch_size = 2, .num_workers = 3, .prefetch_factor = 2});
  {
    EpochBatches batches = loader.epoch(0);
    batches.next();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // One batch taken, six in the ring.
    CHECK(data.gets <= 2 * (1 + 6));
  }
  std::int64_t seen = 0;
  for (const Batch& batch : loader.epoch(0)) {
    seen += batch.size();
    if (seen >= 10) break;
  }
  const std::int64_t gets = data.gets;
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(data.gets == gets);
  CHECK(gets < 100);
}

TEST_CASE("data loader: a sample that throws is named where its batch is asked for") {
  Counting data(20);
  data.on_get = [](std::int64_t index) {
    if (index == 7) throw std::invalid_argument("no such picture");
    if (index == 13) throw std::bad_alloc();
    if (index == 16) throw 16;
  };
  for (const int workers : {0, 1, 4}) {
    CAPTURE(workers);
    const DataLoader loader(data, {.batch_size = 2, .num_workers = workers});
    EpochBatches batches = loader.epoch(2);
    for (int i = 0; i < 3; ++i) CHECK(batches.next().has_value());
    try {
      batches.next();
      FAIL("nothing thrown");
    } catch (const std::runtime_error& error) {
      CHECK(std::string(error.what()) == "DataLoader: sample 7 of epoch 2: no such picture");
      CHECK_THROWS_AS(std::rethrow_if_nested(error), std::invalid_argument);
    }
    CHECK(!batches.next().has_value());
    CHECK_THROWS_AS(loader.epoch(0, 6).next(), std::bad_alloc);
    CHECK(message_of([&] { loader.epoch(0, 8).next(); }) ==
          "DataLoader: sample 16 of epoch 0: an unknown exception");
  }
}

TEST_CASE("data loader: a transform, a collate or a batch transform that throws is named") {
  const Counting data(6);
  DataLoaderOptions options{.batch_size = 2, .num_workers = 2};
  options.transform = [](Sample sample, const RandomKey&) {
    if (sample.input.at({0}) == 3) sample.input = Tensor({3});
    if (sample.input.at({0}) == 5) throw std::runtime_error("five");
    return sample;
  };
  {
    EpochBatches batches = DataLoader(data, options).epoch(1);
    batches.next();
    CHECK(message_of([&] { batches.next(); }) ==
          "DataLoader: batch 1 of epoch 1: collate: the inputs of a batch must have one shape; got "
          "[2] and [3]");
  }
  CHECK(message_of([&] { DataLoader(data, options).epoch(1, 2).next(); }) ==
        "DataLoader: sample 5 of epoch 1: five");
  options.transform = nullptr;
  options.batch_transform = mixup({.num_classes = 2});
  CHECK(message_of([&] { DataLoader(data, options).epoch(0, 1).next(); }) ==
        "DataLoader: batch 1 of epoch 0: mixup: labels must be in 0 .. 1; got 2");
  for (const Tensor& input : {Tensor(), Tensor::scalar(1)}) {
    options.collate = [input](const std::vector<Sample>&) { return Batch{.input = input}; };
    CHECK(message_of([&] { DataLoader(data, options).epoch(0).next(); }) ==
          "DataLoader: batch 0 of epoch 0: collate: a batch must have an input [N, ..]");
  }
}

TEST_CASE("data loader: options that cannot be") {
  const Counting data(6);
  const auto refused = [&](const DataLoaderOptions& options) {
    return message_of([&] { DataLoader(data, options); });
  };
  CHECK(refused({.batch_size = 0}) ==
        "DataLoader: batch_size must be above 0 and at most 2^58; got 0");
  CHECK(refused({.batch_size = kMaxElements + 1}) ==
        "DataLoader: batch_size must be above 0 and at most 2^58; got 288230376151711745");
  CHECK(refused({.num_workers = -1}) == "DataLoader: num_workers must be in 0 .. 256; got -1");
  CHECK(refused({.num_workers = 257}) == "DataLoader: num_workers must be in 0 .. 256; got 257");
  CHECK(refused({.prefetch_factor = 0}) ==
        "DataLoader: prefetch_factor must be in 1 .. 1024; got 0");
  CHECK(refused({.prefetch_factor = 1025}) ==
        "DataLoader: prefetch_factor must be in 1 .. 1024; got 1025");
  CHECK(refused({.collate = nullptr}) == "DataLoader: collate must be a function");
  const DataLoader loader(data, {.batch_size = 4});
  CHECK_THROWS_WITH_AS(loader.epoch(-1), "DataLoader: an epoch must be 0 or later; got -1",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(loader.epoch(0, 3), "DataLoader: the first batch must be in 0 .. 2; got 3",
                       std::invalid_argument);
}

TEST_CASE("the hash of a set changes with every input, label, target and with their order") {
  Tensor inputs = Tensor::from({1, 2, 3, 4}, {2, 2});
  const std::string hash = content_hash(TensorDataset(inputs, {0, 1}));
  CHECK(content_hash(TensorDataset(inputs.clone(), {0, 1})) == hash);
  CHECK(content_hash(TensorDataset(inputs, {0, 0})) != hash);
  CHECK(content_hash(TensorDataset(inputs, {0, 1}, inputs)) != hash);
  CHECK(content_hash(TensorDataset(inputs)) != hash);
  CHECK(content_hash(TensorDataset(inputs.reshape({2, 1, 2}), {0, 1})) != hash);
  const TensorDataset set(inputs, {0, 1});
  CHECK(content_hash(Subset(set, {1, 0})) != hash);
  inputs.data()[3] = real(4.5);
  CHECK(content_hash(TensorDataset(inputs, {0, 1})) != hash);
}
