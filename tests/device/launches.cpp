// How many kernels a step launches. On a GPU a small network's step takes about as long as its
// launches, so their number is part of its speed: a change that adds many shows here. Counted by
// the emulation, on small inputs; larger ones choose other kernels, but few more.

#ifdef SERENADE_EMULATED

#include <doctest/doctest.h>

#include <string>

#include "apps/ser/models/recognizer.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "kernels/emulation/block.h"
#include "nas/supernet_search.h"
#include "nn/captured_step.h"
#include "nn/optim.h"
#include "tensor/random.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

struct Expected {
  const char* system;
  const char* mode;
  std::int64_t weight_step;
  std::int64_t architecture_step;  // 0: the mode has none
};

constexpr Expected kExpected[] = {
    {kGruAtt, "none", 77, 0}, {kGruAtt, "joint", 211, 0}, {kGruAtt, "dropout", 164, 180},
    {kSeqCap, "none", 91, 0}, {kSeqCap, "joint", 135, 0}, {kSeqCap, "dropout", 123, 121},
};

template <class Work>
std::int64_t launches_of(const Work& work) {
  work();  // the first step makes the optimisers' moments
  const std::int64_t before = emulation::launch_count();
  work();
  return emulation::launch_count() - before;
}

}  // namespace

TEST_CASE("device: a step has no more launches than were counted") {
  for (const Expected& expected : kExpected) {
    CAPTURE(expected.system);
    CAPTURE(expected.mode);
    manual_seed(11);
    const RecognizerOptions options{.name = expected.system, .bins = 32};
    const bool alone = expected.mode == std::string("none");
    const auto method = alone ? nullptr : make_one_shot(expected.mode, search_space(options), {});
    const auto system = alone ? make_recognizer(options, baseline_genotype(options))
                              : make_supernet(options, *method);
    system->to(Device::cuda);
    const Tensor x({2, 1, 32, 12}, Device::cuda);
    const auto loss = [&] { return cross_entropy(system->forward(x), {0, 1}); };
    std::int64_t weight_step = 0, architecture_step = 0;
    if (alone) {
      Adam adam(system->named_parameters(), {});
      NonFiniteGuard guard(Device::cuda);
      CapturedStep captured(Device::cuda);
      weight_step = launches_of([&] {
        adam.zero_grad();
        captured.run([&] {
          const Variable value = loss();
          backward(value);
          guard.watch(value);
          adam.step(guard);
        });
      });
    } else {
      SupernetSearch search(*system, *method);
      search.weight_step(loss);  // the first of an epoch also measures activations
      weight_step = launches_of([&] { search.weight_step(loss); });
      if (!method->trains_jointly()) {
        architecture_step = launches_of([&] { search.architecture_step(loss); });
      }
    }
    CHECK(weight_step <= expected.weight_step);
    CHECK(architecture_step <= expected.architecture_step);
    const std::string counted = std::string(expected.system) + ", " + expected.mode + ": " +
                                std::to_string(weight_step) + " and " +
                                std::to_string(architecture_step) + " launches";
    MESSAGE(counted);
  }
}

#endif  // SERENADE_EMULATED
