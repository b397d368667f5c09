// Every allocation fails once.
//
// For n = 1, 2, 3, .. a piece of work is run in which the n-th request for memory is refused, be it
// of an object (operator new) or of a block of numbers (posix_memalign), until one run needs fewer
// than n. Each refusal must arrive as std::bad_alloc and nothing else, must have changed nothing
// that the work had not finished, and the work, done again, must give the bits of an undisturbed
// run. The same again where, from the n-th on, every request is refused until the error is out.
//
// A program of its own, since it replaces the functions by which all others get their memory.

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "kernels/runtime/memory.h"
#include "kernels/runtime/threads.h"
#include "nn/capsule.h"
#include "nn/conv.h"
#include "nn/gru.h"
#include "nn/linear.h"
#include "nn/optim.h"
#include "tensor/random.h"
#include "tensor/safetensors.h"

namespace {

std::atomic<std::int64_t> requests{0};    // since it was armed
std::atomic<std::int64_t> refused_at{0};  // 0: none is refused
std::atomic<bool> refuses_all{false};     // also the later ones

bool is_refused() {
  const std::int64_t at = refused_at, request = ++requests;
  return at > 0 && (request == at || (refuses_all && request > at));
}

void* get(std::size_t bytes, std::size_t alignment) {
  if (is_refused()) return nullptr;
  return std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
}

void* get_or_throw(std::size_t bytes, std::size_t alignment) {
  void* memory = get(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

constexpr std::size_t kUsual = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

extern "C" int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) noexcept {
  *memory = get(bytes, alignment);
  return *memory == nullptr ? 12 /* ENOMEM */ : 0;
}
void* operator new(std::size_t bytes) { return get_or_throw(bytes, kUsual); }
void* operator new[](std::size_t bytes) { return get_or_throw(bytes, kUsual); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return get(bytes, kUsual); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return get_or_throw(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace serenade {
namespace {

/// A little of everything that a recogniser is made of.
struct Net : Module {
  Conv2d conv{{.in_channels = 1, .out_channels = 4, .kernel_size = {3, 3}}};
  PrimaryCapsules primary{
      {.in_channels = 4, .types = 2, .dim = 4, .kernel_size = {3, 3}, .stride = {2, 2}}};
  CapsuleLayer capsules{{.out_capsules = 3, .in_dim = 4, .out_dim = 6, .shared = true}};
  GRU gru{{.input_size = 8, .hidden_size = 5}};
  Linear out{{.in_features = 5, .out_features = 3}};

  Net() {
    register_module("conv", conv);
    register_module("primary", primary);
    register_module("capsules", capsules);
    register_module("gru", gru);
    register_module("out", out);
  }

  Variable loss(const Variable& images, const Variable& sequences, const Indices& labels) {
    const Variable map = max_pool2d(relu(conv.forward(images)), {2, 1});
    const Variable norms = capsule_norm(capsules.forward(primary.forward(map)));
    const Variable scores = out.forward(mean(gru.forward(sequences), 1));
    return margin_loss(norms, labels) + cross_entropy(scores, labels);
  }
};

/// Batches of images: one that a thread is done with at once, and one whose loops are shared.
const Shape kSmall = {2, 1, 6, 8}, kShared = {4, 1, 40, 60};

/// A net, its optimiser and its data, and a step that can be undone.
class Training {
 public:
  Training(int finished_steps, const Shape& images) : initial_(net_.state_dict()) {
    images_ = Variable(randn(images));
    sequences_ = Variable(randn({images[0], 3, 8}));
    labels_.assign(static_cast<std::size_t>(images[0]), 1);
    reset(finished_steps);
  }

  void reset(int finished_steps) {
    net_.load_state_dict(initial_);
    net_.zero_grad();
    optimizer_ = std::make_unique<Adam>(net_.named_parameters(), Adam::Options{.lr = 1e-2});
    for (int i = 0; i < finished_steps; ++i) step();
  }

  void step() {
    optimizer_->zero_grad();
    backward(net_.loss(images_, sequences_, labels_));
    clip_grad_norm(optimizer_->parameters(), 0.1);
    optimizer_->step();
  }

  /// All that a step changes for good.
  std::vector<real> state() const {
    std::vector<real> all;
    const auto add = [&all](const StateDict& tensors) {
      for (const auto& [name, tensor] : tensors) {
        for (const real value : tensor.to_vector()) all.push_back(value);
      }
    };
    const OptimizerState moments = optimizer_->state_dict();
    add(net_.state_dict());
    add(moments.tensors);
    for (const auto& [name, steps] : moments.steps) all.push_back(static_cast<real>(steps));
    return all;
  }

 private:
  Net net_;
  StateDict initial_;
  Variable images_, sequences_;
  Indices labels_;
  std::unique_ptr<Adam> optimizer_;
};

[[noreturn]] void fail(const std::string& work, std::int64_t n, const std::string& what) {
  std::printf("%s: request %lld refused: %s\n", work.c_str(), static_cast<long long>(n),
              what.c_str());
  std::exit(1);
}

/// Gives the blocks that are kept for later back to the system, so that the next run asks anew.
void forget_blocks() {
  void* block = nullptr;
  try {
    cpu::allocate(&block, std::size_t{1} << 60);
  } catch (const std::bad_alloc&) {
  }
}

/// Runs `work` with the n-th request refused. True: it arrived as std::bad_alloc.
bool was_refused(const std::string& name, std::int64_t n, const std::function<void()>& work) {
  forget_blocks();
  requests = 0;
  refused_at = n;
  bool refused = false;
  std::string other;
  try {
    work();
  } catch (const std::bad_alloc&) {
    refused = true;
  } catch (const std::exception& error) {
    refused_at = 0;
    other = error.what();
  }
  refused_at = 0;
  if (!other.empty()) fail(name, n, "not std::bad_alloc but: " + other);
  return refused;
}

/// Refuses every request of `work` in turn; `check(n, refused)` looks at what is left.
void refuse_each(const std::string& name, const std::function<void()>& work,
                 const std::function<void(std::int64_t, bool)>& check,
                 const std::vector<bool>& modes = {false, true}) {
  for (const bool all : modes) {
    refuses_all = all;
    std::int64_t n = 1, refusals = 0;
    for (;; ++n) {
      const bool refused = was_refused(name, n, work);
      const bool through = requests < n;
      refusals += refused;
      check(n, refused);
      if (through) break;
    }
    std::printf("%s, %s: %lld points, %lld gave std::bad_alloc, the others were overcome\n",
                name.c_str(), all ? "refused from there on" : "refused once",
                static_cast<long long>(n - 1), static_cast<long long>(refusals));
  }
}

void test_training(int finished_steps, int threads, const Shape& images,
                   const std::vector<bool>& modes = {false, true}) {
  cpu::set_threads(threads);
  const std::string name = "training step " + std::to_string(finished_steps + 1) + ", " +
                           std::to_string(threads) + " threads";
  Training training(finished_steps, images);
  const std::vector<real> before = training.state();
  training.step();
  const std::vector<real> after = training.state();
  training.reset(finished_steps);
  refuse_each(
      name, [&] { training.step(); },
      [&](std::int64_t n, bool refused) {
        const std::vector<real> left = training.state();
        if (left != (refused ? before : after)) fail(name, n, "a step was done in part");
        if (refused) training.step();
        if (training.state() != after) fail(name, n, "the next step had other bits");
        training.reset(finished_steps);
      },
      modes);
}

/// The working memory of kernels belongs to a thread, so each run gets a new one.
void test_working_memory() {
  cpu::set_threads(1);
  Training training(0, kSmall);
  const std::vector<real> before = training.state();
  for (std::int64_t n = 1;; ++n) {
    bool refused = false;
    std::thread([&] {
      cpu::set_threads(1);
      refused = was_refused("training on a new thread", n, [&] { training.step(); });
    }).join();
    if (refused && training.state() != before) fail("training on a new thread", n, "in part");
    training.reset(0);
    if (requests < n) break;
  }
}

void test_files() {
  const std::string path =
      (std::filesystem::temp_directory_path() / "serenade_allocation.safetensors").string();
  SafetensorsFile file;
  file.tensors["a"] = randn({20, 30});
  file.integers["b"] = {{2}, {1, 2}};
  file.metadata["about"] = "a text that is too long for a short string's own memory";
  write_safetensors(path, file);
  refuse_each(
      "writing a file", [&] { write_safetensors(path, file); },
      [&](std::int64_t n, bool) {
        if (read_safetensors(path).tensor("a").to_vector() != file.tensors["a"].to_vector()) {
          fail("writing a file", n, "the file is damaged");
        }
      });
  refuse_each(
      "reading a file", [&] { read_safetensors(path); }, [](std::int64_t, bool) {});
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace serenade

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (const int finished_steps : {0, 1}) {
    serenade::test_training(finished_steps, 1, serenade::kSmall);
  }
  serenade::test_training(0, 2, serenade::kShared, {false});
  serenade::test_working_memory();
  serenade::test_files();
  return 0;
}
