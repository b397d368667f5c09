#pragma once
// Parts that the loops of training and of searching share. Not for use outside experiment.cpp and
// search_experiment.cpp.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "apps/ser/config.h"
#include "nn/schedule.h"

namespace serenade::ser {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// The batches of one pass over a set, in the order of (seed, pass). The set must outlive this.
class Batches {
 public:
  Batches(const Dataset& data, int batch_size, std::uint64_t seed, std::uint64_t pass);

  std::int64_t count() const;
  Batch batch(std::int64_t index) const;

 private:
  const Dataset& data_;
  std::int64_t size_;
  std::vector<std::int64_t> order_;
};

/// Endless batches of the validation set for the alphas: a cursor of its own, reshuffled per pass.
class EndlessBatches {
 public:
  EndlessBatches(const Dataset& data, int batch_size, std::uint64_t seed);
  Batch next();

 private:
  const Dataset& data_;
  int batch_size_;
  std::uint64_t seed_;
  std::uint64_t pass_ = 0;
  std::int64_t position_ = 0;
  std::unique_ptr<Batches> batches_;
};

/// The paper's schedule, or a constant rate where the configuration asks for one.
std::unique_ptr<Schedule> make_schedule(const Config& config);

/// Throws NonFiniteError, saying where, unless the loss is a finite number.
void require_finite(double loss, const std::string& stage, int epoch, std::int64_t step);

/// "epoch 3/20  loss 0.812", for a progress bar.
std::string epoch_text(int epoch, int epochs, double loss);

}  // namespace serenade::ser
