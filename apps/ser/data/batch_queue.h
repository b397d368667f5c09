#pragma once
// The batches of a set, in order, on the device of the network.
//
// Where the spectrograms are on that device, a batch is made when it is asked for. Where they are
// in host memory and the network is on a GPU, a thread packs the frames of the next batches into
// page-locked memory and sends them off while the current step runs; what is left to do when a
// batch is asked for is launching the kernel that normalises it, the same one as otherwise. A batch
// has the same bits either way.

#include <functional>
#include <memory>
#include <optional>

#include "apps/ser/data/dataset.h"

namespace serenade::ser {

class BatchQueue {
 public:
  /// Says what the next batch is made of; nothing: there is none.
  using Source = std::function<std::optional<BatchPlan>()>;

  /// The set must outlive this.
  BatchQueue(const Dataset& data, Device device);
  /// prefetch: send batches ahead even where there is no need to.
  BatchQueue(const Dataset& data, Device device, bool prefetch);
  ~BatchQueue();
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  /// Begins anew; what was still under way is dropped. The source is called by start() and next(),
  /// two or three batches ahead of those that are returned.
  void start(Source source);

  /// The next batch, or nothing at the end. Not inside a captured step. Throws what packing it
  /// threw.
  std::optional<Batch> next();

 private:
  class Prefetcher;
  void prefetch();

  const Dataset& data_;
  Device device_;
  Source source_;
  std::unique_ptr<Prefetcher> prefetcher_;  // null: batches are made when asked for
};

}  // namespace serenade::ser
