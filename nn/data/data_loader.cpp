#include "nn/data/data_loader.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "kernels/runtime/threads.h"
#include "tensor/check.h"
#include "tensor/random.h"

namespace serenade {

namespace {

constexpr int kMostWorkers = 256;
constexpr int kMostPrefetched = 1024;

// Runs a step of the way to a batch; what goes wrong there is told with its place, in one line.
template <class Step>
auto at_place(const std::string& place, const Step& step) {
  try {
    return step();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    std::throw_with_nested(std::runtime_error("DataLoader: " + place + ": " + error.what()));
  } catch (...) {
    std::throw_with_nested(std::runtime_error("DataLoader: " + place + ": an unknown exception"));
  }
}

}  // namespace

// What does not change from epoch to epoch.
struct DataLoader::Plan {
  const Dataset& data;
  DataLoaderOptions options;

  std::int64_t batches() const {
    const std::int64_t whole = data.size() / options.batch_size;
    return whole + (!options.drop_last && data.size() % options.batch_size != 0);
  }

  std::vector<std::int64_t> order(std::int64_t epoch) const {
    check(epoch >= 0, "DataLoader", "an epoch must be 0 or later; got ", epoch);
    if (options.shuffle) {
      return permutation({options.seed, Purpose::shuffle, static_cast<std::uint64_t>(epoch)},
                         data.size());
    }
    std::vector<std::int64_t> order(static_cast<std::size_t>(data.size()));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
    return order;
  }

  Batch make_batch(std::int64_t epoch, std::int64_t number,
                   const std::vector<std::int64_t>& order) const {
    const std::int64_t begin = number * options.batch_size;
    const std::int64_t end = std::min(data.size(), begin + options.batch_size);
    const std::vector<std::int64_t> indices(order.begin() + begin, order.begin() + end);
    std::vector<Sample> samples;
    samples.reserve(indices.size());
    const std::string of_epoch = " of epoch " + std::to_string(epoch);
    for (const std::int64_t index : indices) {
      samples.push_back(at_place("sample " + std::to_string(index) + of_epoch, [&] {
        Sample sample = data.get(index);
        if (!options.transform) return sample;
        return options.transform(std::move(sample), sample_key(options.seed, epoch, index));
      }));
    }
    return at_place("batch " + std::to_string(number) + of_epoch, [&] {
      Batch batch = options.collate(std::move(samples));
      check(batch.input.defined() && batch.input.dim() >= 1, "collate",
            "a batch must have an input [N, ..]");
      batch.indices = indices;
      if (!options.batch_transform) return batch;
      return options.batch_transform(std::move(batch), batch_key(options.seed, epoch, number));
    });
  }
};

DataLoader::DataLoader(const Dataset& data, DataLoaderOptions options) {
  constexpr const char* kOp = "DataLoader";
  check(options.batch_size > 0 && options.batch_size <= kMaxElements, kOp,
        "batch_size must be above 0 and at most 2^58; got ", options.batch_size);
  check(options.num_workers >= 0 && options.num_workers <= kMostWorkers, kOp,
        "num_workers must be in 0 .. ", kMostWorkers, "; got ", options.num_workers);
  check(options.prefetch_factor > 0 && options.prefetch_factor <= kMostPrefetched, kOp,
        "prefetch_factor must be in 1 .. ", kMostPrefetched, "; got ", options.prefetch_factor);
  check(options.collate != nullptr, kOp, "collate must be a function");
  plan_ = std::make_shared<const Plan>(Plan{data, std::move(options)});
}

std::int64_t DataLoader::size() const { return plan_->batches(); }

std::vector<std::int64_t> DataLoader::order(std::int64_t epoch) const {
  return plan_->order(epoch);
}

EpochBatches DataLoader::epoch(std::int64_t epoch, std::int64_t first_batch) const {
  return EpochBatches(plan_, epoch, first_batch);
}

// A ring of places for batches that are being made or wait. A worker takes the next number that no
// one has, once its place in the ring is free, so that workers run ahead only so far; the batches
// are taken in the order of their numbers.
class EpochBatches::Work {
 public:
  Work(std::shared_ptr<const DataLoader::Plan> plan, std::int64_t epoch, std::int64_t first_batch)
      : plan_(std::move(plan)), epoch_(epoch), order_(plan_->order(epoch)), end_(plan_->batches()) {
    check(first_batch >= 0 && first_batch <= end_, "DataLoader", "the first batch must be in 0 .. ",
          end_, "; got ", first_batch);
    claimed_ = oldest_ = taken_ = first_batch;
    const auto workers = std::min<std::int64_t>(plan_->options.num_workers, end_ - first_batch);
    places_.resize(static_cast<std::size_t>(
        std::min(workers * plan_->options.prefetch_factor, end_ - first_batch)));
    workers_.reserve(static_cast<std::size_t>(workers));
    for (std::int64_t i = 0; i < workers; ++i) {
      try {
        workers_.emplace_back([this] { work(); });
      } catch (const std::system_error&) {
        break;  // the system starts no more threads: fewer do the same work
      } catch (...) {
        stop();
        throw;
      }
    }
  }

