#include "tests/cuda/device_case.h"

#include "tensor/random.h"

#ifdef SERENADE_EMULATED
#include "kernels/emulation/emulation.h"
#endif

namespace serenade::test {

Values run_repeatedly(const std::function<Values()>& f) {
  Values first;
  bool begun = false;
  const auto run = [&] {
    Values result = f();
    if (begun) {
      REQUIRE(result.size() == first.size());
      const std::size_t bytes = first.size() * sizeof(real);
      CHECK((bytes == 0 || std::memcmp(result.data(), first.data(), bytes) == 0));
    } else {
      first = std::move(result);
      begun = true;
    }
  };
#ifdef SERENADE_EMULATED
  emulation::in_every_order(run);
#else
  for (int i = 0; i < 10; ++i) run();
#endif
  return first;
}

double relative_error(const Values& actual, const Values& expected) {
  REQUIRE(actual.size() == expected.size());
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double difference = static_cast<double>(actual[i]) - static_cast<double>(expected[i]);
    error += difference * difference;
    norm += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  return norm > 0 ? std::sqrt(error / norm) : std::sqrt(error);
}

Values random_values(std::int64_t count, std::uint64_t seed) {
  Values values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<real>(normal({seed, Purpose::test, 0}, i));
  }
  return values;
}

}  // namespace serenade::test
