#include "kernels/emulation/async_copy.h"

#include <cstdint>
#include <cstring>
#include <string>

namespace serenade::emulation {

void AsyncCopies::begin(void* to, Region* to_region, const void* from, Region* from_region,
                        std::size_t bytes, bool inside, const SourceLocation& where) {
  if (to_region == nullptr || to_region->space() != Region::Space::shared) {
    fail(Fault::out_of_range, where, "copies asynchronously to memory that is not shared");
  }
  const auto addresses =
      reinterpret_cast<std::uintptr_t>(to) | (inside ? reinterpret_cast<std::uintptr_t>(from) : 0);
  if (addresses % bytes != 0) {
    fail(Fault::misaligned, where,
         "copies " + std::to_string(bytes) + " bytes from or to an address that is no multiple " +
             "of " + std::to_string(bytes));
  }
  if (inside && from_region != nullptr) {
    from_region->access(AccessKind::read, from, bytes, where);
  }
  char* const target = static_cast<char*>(to);
  to_region->begin_copy(target, bytes, where);
  copies_.push_back({target, to_region, static_cast<const char*>(from), bytes, inside, where});
}

void AsyncCopies::wait(std::size_t newest) {
  if (group_ends_.size() <= newest) return;
  const std::size_t groups = group_ends_.size() - newest;
  const std::size_t arrived = group_ends_[groups - 1];
  for (std::size_t i = 0; i < arrived; ++i) {
    const Copy& copy = copies_[i];
    copy.region->finish_copy(copy.to, copy.bytes, copy.where);
    if (copy.inside) {
      std::memcpy(copy.to, copy.from, copy.bytes);
    } else {
      std::memset(copy.to, 0, copy.bytes);
    }
  }
  copies_.erase(copies_.begin(), copies_.begin() + static_cast<std::ptrdiff_t>(arrived));
  group_ends_.erase(group_ends_.begin(), group_ends_.begin() + static_cast<std::ptrdiff_t>(groups));
  for (std::size_t& end : group_ends_) end -= arrived;
}

void AsyncCopies::finish() {
  if (copies_.empty()) return;
  fail(Fault::missing_wait, copies_.front().where,
       "leaves the kernel without waiting for the copy begun here");
}

void AsyncCopies::clear() {
  copies_.clear();
  group_ends_.clear();
}

}  // namespace serenade::emulation
