#pragma once
// Memory under observation: every access through a checked pointer comes here and is compared with
// the accesses before it.
//
// A region is one shared array or one registered global buffer, cut into cells of (usually) one
// element. A cell remembers its last write and its last two readers. Two accesses by different
// threads, at least one of them a write and not both atomic, are a race unless something orders
// them:
//   - __syncthreads of the block. `epoch` counts these barriers, over all blocks ever run, so an
//     access with an older epoch of the same block lies before a barrier.
//   - __syncwarp, within one warp. Each lane has a clock that ticks at its __syncwarp, and knows of
//     every other lane up to which tick that lane's accesses are ordered before its own: a vector
//     clock (Fidge 1988; for race detection FastTrack, Flanagan & Freund 2009).
//   - the end of the launch. Nothing orders two blocks of one launch.
// Shuffles and votes order nothing, as in CUDA, and neither do atomics.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/emulation/report.h"
#include "kernels/emulation/source_location.h"

namespace serenade::emulation {

inline constexpr unsigned kWarp = 32;

/// The moment of the run, as far as ordering accesses needs it.
struct Moment {
  std::uint32_t epoch = 1;               // barriers passed so far, by all blocks
  std::uint32_t block_epoch = 1;         // epoch in which the running block began
  std::uint32_t launch_epoch = 1;        // epoch in which the running launch began
  std::uint32_t thread = 0;              // number of the running thread in its block
  std::uint32_t clock = 0;               // its lane's clock
  const std::uint32_t* known = nullptr;  // [32]: clocks of the warp's lanes up to which it is after
};
inline Moment now;

/// Packed, because there are three for every element of memory. The clock would have to tick a
/// million times within one block to overflow.
struct Access {
  SourceLocation where;
  std::uint32_t epoch = 0;  // 0: never
  std::uint32_t thread : 10 = 0;
  std::uint32_t clock : 20 = 0;
  std::uint32_t atomic : 1 = 0;
  std::uint32_t pending : 1 = 0;  // a cp.async copy that has not been waited for
};

enum class AccessKind { read, write, atomic };

class Region {
 public:
  enum class Space { shared, global };

  /// [begin, begin + bytes). `written` says that its contents are valid from the start; a shared
  /// region's never are, and end with the block. Cells have the largest power of two of bytes that
  /// divides element_bytes; 0 leaves that to the first access, which shows whether the region holds
  /// bytes or elements of 4 or 8 bytes.
  Region(Space space, std::string name, char* begin, std::size_t bytes, std::size_t element_bytes,
         bool written);

  Space space() const { return space_; }
  const std::string& name() const { return name_; }
  char* begin() const { return begin_; }
  std::size_t bytes() const { return bytes_; }

  /// Checks range, order and contents of an access by the running thread, and remembers it.
  void access(AccessKind kind, const void* address, std::size_t bytes, const SourceLocation& where);

  /// A cp.async copy into the range begins: NaN there, and whoever looks before finish_copy() is
  /// caught.
  void begin_copy(char* address, std::size_t bytes, const SourceLocation& where);
  void finish_copy(const char* address, std::size_t bytes, const SourceLocation& where);

  /// The host has filled the range between two launches.
  void fill_by_host(const void* address, std::size_t bytes);

  /// Throws out_of_range, with the element that was asked for.
  [[noreturn]] void fail_range(const void* address, const SourceLocation& where) const;

 private:
  struct Cell {
    Access write, reads[2];
  };
  struct Cells {  // those that an access covers
    Cell *first, *last;
    Cell* begin() const { return first; }
    Cell* end() const { return last; }
  };

  void cut(std::size_t element_bytes);
  std::uint32_t horizon() const {  // accesses of older epochs are settled
    return space_ == Space::shared ? now.block_epoch : now.launch_epoch;
  }
  bool unordered(const Access& before) const;
  bool has_value(const Cell& cell) const;
  bool is_pending(const Cell& cell) const {
    return cell.write.pending && cell.write.epoch >= horizon();
  }
  static bool from_elsewhere(const Access& reader);
  void read_cell(Cell& cell, const SourceLocation& where);
  void write_cell(Cell& cell, AccessKind kind, const SourceLocation& where);
  Cells cells_of(const void* address, std::size_t bytes, const SourceLocation& where);

  std::string element_name(std::ptrdiff_t index) const;
  std::string element_name(const Cell& cell) const;
  [[noreturn]] void fail_race(const Cell& cell, const Access& before, const char* earlier,
                              const char* later, const SourceLocation& where) const;
  [[noreturn]] void fail_contents(const Cell& cell, const SourceLocation& where) const;

  Space space_;
  std::string name_;
  char* begin_;
  std::size_t bytes_;
  bool written_;
  unsigned shift_ = 0;  // log2 of the bytes of a cell
  std::vector<Cell> cells_;
};

/// Registers global memory: pointers into it that are handed to a kernel become checked. `guard`
/// bytes before and after hold NaN (bytes 0xFF) that no kernel may change.
void watch_memory(void* memory, std::size_t bytes, std::size_t element_bytes, std::string name,
                  bool written, std::size_t guard = 0);
void forget_memory(void* memory);

/// The registered region that holds the address, or null.
Region* find_region(const void* address);

/// Throws out_of_range if a kernel has written into a guard zone.
void check_guards(const SourceLocation& where);

/// Global memory for a test: registered while it lives, aligned like cudaMalloc's, guard zones of
/// NaN round it. The host uses it like an array.
template <class T>
class Buffer {
 public:
  /// For results: NaN at first, and a kernel that reads an element before one was written is
  /// caught.
  Buffer(std::string name, std::size_t count) : Buffer(std::move(name), count, false) {}

  Buffer(std::string name, const std::vector<T>& values)
      : Buffer(std::move(name), values.size(), true) {
    for (std::size_t i = 0; i < count_; ++i) data_[i] = values[i];
  }

  ~Buffer() { forget_memory(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* data() { return data_; }
  std::size_t size() const { return count_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  std::vector<T> values() const { return {data_, data_ + count_}; }

 private:
  static constexpr std::size_t kGuard = 256;

  Buffer(std::string name, std::size_t count, bool written)
      : memory_(count * sizeof(T) + 3 * kGuard, 0xFF), count_(count) {
    const auto start = reinterpret_cast<std::uintptr_t>(memory_.data()) + kGuard;
    const std::size_t offset = kGuard + (kGuard - start % kGuard) % kGuard;
    data_ = reinterpret_cast<T*>(memory_.data() + offset);
    watch_memory(data_, count * sizeof(T), sizeof(T), std::move(name), written, kGuard);
  }

  std::vector<unsigned char> memory_;
  std::size_t count_;
  T* data_ = nullptr;
};

}  // namespace serenade::emulation
