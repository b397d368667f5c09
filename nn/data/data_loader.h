#pragma once
// Batches of a set, epoch by epoch, made ahead of their use by worker threads.
//
//   const ImageDataset digits = read_mnist("data/mnist", Split::train);
//   const DataLoader loader(digits, {.batch_size = 100, .shuffle = true, .num_workers = 2});
//   for (std::int64_t epoch = 0; epoch < 10; ++epoch) {
//     for (const Batch& batch : loader.epoch(epoch)) { ... }
//   }
//
// Which samples a batch has, in what order, and what the transforms make of them, is a function of
// (seed, epoch, number of the batch): the same bits for any number of workers, and for a training
// that goes on in the middle of an epoch, with loader.epoch(epoch, first_batch). So a checkpoint
// has nothing to keep of a loader but these two numbers.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <vector>

#include "nn/data/batch.h"
#include "nn/data/dataset.h"
#include "nn/data/transform.h"

namespace serenade {

struct DataLoaderOptions {
  std::int64_t batch_size = 1;
  bool shuffle = false;    ///< another order in each epoch
  bool drop_last = false;  ///< no last batch that is smaller than the others
  /// Threads that read samples, transform them and make batches; 0: the thread that asks for a
  /// batch does it then.
  int num_workers = 0;
  int prefetch_factor = 2;  ///< batches per worker that are made ahead or wait to be taken
  std::uint64_t seed = 0;
  Transform transform = nullptr;             ///< of each sample
  Collate collate = stack_samples;           ///< what makes a batch of samples
  BatchTransform batch_transform = nullptr;  ///< of each batch
};

class EpochBatches;

class DataLoader {
 public:
  /// The set must outlive the loader and its epochs. Throws std::invalid_argument for options that
  /// cannot be.
  DataLoader(const Dataset& data, DataLoaderOptions options);
  DataLoader(const Dataset&&, DataLoaderOptions) = delete;

  /// Batches of an epoch.
  std::int64_t size() const;

  /// The order of the samples in an epoch: all of them, also those that drop_last leaves out.
  std::vector<std::int64_t> order(std::int64_t epoch) const;

  /// The batches of an epoch, from number `first_batch` on; size() leaves none.
  EpochBatches epoch(std::int64_t epoch, std::int64_t first_batch = 0) const;

 private:
  friend class EpochBatches;
  struct Plan;

  std::shared_ptr<const Plan> plan_;
};

/// The batches of one epoch, each once and in order. Workers begin when it is made and have ended
/// when it is gone, however the loop over it was left. What a sample, a transform or a collate
/// throws comes out where its batch is asked for, after all batches before it, as a
/// std::runtime_error that names epoch and sample (or batch) and holds the cause
/// (std::rethrow_if_nested); std::bad_alloc as it is. Nothing comes after that.
class EpochBatches {
 public:
  ~EpochBatches();
  EpochBatches(EpochBatches&&) noexcept;
  EpochBatches& operator=(EpochBatches&&) noexcept;

  /// The next batch, or nothing at the end.
  std::optional<Batch> next();

  /// For a range-for: one pass, which begins at the batch that next() would give.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;
    using pointer = const Batch*;
    using reference = const Batch&;

    explicit Iterator(EpochBatches& batches) : batches_(&batches), batch_(batches.next()) {}
    const Batch& operator*() const { return *batch_; }
    const Batch* operator->() const { return &*batch_; }
    Iterator& operator++() {
      batch_.reset();  // its memory may serve for the next one
      batch_ = batches_->next();
      return *this;
    }
    bool operator==(std::default_sentinel_t) const { return !batch_.has_value(); }

   private:
    EpochBatches* batches_;
    std::optional<Batch> batch_;
  };
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  friend class DataLoader;
  class Work;
  EpochBatches(std::shared_ptr<const DataLoader::Plan> plan, std::int64_t epoch,
               std::int64_t first_batch);

  std::unique_ptr<Work> work_;
};

}  // namespace serenade
