#pragma once
// The exponential moving average of a network's parameters: what they were of late, with the noise
// of single steps averaged out (Polyak & Juditsky 1992). It is the average that is evaluated and
// kept; training goes on with the parameters themselves.
//
//   ExponentialMovingAverage average(net.named_parameters(), {.decay = 0.999});
//   for (...) {
//     optimizer.step();
//     average.update();
//   }
//   const auto in_use = average.swap_in();  // the network holds the averages while this lives
//   save_model("model.safetensors", net);

#include <vector>

#include "nn/module.h"

namespace serenade {

class ExponentialMovingAverage {
 public:
  struct Options {
    double decay = 0.999;  ///< in [0, 1): 1 / (1 - decay) steps are remembered
  };

  /// Begins with the parameters as they are now. A parameter under several names is one.
  ExponentialMovingAverage(const NamedParameters& parameters, const Options& options);

  /// average = decay average + (1 - decay) parameter
  void update();

  /// Puts the parameters' own values back when it goes. Only one at a time, and no update() and no
  /// step of an optimiser meanwhile.
  class [[nodiscard]] Swapped {
   public:
    explicit Swapped(ExponentialMovingAverage& average);
    ~Swapped();
    Swapped(const Swapped&) = delete;
    Swapped& operator=(const Swapped&) = delete;

   private:
    ExponentialMovingAverage& average_;
    std::vector<Tensor> own_;  // the parameters' values, in the meantime
  };

  /// Throws std::invalid_argument where the averages are in already.
  Swapped swap_in() { return Swapped(*this); }

  /// Copies of the averages, under the parameters' names. load_state_dict() throws
  /// std::invalid_argument naming the entry that does not fit; then nothing has changed.
  StateDict state_dict() const;
  void load_state_dict(const StateDict& state);

 private:
  NamedParameters parameters_;
  std::vector<Tensor> averages_;  // one per parameter
  double decay_;
  bool swapped_ = false;
};

}  // namespace serenade
