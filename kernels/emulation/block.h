#pragma once
// The machine: runs the blocks of a grid one after the other, and the threads of a block as fibers
// in a chosen order, each until it waits for others.

#include <cstdint>
#include <functional>

#include "kernels/emulation/async_copy.h"
#include "kernels/emulation/dimensions.h"
#include "kernels/emulation/shared_memory.h"
#include "kernels/emulation/source_location.h"

namespace serenade::emulation {

/// The order in which runnable threads run. Shuffled: a new order every round, drawn from the seed,
/// so that a run can be repeated.
enum class ThreadOrder { forward, reverse, shuffled };

void set_thread_order(ThreadOrder order, std::uint64_t seed = 1);

/// Calls `run` in every order (forward, reverse, two shuffles) and goes back to forward.
void in_every_order(const std::function<void()>& run);

/// Runs thread() for every thread of every block. Throws KernelError.
void run_grid(const char* kernel, const SourceLocation& where, cuda::dim3 grid, cuda::dim3 block,
              std::size_t shared_bytes, const std::function<void()>& thread);

/// Launches so far.
std::int64_t launch_count();

// For the running thread -------------------------------------------------------------------------

/// Waits until all threads of the block are here; returns how many came with a true predicate.
int meet_block(const char* operation, bool predicate, const SourceLocation& where);

/// The argument of one lane in a warp operation. The last lane of the mask to arrive calls
/// complete(), which reads and writes the data of all lanes; then they all go on.
struct WarpRequest {
  const char* operation;
  std::uint32_t mask;
  SourceLocation where;
  void* data = nullptr;
  /// requests: [32], null for lanes that do not take part; mask: those that do.
  void (*complete)(WarpRequest* const* requests, std::uint32_t mask) = nullptr;
  bool orders_memory = false;  // __syncwarp does, shuffles do not
};
void meet_warp(WarpRequest& request);

SharedMemory& shared_memory();
AsyncCopies& async_copies();

/// Called by atomics: a thread that makes millions of them without ever waiting spins for another
/// thread, which an emulated device with one processor never lets run.
void count_spin(const SourceLocation& where);

// For reports ------------------------------------------------------------------------------------

bool block_is_running();
const char* kernel_name();

}  // namespace serenade::emulation
