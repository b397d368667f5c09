#pragma once
// Parts that the loops of training and of searching share: train.cpp and search.cpp.

#include <cstdint>
#include <memory>
#include <string>

#include "apps/ser/data/batch_queue.h"
#include "apps/ser/data/protocol.h"
#include "apps/ser/training/config.h"
#include "nn/schedule.h"

namespace serenade::ser {

/// Batches of one pass over a set.
std::int64_t batch_count(const Dataset& data, int batch_size);

/// The batches of one pass, in the order and with the gains of (seed, pass), but for the first so
/// many. The set must outlive the source.
BatchQueue::Source one_pass(const Dataset& data, int batch_size, std::uint64_t seed,
                            std::uint64_t pass, std::int64_t first_batch = 0);

/// Endless batches of the validation set for the alphas: reshuffled per pass, in orders that no
/// training pass has; but for the first so many. The set must outlive the source.
BatchQueue::Source endless_passes(const Dataset& data, int batch_size, std::uint64_t seed,
                                  std::int64_t first_batch = 0);

/// The paper's schedule, or a constant rate where the configuration asks for one.
std::unique_ptr<Schedule> make_schedule(const Config& config);

/// Under what name a stage of a fold is kept: "train-2-session1-test-A".
std::string stage_key(std::string stage, const Fold& fold);

/// "epoch 3/20  loss 0.812", for a progress bar.
std::string epoch_text(int epoch, int epochs, double loss);

}  // namespace serenade::ser