  ~Work() { stop(); }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  std::optional<Batch> next() {
    if (taken_ == end_) return std::nullopt;
    try {
      Batch batch = workers_.empty() ? plan_->make_batch(epoch_, taken_, order_) : take();
      if (++taken_ == end_) stop();
      return batch;
    } catch (...) {
      stop();
      taken_ = end_;
      throw;
    }
  }

 private:
  struct Place {
    bool ready = false;
    Batch batch = {};
    std::exception_ptr failure = nullptr;
  };

  Place& place_of(std::int64_t number) {
    return places_[static_cast<std::size_t>(number) % places_.size()];
  }

  Batch take() {
    Place taken;
    {
      std::unique_lock lock(mutex_);
      Place& place = place_of(taken_);
      made_.wait(lock, [&] { return place.ready; });
      taken = std::exchange(place, {});
      ++oldest_;
    }
    freed_.notify_one();
    if (taken.failure) std::rethrow_exception(taken.failure);
    return std::move(taken.batch);
  }

  // A worker.
  void work() {
    // Samples are small, and the threads of the kernels are those of the training.
    cpu::set_threads(1);
    for (;;) {
      std::int64_t number = 0;
      {
        std::unique_lock lock(mutex_);
        freed_.wait(lock, [&] { return stopped_ || claimed_ == end_ || has_room(); });
        if (stopped_ || claimed_ == end_) return;
        number = claimed_++;
      }
      Place made{.ready = true};
      try {
        made.batch = plan_->make_batch(epoch_, number, order_);
      } catch (...) {
        made.failure = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        place_of(number) = std::move(made);
      }
      made_.notify_one();
    }
  }

  bool has_room() const { return claimed_ - oldest_ < std::ssize(places_); }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    freed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
  }

  const std::shared_ptr<const DataLoader::Plan> plan_;
  const std::int64_t epoch_;
  const std::vector<std::int64_t> order_;
  const std::int64_t end_;  // one past the last batch
  std::int64_t taken_ = 0;  // the batch that next() gives

  std::mutex mutex_;
  std::condition_variable made_, freed_;
  std::vector<Place> places_;  // under the mutex, as is what follows
  std::int64_t claimed_ = 0;   // the batch that a worker makes next
  std::int64_t oldest_ = 0;    // the first one that still has a place in the ring
  bool stopped_ = false;
  std::vector<std::thread> workers_;
};

EpochBatches::EpochBatches(std::shared_ptr<const DataLoader::Plan> plan, std::int64_t epoch,
                           std::int64_t first_batch)
    : work_(std::make_unique<Work>(std::move(plan), epoch, first_batch)) {}
EpochBatches::~EpochBatches() = default;
EpochBatches::EpochBatches(EpochBatches&&) noexcept = default;
EpochBatches& EpochBatches::operator=(EpochBatches&&) noexcept = default;

std::optional<Batch> EpochBatches::next() { return work_->next(); }

}  // namespace serenade
