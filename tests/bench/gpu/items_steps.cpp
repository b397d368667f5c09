// Whole training steps on the device, each captured as one graph, as the program runs them.

#include <memory>
#include <string>
#include <vector>

#include "apps/ser/models/recognizer.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/supernet_search.h"
#include "nn/async_scalar.h"
#include "nn/captured_step.h"
#include "nn/optim.h"
#include "tensor/random.h"
#include "tests/bench/gpu/items.h"

namespace serenade::bench {

namespace {

constexpr std::int64_t kFrames = 200, kBatch = 16;

// What a step does, for as long as it is timed.
class Job {
 public:
  Job(const std::string& name, const std::string& mode, std::int64_t bins)
      : captured_(Device::cuda), guard_(Device::cuda) {
    options_.name = name;
    options_.bins = bins;
    manual_seed(7);
    if (mode == "none") {
      system_ = make_recognizer(options_, baseline_genotype(options_));
    } else {
      method_ = make_one_shot(mode, search_space(options_), {});
      system_ = make_supernet(options_, *method_);
    }
    system_->to(Device::cuda);
    Tensor x = Tensor::empty({kBatch, 1, bins, kFrames});
    fill_normal_(x, 0, 1, {7, Purpose::test, 1});
    x_ = x.to(Device::cuda);
    for (std::int64_t i = 0; i < kBatch; ++i) labels_.push_back(i % 4);
    if (method_) {
      search_ = std::make_unique<SupernetSearch>(*system_, *method_);
    } else {
      adam_ = std::make_unique<Adam>(system_->named_parameters(), Adam::Options{});
    }
  }

  void step() {
    const auto loss = [this] { return cross_entropy(system_->forward(x_), labels_); };
    if (search_) {
      search_->weight_step(loss);
      return;
    }
    adam_->zero_grad();
    Variable value;
    captured_.run([&] {
      value = loss();
      backward(value);
      guard_.watch(value);
      adam_->step(guard_);
    });
    loss_ = AsyncScalar(value.value());
  }

 private:
  ser::RecognizerOptions options_;
  std::unique_ptr<OneShot> method_;  // of a supernet
  std::unique_ptr<ser::Recognizer> system_;
  CapturedStep captured_;
  NonFiniteGuard guard_;
  AsyncScalar loss_;  // of the last step, as the program fetches it
  Tensor x_;
  Indices labels_;
  std::unique_ptr<Adam> adam_;
  std::unique_ptr<SupernetSearch> search_;
};

}  // namespace

void bench_steps(GpuReport& report, const PeerTimes& peers) {
  report.heading("Training steps, batch 16");
  const std::pair<const char*, std::int64_t> presets[] = {{"small", 200}, {"paper", 4096}};
  for (const char* name : {ser::kGruAtt, ser::kSeqCap}) {
    for (const auto& [preset, bins] : presets) {
      for (const char* mode : {"none", "joint", "dropout"}) {
        const std::string item = std::string(name) + ", " + mode + ", " + preset + ", batch 16";
        for (const GpuMode& gpu_mode : {kFloat32, kTf32}) {
          gpu_mode.use();
          Job job(name, mode, bins);
          const double time = device_microseconds([&] { job.step(); }, 10);
          report.row(item, gpu_mode, 0, 0, time, times_of(peers, item));
        }
      }
    }
  }
  kFloat32.use();
}

}  // namespace serenade::bench
