#include "nas/gumbel.h"

#include <cmath>

#include "autograd/functions.h"
#include "tensor/check.h"

namespace serenade {

std::vector<double> gumbel_noise(std::int64_t n, const RandomKey& key, std::uint64_t choice) {
  std::vector<double> noise;
  for (std::int64_t i = 0; i < n; ++i) {
    // The middle of one of the 2^24 intervals: neither 0 nor 1, whose noise would be infinite.
    const double u = uniform(key, choice << 16 | static_cast<std::uint64_t>(i)) + 0x1p-25;
    noise.push_back(-std::log(-std::log(u)));
  }
  return noise;
}

GumbelSearch::GumbelSearch(const SearchSpace& space, const StrategyOptions& options)
    : OneShot(space, options) {
  check(0 < options.final_temperature && options.final_temperature <= options.temperature &&
            std::isfinite(options.temperature),
        "strategy", "the temperature must fall to one above 0; got ", options.temperature, " to ",
        options.final_temperature);
}

std::map<std::string, double> GumbelSearch::end_epoch(const EpochEnd& end) const {
  return {{"temperature", temperature(end.epoch, planned_steps())}};
}

std::string GumbelSearch::fingerprint() const {
  return "temperature from " + std::to_string(options().temperature) + " to " +
         std::to_string(options().final_temperature) + " in " + std::to_string(planned_steps()) +
         " epochs";
}

std::vector<double> GumbelSearch::noise(const Draw& draw) {
  const Purpose purpose = draw.phase == Phase::weights ? Purpose::path : Purpose::architecture;
  return gumbel_noise(draw.candidates, {draw.seed, purpose, draw.step}, draw.choice);
}

double GumbelSearch::temperature(std::int64_t epoch, std::int64_t epochs) const {
  const double first = options().temperature, last = options().final_temperature;
  return first + (last - first) * ramp(epoch, epochs);
}

std::function<Variable(const Variable&)> GumbelSearch::relaxation(const Draw& draw) const {
  const auto temperature = static_cast<real>(GumbelSearch::temperature(draw.epoch, draw.epochs));
  const std::vector<double> noise = GumbelSearch::noise(draw);
  const Tensor g = Tensor::from({noise.begin(), noise.end()}, {draw.candidates});
  return [g, temperature](const Variable& alpha) {
    return softmax(affine(add(alpha, g.to(alpha.device())), 1 / temperature), 0);
  };
}

}  // namespace serenade
