// Whole training steps of both systems, alone and as supernets: the same bits for any number of
// threads, no memory taken from the system once every size has been seen, and little of it held.

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "apps/ser/models/recognizer.h"
#include "autograd/engine.h"
#include "kernels/runtime/memory.h"
#include "kernels/runtime/threads.h"
#include "nas/supernet_search.h"
#include "nn/optim.h"
#include "tensor/random.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

constexpr int kSteps = 4;
const std::vector<std::string> kSystems = {kGruAtt, kSeqCap};

struct Job {
  std::string system;
  std::string mode;  // none: a single architecture
};

std::vector<Job> all_jobs() {
  std::vector<Job> jobs;
  for (const std::string& system : kSystems) {
    for (const char* mode : {"none", "joint", "sampling", "dropout"}) {
      jobs.push_back({system, mode});
    }
  }
  return jobs;
}

RecognizerOptions options_of(const Job& job) {
  return {.name = job.system, .bins = 64, .dropout = 0.25};
}

Variable loss_of(Recognizer& system, std::int64_t samples, std::int64_t steps) {
  Tensor x = Tensor::empty({samples, 1, 64, steps});
  fill_normal_(x, 0, 1, {3, Purpose::test, 0});
  Indices labels;
  for (std::int64_t i = 0; i < samples; ++i) labels.push_back(i % 4);
  return cross_entropy(system.forward(Variable(x)), labels);
}

// The network of a job, whose training can begin anew.
class Trainee {
 public:
  explicit Trainee(const Job& job) : job_(job) {
    manual_seed(11);
    const RecognizerOptions options = options_of(job);
    if (job.mode == "none") {
      system_ = make_recognizer(options, baseline_genotype(options));
    } else {
      method_ = make_one_shot(job.mode, search_space(options), {.seed = 5});
      system_ = make_supernet(options, *method_);
    }
  }

  // A few steps with a new optimiser; a search draws the same paths each time.
  void train() {
    const auto loss = [&] { return loss_of(*system_, 3, 44); };
    if (job_.mode == "none") {
      Adam adam(system_->named_parameters(), {});
      for (int step = 0; step < kSteps; ++step) {
        adam.zero_grad();
        backward(loss());
        adam.step();
      }
      adam.zero_grad();
      return;
    }
    SupernetSearch search(*system_, *method_);
    for (int step = 0; step < kSteps; ++step) {
      if (job_.mode != "joint") search.architecture_step(loss);
      search.weight_step(loss);
    }
  }

  std::vector<std::vector<real>> parameters() const {
    std::vector<std::vector<real>> values;
    for (const Variable& parameter : system_->parameters()) {
      values.push_back(parameter.value().to_vector());
    }
    return values;
  }

 private:
  Job job_;
  std::unique_ptr<OneShot> method_;  // of a search
  std::unique_ptr<Recognizer> system_;
};

class Threads {
 public:
  explicit Threads(int count) : before_(cpu::thread_count()) { cpu::set_threads(count); }
  ~Threads() { cpu::set_threads(before_); }

 private:
  int before_;
};

}  // namespace

TEST_CASE("training steps: the same bits for any number of threads") {
  for (const Job& job : all_jobs()) {
    CAPTURE(job.system);
    CAPTURE(job.mode);
    std::vector<std::vector<real>> alone;
    for (const int count : {1, 2, 3}) {
      const Threads in_use(count);
      Trainee trainee(job);
      trainee.train();
      if (count == 1) {
        alone = trainee.parameters();
      } else {
        CHECK(trainee.parameters() == alone);
      }
    }
  }
}

// Under a sanitizer freed blocks go back to the system.
#ifndef __SANITIZE_ADDRESS__
TEST_CASE("training steps: no memory from the system once every size has been seen") {
  for (const Job& job : all_jobs()) {
    CAPTURE(job.system);
    CAPTURE(job.mode);
    Trainee trainee(job);
    trainee.train();
    const AllocationCounts before = cpu::allocation_counts();
    trainee.train();
    const AllocationCounts after = cpu::allocation_counts();
    CHECK(after.system_blocks == before.system_blocks);
    CHECK(after.held_bytes == before.held_bytes);
    CHECK(after.used_bytes == before.used_bytes);  // a step leaves nothing behind
  }
}
#endif

TEST_CASE("training steps: a supernet needs little more memory than one map and its gradient") {
  // The largest map that must exist is conv3's input: all channels after the first pooling.
  // Backward needs it and its gradient; the rest is smaller. Every candidate's output before
  // pooling, as the definition has it, would be 12 such maps for conv1 and conv2 alone.
  constexpr std::int64_t kSamples = 2, kTime = 400;
  const std::int64_t largest = kSamples * 16 * 32 * kTime * static_cast<std::int64_t>(sizeof(real));
  for (const std::string& name : kSystems) {
    CAPTURE(name);
    const Job job{name, "joint"};
    const std::unique_ptr<Recognizer> supernet = make_supernet(options_of(job));
    backward(loss_of(*supernet, kSamples, kTime));  // the working memory of kernels stays from now
    for (Variable& parameter : supernet->parameters()) parameter.zero_grad();
    cpu::reset_allocation_peak();
    const std::int64_t before = cpu::allocation_counts().used_bytes;
    backward(loss_of(*supernet, kSamples, kTime));
    const std::int64_t needed = cpu::allocation_counts().peak_bytes - before;
    MESSAGE("step of ", name, ": ", needed, " bytes at its peak, ",
            static_cast<double>(needed) / static_cast<double>(largest), " maps");
    CHECK(2 * needed < 7 * largest);
  }
}

#ifdef __linux__
TEST_CASE("training steps: threads come from one pool") {
  const auto threads = [] {
    std::int64_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
      static_cast<void>(entry);
      ++count;
    }
    return count;
  };
  const Threads in_use(2);
  for (const Job& job : all_jobs()) Trainee(job).train();
  const std::int64_t before = threads();
  for (const Job& job : all_jobs()) Trainee(job).train();
  CHECK(threads() == before);
}
#endif
