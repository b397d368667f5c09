#include "kernels/emulation/block.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/emulation/fiber.h"

namespace serenade::emulation {
namespace {

using cuda::dim3;

constexpr unsigned kMaxThreads = 1024;
constexpr unsigned kSpinLimit = 1'000'000;

enum class State : std::uint8_t { ready, at_barrier, at_warp_operation, left };

struct Thread {
  explicit Thread(unsigned number) : fiber(number), number(number) {}

  Fiber fiber;
  unsigned number;
  cuda::uint3 index{};
  State state = State::left;
  const char* operation = "";  // what it waits at
  SourceLocation where;
  AsyncCopies copies;
};

bool same_location(const SourceLocation& a, const SourceLocation& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

bool same_operation(const WarpRequest& a, const WarpRequest& b) {
  return a.mask == b.mask && same_location(a.where, b.where);
}

struct Warp {
  std::uint32_t lanes = 0;    // those that exist
  std::uint32_t waiting = 0;  // those at a warp operation
  WarpRequest* requests[kWarp] = {};
  std::uint32_t clock[kWarp];         // ticks at a lane's __syncwarp
  std::uint32_t known[kWarp][kWarp];  // [i][j]: accesses of lane j up to this tick lie before i

  void begin(std::uint32_t existing) {
    lanes = existing;
    waiting = 0;
    std::fill_n(clock, kWarp, 1u);
    std::memset(known, 0, sizeof known);
  }

  // Whether all lanes of the mask wait at this very operation.
  bool all_at(const WarpRequest& request, std::uint32_t mask) const {
    if ((waiting & mask) != mask) return false;
    for (std::uint32_t rest = mask; rest != 0; rest &= rest - 1) {
      if (!same_operation(request, *requests[std::countr_zero(rest)])) return false;
    }
    return true;
  }

  // __syncwarp: what any of these lanes did or knew of now lies before what all of them do next.
  void join(std::uint32_t mask) {
    std::uint32_t joined[kWarp] = {};
    for (unsigned i = 0; i < kWarp; ++i) {
      if (!(mask >> i & 1)) continue;
      known[i][i] = clock[i]++;
      for (unsigned j = 0; j < kWarp; ++j) joined[j] = std::max(joined[j], known[i][j]);
    }
    for (unsigned i = 0; i < kWarp; ++i) {
      if (mask >> i & 1) std::memcpy(known[i], joined, sizeof joined);
    }
  }
};

std::string waiting_location(const Thread& thread) {
  return std::string(thread.operation) + " (" + file_and_line(thread.where) + ")";
}

std::string waits_at(const Thread& thread) { return "waits at " + waiting_location(thread); }

class Machine {
 public:
  static Machine& instance() {
    static Machine machine;
    return machine;
  }

  void run_grid(const char* kernel, const SourceLocation& where, dim3 grid, dim3 block,
                std::size_t shared_bytes, const std::function<void()>& body);
  int meet_block(const char* operation, bool predicate, const SourceLocation& where);
  void meet_warp(WarpRequest& request);

  Thread& current() { return *current_; }

  ThreadOrder order = ThreadOrder::forward;
  std::uint64_t seed = 1;
  std::int64_t launches = 0;
  const char* kernel = "";
  bool block_is_running = false;
  unsigned spins = 0;
  SharedMemory shared;

 private:
  static void run_thread(void* machine);
  void check_launch(dim3 grid, dim3 block, const SourceLocation& where) const;
  void begin_block(dim3 block);
  void run_block();
  void arrange_turn();
  void resume(Thread& thread);
  void report_divergence(const Thread& thread);
  [[noreturn]] void report_standstill();
  [[noreturn]] void report(Fault fault, const Thread& thread, const std::string& what);
  std::uint64_t random();

  std::vector<std::unique_ptr<Thread>> threads_;  // the first count_ are in use
  std::vector<Warp> warps_;
  std::vector<unsigned> turn_;
  const std::function<void()>* body_ = nullptr;
  Thread* current_ = nullptr;
  Thread* first_at_barrier_ = nullptr;
  unsigned count_ = 0, alive_ = 0, at_barrier_ = 0;
  int predicates_ = 0, result_ = 0;
  std::uint64_t random_state_ = 0;
  std::exception_ptr error_;
};

// Grid and block ---------------------------------------------------------------------------------

void Machine::check_launch(dim3 grid, dim3 block, const SourceLocation& where) const {
  const auto refuse = [&](const char* what, dim3 size, const char* limit) {
    fail(Fault::launch, where,
         std::string("a ") + what + " of " + std::to_string(size.x) + " x " +
             std::to_string(size.y) + " x " + std::to_string(size.z) + "; " + limit);
  };
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (threads < 1 || threads > kMaxThreads || block.z > 64) {
    refuse("block", block, "it can have 1 to 1024 threads, at most 64 along z");
  }
  if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.x > 0x7FFFFFFF || grid.y > 65535 ||
      grid.z > 65535) {
    refuse("grid", grid, "it can have 1 to 2^31-1 blocks along x, 1 to 65535 along y and z");
  }
}

void Machine::run_grid(const char* name, const SourceLocation& where, dim3 grid, dim3 block,
                       std::size_t shared_bytes, const std::function<void()>& body) {
  kernel = name;
  if (block_is_running) fail(Fault::launch, where, "a launch from within a kernel");
  check_launch(grid, block, where);
  shared.begin_launch(shared_bytes, where);
  struct Running {  // also ends when a report is thrown
    bool& flag;
    explicit Running(bool& f) : flag(f) { flag = true; }
    ~Running() { flag = false; }
  };
  body_ = &body;
  now.launch_epoch = now.epoch + 1;
  cuda::gridDim = grid;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        cuda::blockIdx = {x, y, z};
        begin_block(block);
        {
          const Running running(block_is_running);
          run_block();
        }
        check_guards(where);
      }
    }
  }
}

