// Both systems, alone and as supernets in every mode of search, trained on the CPU and on the
// device: the same losses, the same parameters up to rounding, and the same bits when repeated.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "apps/ser/models/recognizer.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "kernels/runtime/cuda_device.h"
#include "nas/supernet_search.h"
#include "nn/captured_step.h"
#include "nn/optim.h"
#include "tensor/random.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

// The emulation runs some 20 million thread steps a second: a few steps of small inputs there, or
// as many as SERENADE_TEST_STEPS says.
#ifdef SERENADE_EMULATED
constexpr std::int64_t kBins = 32, kFrames = 12, kSamples = 2;
constexpr bool kRepeatsAll = false;
constexpr double kLearningRate = 1e-3;
int steps() {
  const char* wanted = std::getenv("SERENADE_TEST_STEPS");
  return wanted == nullptr ? 2 : std::max(1, std::atoi(wanted));
}
#else
constexpr std::int64_t kBins = 200, kFrames = 200, kSamples = 16;
constexpr bool kRepeatsAll = true;
// Training amplifies rounding: at this size and rate, two instruction sets of the CPU differ by up
// to 4e-4 in the losses of 50 steps, but at a rate of 1e-3 by more than the tolerance after 11.
constexpr double kLearningRate = 1e-4;
int steps() { return 50; }
#endif
constexpr double kTolerance = sizeof(real) == 8 ? 1e-9 : 1e-3;

struct Course {
  std::vector<double> losses;
  StateDict parameters;
};

RecognizerOptions options_of(const std::string& name) {
  return {.name = name, .bins = kBins, .dropout = 0.25};
}

Tensor input() {
  Tensor x = Tensor::empty({kSamples, 1, kBins, kFrames});
  fill_normal_(x, 0, 1, {3, Purpose::test, 0});
  return x;
}

Indices labels() {
  Indices labels;
  for (std::int64_t i = 0; i < kSamples; ++i) labels.push_back(i % 4);
  return labels;
}

Course train_one(const std::string& name, Device device) {
  manual_seed(11);
  const RecognizerOptions options = options_of(name);
  const auto system = make_recognizer(options, baseline_genotype(options));
  system->to(device);
  const Tensor x = input().to(device);
  Adam adam(system->named_parameters(), {.lr = kLearningRate});
  CapturedStep captured(device);
  NonFiniteGuard guard(device);
  Course course;
  for (int step = 0; step < steps(); ++step) {
    adam.zero_grad();
    Variable loss;
    captured.run([&] {
      loss = cross_entropy(system->forward(x), labels());
      backward(loss);
      guard.watch(loss);
      adam.step(guard);
    });
    course.losses.push_back(loss.item());
  }
  course.parameters = system->state_dict();
  return course;
}

Course search(const std::string& name, const std::string& mode, Device device) {
  manual_seed(12);
  const RecognizerOptions options = options_of(name);
  const auto method = make_one_shot(
      mode, search_space(options),
      {.seed = 5, .learning_rate = kLearningRate, .alpha_learning_rate = kLearningRate});
  const auto supernet = make_supernet(options, *method);
  supernet->to(device);
  const Tensor x = input().to(device);
  SupernetSearch search(*supernet, *method);
  const auto loss = [&] { return cross_entropy(supernet->forward(x), labels()); };
  Course course;
  for (int step = 0; step < steps(); ++step) {
    if (mode != "joint") course.losses.push_back(search.architecture_step(loss).loss.get());
    course.losses.push_back(search.weight_step(loss).loss.get());
  }
  course.parameters = supernet->state_dict();
  return course;
}

void check_same_course(const Course& device, const Course& cpu) {
  REQUIRE(device.losses.size() == cpu.losses.size());
  for (std::size_t i = 0; i < cpu.losses.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(device.losses[i] - cpu.losses[i]) <= kTolerance * cpu.losses[i]);
  }
  for (const auto& [name, expected] : cpu.parameters) {
    CAPTURE(name);
    CHECK(device.parameters.at(name).device() == Device::cuda);
    // Adam moves an entry by up to the learning rate whatever the size of its gradient, so a
    // gradient that rounds to the other side of zero shows as such a step. In double, none does.
    const double allowed = sizeof(real) == 8 ? 1e-7 : 2 * kLearningRate * steps();
    CHECK(all_close(device.parameters.at(name), expected, allowed, allowed));
  }
}

void check_same_bits(const Course& first, const Course& second) {
  CHECK(first.losses == second.losses);
  for (const auto& [name, tensor] : first.parameters) {
    CAPTURE(name);
    CHECK(tensor.to_vector() == second.parameters.at(name).to_vector());
  }
}

}  // namespace

TEST_CASE("device: a system trains as on the CPU, and the same way twice") {
  for (const char* name : {kGruAtt, kSeqCap}) {
    CAPTURE(name);
    const Course cpu = train_one(name, Device::cpu), device = train_one(name, Device::cuda);
    check_same_course(device, cpu);
    check_same_bits(device, train_one(name, Device::cuda));
  }
}

TEST_CASE("device: a supernet is searched as on the CPU, in every mode") {
  for (const char* name : {kGruAtt, kSeqCap}) {
    for (const char* mode : {"joint", "sampling", "dropout"}) {
      CAPTURE(name);
      CAPTURE(mode);
      const Course device = search(name, mode, Device::cuda);
      check_same_course(device, search(name, mode, Device::cpu));
      if (kRepeatsAll || mode == std::string("dropout")) {
        check_same_bits(device, search(name, mode, Device::cuda));
      }
    }
  }
}

TEST_CASE("device: utterances of different lengths are recognised as on the CPU") {
  const NoGrad no_grad;
  for (const char* name : {kGruAtt, kSeqCap}) {
    manual_seed(13);
    const RecognizerOptions options = options_of(name);
    const auto system = make_recognizer(options, baseline_genotype(options));
    system->eval();
    for (const std::int64_t frames : {5, 23}) {
      Tensor x = Tensor::empty({1, 1, kBins, frames});
      fill_normal_(x, 0, 1, {4, Purpose::test, 0});
      system->to(Device::cpu);
      const Tensor expected = system->forward(Variable(x)).value();
      system->to(Device::cuda);
      const Tensor actual = system->forward(Variable(x.to(Device::cuda))).value();
      CHECK(all_close(actual, expected, sizeof(real) == 8 ? 1e-9 : 1e-3, 1e-6));
    }
  }
}
