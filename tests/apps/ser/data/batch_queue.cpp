// Batches that are sent ahead, beside those made when asked for. On the CPU sending is copying, but
// the thread, the slots and their order are those of a device.

#include "apps/ser/data/batch_queue.h"

#include <doctest/doctest.h>

#include <stdexcept>

#include "apps/ser/training/training_loop.h"
#include "tensor/random.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

std::vector<Features> random_features(const std::vector<std::int64_t>& lengths) {
  std::vector<Features> features;
  for (std::size_t r = 0; r < lengths.size(); ++r) {
    auto values = std::make_shared<std::vector<float>>();
    for (std::int64_t i = 0; i < 3 * lengths[r]; ++i) {
      values->push_back(static_cast<float>(normal({r, Purpose::test, 3}, i)));
    }
    features.push_back({3, lengths[r], values->data(), values});
  }
  return features;
}

Dataset make_dataset(NormalisationKind kind) {
  const std::vector<std::int64_t> lengths = {450, 20, 197, 700, 260, 333, 90};
  const std::vector<Features> features = random_features(lengths);
  const std::vector<std::int64_t> all = {0, 1, 2, 3, 4, 5, 6};
  return Dataset(features, {0, 1, 2, 3, 0, 1, 2}, all, fit_normalisation(features, all, kind));
}

std::vector<Batch> all_batches(BatchQueue& queue) {
  std::vector<Batch> batches;
  while (std::optional<Batch> batch = queue.next()) batches.push_back(*batch);
  return batches;
}

}  // namespace

TEST_CASE("batch queue: batches sent ahead are those made at once, in order, bit for bit") {
  for (const NormalisationKind kind :
       {NormalisationKind::per_bin, NormalisationKind::global, NormalisationKind::per_utterance,
        NormalisationKind::utterance_mean}) {
    CAPTURE(to_string(kind));
    Dataset data = make_dataset(kind);
    if (kind == NormalisationKind::global) data.augment_gain(12, FeatureSettings{});
    BatchQueue direct(data, Device::cpu), ahead(data, Device::cpu, true);
    for (const std::uint64_t pass : {1, 2}) {
      direct.start(one_pass(data, 4, 9, pass));
      ahead.start(one_pass(data, 4, 9, pass));
      const std::vector<Batch> a = all_batches(direct), b = all_batches(ahead);
      REQUIRE(static_cast<std::int64_t>(a.size()) == batch_count(data, 4));
      REQUIRE(b.size() == a.size());
      for (std::size_t i = 0; i < a.size(); ++i) {
        CHECK(a[i].input.shape() == b[i].input.shape());
        CHECK(a[i].input.to_vector() == b[i].input.to_vector());
        CHECK(a[i].labels == b[i].labels);
      }
      CHECK_FALSE(ahead.next());
      CHECK_FALSE(direct.next());
    }
    const std::vector<std::vector<std::int64_t>> groups = data.equal_length_groups();
    ahead.start([&, next = std::size_t{0}]() mutable -> std::optional<BatchPlan> {
      if (next == groups.size()) return std::nullopt;
      return data.plan_utterances(groups[next++]);
    });
    for (const std::vector<std::int64_t>& group : groups) {  // longer and longer ones
      CHECK(ahead.next()->input.to_vector() == data.utterances(group).input.to_vector());
    }
  }
}

TEST_CASE("batch queue: endless passes are the passes of the alphas, one after the other") {
  const Dataset data = make_dataset(NormalisationKind::per_bin);
  BatchQueue queue(data, Device::cpu, true);
  queue.start(endless_passes(data, 5, 3));
  for (std::uint64_t pass = 0; pass < 3; ++pass) {
    const auto order = data.epoch_order(3, (std::uint64_t{1} << 32) + pass);
    for (std::size_t i = 0; i < order.size(); i += 5) {
      const std::vector<std::int64_t> segments(
          order.begin() + static_cast<std::ptrdiff_t>(i),
          order.begin() + static_cast<std::ptrdiff_t>(std::min(i + 5, order.size())));
      CHECK(queue.next()->input.to_vector() == data.make_batch(segments).input.to_vector());
    }
  }
}

TEST_CASE("batch queue: it may begin anew, fail or end at any moment") {
  const Dataset data = make_dataset(NormalisationKind::per_bin);
  const BatchPlan good = data.plan_segments({0}), other = data.plan_segments({1, 2});
  BatchPlan beyond = good;
  beyond.pieces[0].start = 400;  // of 450 frames
  for (int taken = 0; taken < 6; ++taken) {
    BatchQueue queue(data, Device::cpu, true);
    CHECK_FALSE(queue.next());
    queue.start([&] { return good; });
    for (int i = 0; i < taken; ++i) CHECK(queue.next()->labels.size() == 1);
    queue.start([&] { return other; });
    CHECK(queue.next()->labels.size() == 2);
    queue.start([&, count = 0]() mutable -> std::optional<BatchPlan> {
      return ++count == taken + 1 ? beyond : good;
    });
    for (int i = 0; i < taken; ++i) CHECK(queue.next()->labels.size() == 1);
    CHECK_THROWS_AS(queue.next(), std::invalid_argument);
    CHECK(queue.next()->labels.size() == 1);  // the next one is whole
  }
  CHECK_THROWS_AS(data.gather(beyond), std::invalid_argument);
}