void Machine::begin_block(dim3 block) {
  count_ = alive_ = block.x * block.y * block.z;
  cuda::blockDim = block;
  while (threads_.size() < count_) {
    threads_.push_back(std::make_unique<Thread>(static_cast<unsigned>(threads_.size())));
  }
  for (unsigned t = 0; t < count_; ++t) {
    Thread& thread = *threads_[t];
    thread.index = {t % block.x, t / block.x % block.y, t / (block.x * block.y)};
    thread.state = State::ready;
    thread.copies.clear();
    thread.fiber.prepare(&Machine::run_thread, this);
  }
  warps_.resize((count_ + kWarp - 1) / kWarp);
  for (unsigned w = 0; w < warps_.size(); ++w) {
    const unsigned lanes = std::min(kWarp, count_ - w * kWarp);
    warps_[w].begin(lanes == kWarp ? ~0u : (1u << lanes) - 1);
  }
  turn_.resize(count_);
  std::iota(turn_.begin(), turn_.end(), 0u);
  if (order == ThreadOrder::reverse) std::reverse(turn_.begin(), turn_.end());
  now.block_epoch = ++now.epoch;
  random_state_ = seed * 0x9E3779B97F4A7C15u + now.block_epoch - now.launch_epoch;
  at_barrier_ = 0;
  predicates_ = 0;
  error_ = nullptr;
  shared.begin_block();
}

