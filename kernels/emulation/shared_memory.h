#pragma once
// The shared memory of the running block. Static arrays are laid out as the kernel declares them
// and counted against 48 KB; together with the dynamic memory that the launch asks for a block may
// have 227 KB (compute capability 9.0). Each block begins with NaN in all of it.

#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/emulation/memory.h"
#include "kernels/emulation/source_location.h"

namespace serenade::emulation {

inline constexpr std::size_t kStaticSharedLimit = 48 * 1024;
inline constexpr std::size_t kSharedLimit = 227 * 1024;

class SharedMemory {
 public:
  /// Forgets the arrays of the last kernel.
  void begin_launch(std::size_t dynamic_bytes, const SourceLocation& where);
  void begin_block();

  /// The array declared under this key: laid out by the first thread that reaches it.
  Region& array(const void* key, const char* name, std::size_t bytes, std::size_t alignment,
                std::size_t element_bytes, const SourceLocation& where);

  /// The dynamic memory, observed in words of 4 bytes; fails if the launch asked for none.
  Region& dynamic(const SourceLocation& where);

 private:
  struct Array {
    const void* key;
    Region region;
  };

  struct alignas(128) Arena {
    char bytes[kSharedLimit];
  };
  std::unique_ptr<Arena> static_arena_ = std::make_unique<Arena>();
  std::unique_ptr<Arena> dynamic_arena_ = std::make_unique<Arena>();
  std::vector<std::unique_ptr<Array>> arrays_;
  std::unique_ptr<Region> dynamic_;
  std::size_t static_bytes_ = 0;
  std::size_t dynamic_bytes_ = 0;
};

}  // namespace serenade::emulation
