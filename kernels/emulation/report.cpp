#include "kernels/emulation/report.h"

#include "kernels/emulation/block.h"
#include "kernels/emulation/dimensions.h"
#include "kernels/emulation/memory.h"

namespace serenade::emulation {
namespace {

std::string triple(unsigned x, unsigned y, unsigned z) {
  return "(" + std::to_string(x) + ", " + std::to_string(y) + ", " + std::to_string(z) + ")";
}

}  // namespace

const char* to_string(Fault fault) {
  switch (fault) {
    case Fault::divergence:
      return "divergence";
    case Fault::deadlock:
      return "deadlock";
    case Fault::race:
      return "race";
    case Fault::missing_wait:
      return "missing wait";
    case Fault::unwritten:
      return "unwritten memory";
    case Fault::out_of_range:
      return "out of range";
    case Fault::misaligned:
      return "misaligned access";
    case Fault::shared_memory:
      return "too much shared memory";
    case Fault::launch:
      return "impossible launch";
    case Fault::warp:
      return "warp operation";
  }
  return "";
}

KernelError::KernelError(Fault fault, std::string kernel, const SourceLocation& where,
                         const std::string& what)
    : std::runtime_error(file_and_line(where) + ": " + kernel + ": " + to_string(fault) + ": " +
                         what),
      fault_(fault),
      kernel_(std::move(kernel)),
      where_(where) {}

void fail(Fault fault, const SourceLocation& where, const std::string& what) {
  std::string who;
  if (block_is_running()) {
    using cuda::blockIdx;
    who = thread_name(now.thread) + " of block " + triple(blockIdx.x, blockIdx.y, blockIdx.z) + " ";
  }
  throw KernelError(fault, kernel_name(), where, who + what);
}

std::string file_and_line(const SourceLocation& where) {
  return std::string(where.file_name()) + ":" + std::to_string(where.line());
}

std::string thread_name(unsigned thread) {
  const unsigned x = cuda::blockDim.x, y = cuda::blockDim.y;
  return "thread " + triple(thread % x, thread / x % y, thread / (x * y));
}

}  // namespace serenade::emulation