// splitmix64 (Steele, Lea & Flood 2014).
std::uint64_t Machine::random() {
  std::uint64_t z = random_state_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

void Machine::arrange_turn() {
  if (order != ThreadOrder::shuffled) return;
  for (std::size_t i = turn_.size(); i > 1; --i) std::swap(turn_[i - 1], turn_[random() % i]);
}

void Machine::run_block() {
  while (alive_ > 0) {
    arrange_turn();
    bool somebody_ran = false;
    for (const unsigned t : turn_) {
      Thread& thread = *threads_[t];
      if (thread.state != State::ready) continue;
      somebody_ran = true;
      resume(thread);
      if (error_) std::rethrow_exception(error_);
    }
    if (!somebody_ran) report_standstill();
  }
}

void Machine::resume(Thread& thread) {
  current_ = &thread;
  cuda::threadIdx = thread.index;
  spins = 0;
  const unsigned lane = thread.number % kWarp;
  const Warp& warp = warps_[thread.number / kWarp];
  now.thread = thread.number;
  now.clock = warp.clock[lane];
  now.known = warp.known[lane];
  thread.fiber.resume();
}

void Machine::run_thread(void* pointer) {
  Machine& machine = *static_cast<Machine*>(pointer);
  Thread& self = *machine.current_;
  try {
    (*machine.body_)();
    self.copies.finish();
  } catch (...) {
    machine.error_ = std::current_exception();
  }
  self.state = State::left;
  --machine.alive_;
  self.fiber.suspend(true);
}

// Waiting ----------------------------------------------------------------------------------------

int Machine::meet_block(const char* operation, bool predicate, const SourceLocation& where) {
  Thread& self = *current_;
  self.operation = operation;
  self.where = where;
  if (at_barrier_ == 0) {
    first_at_barrier_ = &self;
  } else if (!same_location(first_at_barrier_->where, where)) {
    fail(Fault::divergence, where,
         waits_at(self) + ", while " + thread_name(first_at_barrier_->number) + " " +
             waits_at(*first_at_barrier_));
  }
  self.state = State::at_barrier;
  predicates_ += predicate;
  if (++at_barrier_ == count_) {
    for (unsigned t = 0; t < count_; ++t) threads_[t]->state = State::ready;
    ++now.epoch;
    at_barrier_ = 0;
    result_ = predicates_;
    predicates_ = 0;
  }
  self.fiber.suspend();
  return result_;
}

void Machine::meet_warp(WarpRequest& request) {
  Thread& self = *current_;
  const unsigned lane = self.number % kWarp;
  Warp& warp = warps_[self.number / kWarp];
  self.operation = request.operation;
  self.where = request.where;
  if (!(request.mask >> lane & 1)) {
    fail(Fault::warp, request.where,
         std::string("calls ") + request.operation + " with a mask that lacks its own lane " +
             std::to_string(lane));
  }
  const std::uint32_t mask = request.mask & warp.lanes;
  self.state = State::at_warp_operation;
  warp.requests[lane] = &request;
  warp.waiting |= 1u << lane;
  if (warp.all_at(request, mask)) {
    if (request.complete != nullptr) request.complete(warp.requests, mask);
    if (request.orders_memory) warp.join(mask);
    warp.waiting &= ~mask;
    for (unsigned i = 0; i < kWarp; ++i) {
      if (mask >> i & 1) threads_[self.number - lane + i]->state = State::ready;
    }
  }
  self.fiber.suspend();
}

// Standstill -------------------------------------------------------------------------------------

void Machine::report(Fault fault, const Thread& thread, const std::string& what) {
  now.thread = thread.number;
  fail(fault, thread.where, waits_at(thread) + what);
}

// Reports if a lane that this thread waits for has left, or waits at another warp operation.
void Machine::report_divergence(const Thread& thread) {
  const Warp& warp = warps_[thread.number / kWarp];
  const WarpRequest& request = *warp.requests[thread.number % kWarp];
  for (std::uint32_t rest = request.mask & warp.lanes; rest != 0; rest &= rest - 1) {
    const unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    const Thread& other = *threads_[thread.number / kWarp * kWarp + lane];
    const std::string name = ", while " + thread_name(other.number) + " ";
    if (other.state == State::left) report(Fault::divergence, thread, name + "has left the kernel");
    if (other.state == State::at_warp_operation && !same_operation(request, *warp.requests[lane])) {
      const bool other_mask = request.mask != warp.requests[lane]->mask;
      report(Fault::divergence, thread,
             name + waits_at(other) + (other_mask ? " with another mask" : ""));
    }
  }
}

// No thread is ready and some have not left. Either those that are waited for have left, or they
// wait somewhere else.
void Machine::report_standstill() {
  std::map<std::string, unsigned> groups;
  const Thread* waiting = nullptr;
  const Thread* left = nullptr;
  for (unsigned t = 0; t < count_; ++t) {
    const Thread& thread = *threads_[t];
    if (thread.state == State::left) {
      left = &thread;
    } else {
      ++groups[waiting_location(thread)];
      if (waiting == nullptr || thread.state == State::at_barrier) waiting = &thread;
    }
  }
  for (unsigned t = 0; t < count_; ++t) {
    const Thread& thread = *threads_[t];
    if (thread.state != State::at_warp_operation) continue;
    report_divergence(thread);
  }
  if (left != nullptr && waiting->state == State::at_barrier && groups.size() == 1) {
    report(Fault::divergence, *waiting,
           ", while " + thread_name(left->number) + " has left the kernel");
  }
  std::string what;
  for (const auto& [group, number] : groups) {
    what += ", " + std::to_string(number) + " at " + group;
  }
  report(Fault::deadlock, *waiting, "; nobody can go on, threads waiting:" + what.substr(1));
}

}  // namespace

// Interface --------------------------------------------------------------------------------------

void set_thread_order(ThreadOrder order, std::uint64_t seed) {
  Machine::instance().order = order;
  Machine::instance().seed = seed;
}

void in_every_order(const std::function<void()>& run) {
  struct Forward {  // also when `run` throws
    ~Forward() { set_thread_order(ThreadOrder::forward); }
  } forward_again;
  set_thread_order(ThreadOrder::forward);
  run();
  set_thread_order(ThreadOrder::reverse);
  run();
  for (const std::uint64_t seed : {1, 2}) {
    set_thread_order(ThreadOrder::shuffled, seed);
    run();
  }
}

void run_grid(const char* kernel, const SourceLocation& where, dim3 grid, dim3 block,
              std::size_t shared_bytes, const std::function<void()>& thread) {
  ++Machine::instance().launches;
  Machine::instance().run_grid(kernel, where, grid, block, shared_bytes, thread);
}

std::int64_t launch_count() { return Machine::instance().launches; }

int meet_block(const char* operation, bool predicate, const SourceLocation& where) {
  return Machine::instance().meet_block(operation, predicate, where);
}

void meet_warp(WarpRequest& request) { Machine::instance().meet_warp(request); }

SharedMemory& shared_memory() { return Machine::instance().shared; }
AsyncCopies& async_copies() { return Machine::instance().current().copies; }

void count_spin(const SourceLocation& where) {
  if (++Machine::instance().spins < kSpinLimit) return;
  fail(Fault::deadlock, where, "makes atomic operations for ever without waiting for anybody");
}

bool block_is_running() { return Machine::instance().block_is_running; }
const char* kernel_name() { return Machine::instance().kernel; }

}  // namespace serenade::emulation
