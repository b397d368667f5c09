#include "kernels/emulation/memory.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace serenade::emulation {
namespace {

struct Watched {
  Region region;
  std::size_t guard;
};

std::map<const char*, Watched>& watched() {
  static std::map<const char*, Watched> memory;
  return memory;
}

bool all_ones(const char* memory, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    if (static_cast<unsigned char>(memory[i]) != 0xFF) return false;
  }
  return true;
}

Access access_now(const SourceLocation& where) {
  return {where, now.epoch, now.thread, now.clock, false, false};
}

}  // namespace

Region::Region(Space space, std::string name, char* begin, std::size_t bytes,
               std::size_t element_bytes, bool written)
    : space_(space), name_(std::move(name)), begin_(begin), bytes_(bytes), written_(written) {
  if (element_bytes > 0) cut(element_bytes);
}

void Region::cut(std::size_t element_bytes) {
  while (element_bytes % (std::size_t{2} << shift_) == 0) ++shift_;
  cells_.resize((bytes_ >> shift_) + 1);
}

// Order ------------------------------------------------------------------------------------------

inline bool Region::unordered(const Access& before) const {
  if (before.epoch == now.epoch) {
    if (before.thread == now.thread) return false;
    const bool same_warp = before.thread / kWarp == now.thread / kWarp;
    return !same_warp || before.clock > now.known[before.thread % kWarp];
  }
  return before.epoch < now.block_epoch && before.epoch >= horizon();
}

inline bool Region::has_value(const Cell& cell) const {
  return written_ || cell.write.epoch >= (space_ == Space::shared ? horizon() : 1);
}

// Whether it is the reader of another warp or block.
inline bool Region::from_elsewhere(const Access& reader) {
  return reader.epoch < now.block_epoch || reader.thread / kWarp != now.thread / kWarp;
}

inline void Region::read_cell(Cell& cell, const SourceLocation& where) {
  Access& last = cell.reads[0];
  Access& other = cell.reads[1];
  // Of many readers two are kept, of different warps if there are such: whoever writes next without
  // a barrier collides with at least one of them. Once two warps have read the cell since the last
  // barrier, the written value is older than that barrier, and one reader more changes nothing.
  const bool both_now = last.epoch == now.epoch && other.epoch == now.epoch;
  if (both_now && last.thread / kWarp != other.thread / kWarp) return;
  if (!has_value(cell) || is_pending(cell)) fail_contents(cell, where);
  if (unordered(cell.write)) fail_race(cell, cell.write, "wrote", "reads", where);
  const bool keep_other = !from_elsewhere(last) && from_elsewhere(other) && unordered(other);
  if (!keep_other && unordered(last)) other = last;
  last = access_now(where);
}

inline void Region::write_cell(Cell& cell, AccessKind kind, const SourceLocation& where) {
  const bool atomic = kind == AccessKind::atomic;
  const char* const doing = atomic ? "updates" : "writes";
  if (is_pending(cell) || (atomic && !has_value(cell))) fail_contents(cell, where);
  if (unordered(cell.write) && !(atomic && cell.write.atomic)) {
    fail_race(cell, cell.write, "wrote", doing, where);
  }
  for (const Access& read : cell.reads) {
    if (unordered(read)) fail_race(cell, read, "read", doing, where);
  }
  cell.write = access_now(where);
  cell.write.atomic = atomic;
}

// Accesses ---------------------------------------------------------------------------------------

inline Region::Cells Region::cells_of(const void* address, std::size_t bytes,
                                      const SourceLocation& where) {
  const auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - begin_);
  if (cells_.empty()) cut(std::min<std::size_t>(bytes, 4));
  if (offset >= bytes_ || bytes > bytes_ - offset) fail_range(address, where);
  return {&cells_[offset >> shift_], &cells_[(offset + bytes - 1) >> shift_] + 1};
}

