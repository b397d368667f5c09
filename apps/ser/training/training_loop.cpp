#include "apps/ser/training/training_loop.h"

#include <algorithm>
#include <cstdio>

#include "apps/ser/training/paper_schedule.h"
#include "kernels/runtime/ceil_div.h"

namespace serenade::ser {

namespace {

// Pass numbers from here on belong to the alphas, so that their orders differ from the training's.
constexpr std::uint64_t kFirstAlphaPass = std::uint64_t{1} << 32;

}  // namespace

std::int64_t batch_count(const Dataset& data, int batch_size) {
  return ceil_div(data.segment_count(), batch_size);
}

BatchQueue::Source one_pass(const Dataset& data, int batch_size, std::uint64_t seed,
                            std::uint64_t pass, std::int64_t first_batch) {
  return [&data, batch_size, seed, pass, order = data.epoch_order(seed, pass),
          begin = static_cast<std::size_t>(first_batch *
                                           batch_size)]() mutable -> std::optional<BatchPlan> {
    if (begin >= order.size()) return std::nullopt;
    const std::size_t end = std::min(order.size(), begin + static_cast<std::size_t>(batch_size));
    const std::vector<std::int64_t> segments(order.begin() + static_cast<std::ptrdiff_t>(begin),
                                             order.begin() + static_cast<std::ptrdiff_t>(end));
    begin = end;
    return data.plan_training(segments, seed, pass);
  };
}

BatchQueue::Source endless_passes(const Dataset& data, int batch_size, std::uint64_t seed,
                                  std::int64_t first_batch) {
  const std::int64_t batches = batch_count(data, batch_size);
  std::uint64_t pass = kFirstAlphaPass + static_cast<std::uint64_t>(first_batch / batches);
  BatchQueue::Source source = one_pass(data, batch_size, seed, pass++, first_batch % batches);
  return [&data, batch_size, seed, pass, source]() mutable -> std::optional<BatchPlan> {
    std::optional<BatchPlan> plan = source();
    if (!plan) {
      source = one_pass(data, batch_size, seed, pass++);
      plan = source();
    }
    return plan;
  };
}

std::unique_ptr<Schedule> make_schedule(const Config& config) {
  if (config.learning_rate > 0) return std::make_unique<ConstantSchedule>(config.learning_rate);
  return std::make_unique<PaperSchedule>();
}

std::string stage_key(std::string stage, const Fold& fold) {
  std::replace(stage.begin(), stage.end(), ' ', '-');
  return stage + "-" + fold.name;
}

std::string epoch_text(int epoch, int epochs, double loss) {
  char text[80];
  std::snprintf(text, sizeof text, "epoch %d/%d  loss %.3f", epoch, epochs, loss);
  return text;
}

}  // namespace serenade::ser
