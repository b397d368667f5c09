#include "apps/ser/training_loop.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "apps/ser/error.h"

namespace serenade::ser {

namespace {

// Pass numbers from here on belong to the alphas, so that their orders differ from the training's.
constexpr std::uint64_t kFirstAlphaPass = std::uint64_t{1} << 32;

}  // namespace

Batches::Batches(const Dataset& data, int batch_size, std::uint64_t seed, std::uint64_t pass)
    : data_(data), size_(batch_size), order_(data.epoch_order(seed, pass)) {}

std::int64_t Batches::count() const {
  return (static_cast<std::int64_t>(order_.size()) + size_ - 1) / size_;
}

Batch Batches::batch(std::int64_t index) const {
  const auto total = static_cast<std::int64_t>(order_.size());
  return data_.make_batch(
      {order_.begin() + index * size_, order_.begin() + std::min((index + 1) * size_, total)});
}

EndlessBatches::EndlessBatches(const Dataset& data, int batch_size, std::uint64_t seed)
    : data_(data), batch_size_(batch_size), seed_(seed) {}

Batch EndlessBatches::next() {
  if (!batches_ || position_ == batches_->count()) {
    batches_ = std::make_unique<Batches>(data_, batch_size_, seed_, kFirstAlphaPass + pass_++);
    position_ = 0;
  }
  return batches_->batch(position_++);
}

std::unique_ptr<Schedule> make_schedule(const Config& config) {
  if (config.learning_rate > 0) return std::make_unique<ConstantSchedule>(config.learning_rate);
  return std::make_unique<PaperSchedule>();
}

void require_finite(double loss, const std::string& stage, int epoch, std::int64_t step) {
  if (std::isfinite(loss)) return;
  throw NonFiniteError(stage + ": the loss is not a number any more in epoch " +
                       std::to_string(epoch) + ", step " + std::to_string(step + 1) +
                       "; try a smaller learning_rate, and look at the features of the corpus");
}

std::string epoch_text(int epoch, int epochs, double loss) {
  char text[80];
  std::snprintf(text, sizeof text, "epoch %d/%d  loss %.3f", epoch, epochs, loss);
  return text;
}

}  // namespace serenade::ser