void Region::access(AccessKind kind, const void* address, std::size_t bytes,
                    const SourceLocation& where) {
  for (Cell& cell : cells_of(address, bytes, where)) {
    if (kind == AccessKind::read) {
      read_cell(cell, where);
    } else {
      write_cell(cell, kind, where);
    }
  }
}

void Region::begin_copy(char* address, std::size_t bytes, const SourceLocation& where) {
  for (Cell& cell : cells_of(address, bytes, where)) {
    write_cell(cell, AccessKind::write, where);
    cell.write.pending = true;
  }
  std::memset(address, 0xFF, bytes);
}

void Region::finish_copy(const char* address, std::size_t bytes, const SourceLocation& where) {
  for (Cell& cell : cells_of(address, bytes, where)) {
    cell.write.pending = false;
    write_cell(cell, AccessKind::write, where);
  }
}

void Region::fill_by_host(const void* address, std::size_t bytes) {
  if (bytes == 0) return;
  if (cells_.empty()) cut(bytes_ % 4 == 0 ? 4 : 1);
  for (Cell& cell : cells_of(address, bytes, SourceLocation::current())) {
    cell = Cell{};
    cell.write.epoch = 1;  // long ago: before the first launch
  }
}

// Reports ----------------------------------------------------------------------------------------

std::string Region::element_name(std::ptrdiff_t index) const {
  const char* const kind = space_ == Space::shared ? "shared array " : "global buffer ";
  return "element " + std::to_string(index) + " of " + kind + name_;
}

std::string Region::element_name(const Cell& cell) const {
  return element_name(&cell - cells_.data());
}

void Region::fail_range(const void* address, const SourceLocation& where) const {
  const std::ptrdiff_t offset = static_cast<const char*>(address) - begin_;
  fail(Fault::out_of_range, where,
       "asks for " + element_name(offset >> shift_) + ", which has " +
           std::to_string(bytes_ >> shift_));
}

void Region::fail_race(const Cell& cell, const Access& before, const char* earlier,
                       const char* later, const SourceLocation& where) const {
  const bool same_block = before.epoch >= now.block_epoch;
  fail(Fault::race, where,
       std::string(later) + " " + element_name(cell) + ", which " +
           (same_block ? thread_name(before.thread) : "another block") + " " + earlier + " at " +
           file_and_line(before.where) + "; " +
           (same_block ? "no barrier lies between them" : "nothing orders two blocks"));
}

void Region::fail_contents(const Cell& cell, const SourceLocation& where) const {
  if (is_pending(cell)) {
    fail(Fault::missing_wait, where,
         "uses " + element_name(cell) + " before the copy begun at " +
             file_and_line(cell.write.where) + " has been waited for");
  }
  fail(Fault::unwritten, where, "reads " + element_name(cell) + ", which nobody has written yet");
}

// Global memory ----------------------------------------------------------------------------------

void watch_memory(void* memory, std::size_t bytes, std::size_t element_bytes, std::string name,
                  bool written, std::size_t guard) {
  char* const begin = static_cast<char*>(memory);
  watched().insert_or_assign(begin, Watched{Region(Region::Space::global, std::move(name), begin,
                                                   bytes, element_bytes, written),
                                            guard});
}

void forget_memory(void* memory) { watched().erase(static_cast<const char*>(memory)); }

Region* find_region(const void* address) {
  const char* const a = static_cast<const char*>(address);
  auto next = watched().upper_bound(a);
  if (next == watched().begin()) return nullptr;
  Region& region = std::prev(next)->second.region;
  return a <= region.begin() + region.bytes() ? &region : nullptr;
}

void check_guards(const SourceLocation& where) {
  for (const auto& [begin, memory] : watched()) {
    const char* const end = begin + memory.region.bytes();
    const bool intact = all_ones(begin - memory.guard, memory.guard) && all_ones(end, memory.guard);
    if (intact) continue;
    fail(Fault::out_of_range, where,
         "wrote outside global buffer " + memory.region.name() + " through an unchecked pointer");
  }
}

}  // namespace serenade::emulation
