// Memory on the host: aligned allocation, and the strided copies behind views.

#include "kernels/memory.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

namespace serenade::cpu {

namespace {

constexpr std::size_t kAlignment = 64;           // one cache line, one AVX-512 vector
constexpr std::int64_t kParallelFrom = 1 << 16;  // below, a thread team costs more than it saves

// A sanitizer must see every block come and go.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kKeepsBlocks = false;
#else
constexpr bool kKeepsBlocks = true;
#endif

// Freed blocks are kept for the next request of their size. A training step asks for the same sizes
// again and again; large blocks would otherwise go back to the system each time, which zeroes their
// pages anew. Measured on two epochs of the mel front end: 2.7 s instead of 3.6 s.
//
// Every block is preceded by one cache line that holds its size class, so that release() needs no
// size. Classes are eight per power of two: at most an eighth of a block is unused.
class BlockCache {
 public:
  void* take(std::size_t bytes) {
    const std::size_t size = size_class(bytes);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      std::vector<void*>& blocks = free_[size];
      if (!blocks.empty()) {
        void* block = blocks.back();
        blocks.pop_back();
        return block;
      }
    }
    void* start = std::aligned_alloc(kAlignment, kAlignment + size);
    if (start == nullptr) {
      clear();  // perhaps a block of another size is what is missing
      start = std::aligned_alloc(kAlignment, kAlignment + size);
    }
    if (start == nullptr) throw std::bad_alloc();
    *static_cast<std::size_t*>(start) = size;
    return static_cast<char*>(start) + kAlignment;
  }

  void give_back(void* block) {
    if (block == nullptr) return;
    if (!kKeepsBlocks) return std::free(start_of(block));
    const std::lock_guard<std::mutex> lock(mutex_);
    free_[*reinterpret_cast<std::size_t*>(start_of(block))].push_back(block);
  }

  void clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto& [size, blocks] : free_) {
      for (void* block : blocks) std::free(start_of(block));
      blocks.clear();
    }
  }

 private:
  static char* start_of(void* block) { return static_cast<char*>(block) - kAlignment; }

  static std::size_t size_class(std::size_t bytes) {
    const std::size_t step =
        std::max(kAlignment, std::bit_ceil(std::max<std::size_t>(bytes, 1)) / 16);
    return (std::max<std::size_t>(bytes, 1) + step - 1) / step * step;
  }

  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;
};

// Never destroyed: tensors in static variables may outlive every other static.
BlockCache& block_cache() {
  static auto* cache = new BlockCache;
  return *cache;
}

// A strided view cut down to the fewest axes: axes of size 1 dropped, neighbours that are
// contiguous to each other merged. The last axis is the inner loop.
struct View {
  std::int64_t shape[kMaxDims];
  std::int64_t strides[kMaxDims];
  int dims = 0;
};

View simplify(const std::int64_t* shape, const std::int64_t* strides, int dims) {
  View view;
  for (int axis = 0; axis < dims; ++axis) {
    if (shape[axis] == 1) continue;
    if (view.dims > 0 && view.strides[view.dims - 1] == strides[axis] * shape[axis]) {
      view.shape[view.dims - 1] *= shape[axis];
      view.strides[view.dims - 1] = strides[axis];
    } else {
      view.shape[view.dims] = shape[axis];
      view.strides[view.dims] = strides[axis];
      ++view.dims;
    }
  }
  if (view.dims == 0) {
    view.shape[0] = 1;
    view.strides[0] = 1;
    view.dims = 1;
  }
  return view;
}

// Calls row(contiguous offset, strided offset, length, stride) for every run along the last axis.
template <class Row>
void for_each_row(const std::int64_t* shape, const std::int64_t* strides, int dims, Row row) {
  for (int axis = 0; axis < dims; ++axis) {
    if (shape[axis] == 0) return;
  }
  const View view = simplify(shape, strides, dims);
  const int last = view.dims - 1;
  std::int64_t rows = 1;
  for (int axis = 0; axis < last; ++axis) rows *= view.shape[axis];
  const std::int64_t length = view.shape[last];
#pragma omp parallel for schedule(static) if (rows > 1 && rows * length >= kParallelFrom)
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int64_t rest = r, offset = 0;
    for (int axis = last - 1; axis >= 0; --axis) {
      offset += rest % view.shape[axis] * view.strides[axis];
      rest /= view.shape[axis];
    }
    row(r * length, offset, length, view.strides[last]);
  }
}

}  // namespace

void allocate(void** pointer, std::size_t bytes) { *pointer = block_cache().take(bytes); }

void release(void* pointer) { block_cache().give_back(pointer); }

void fill(real* destination, real value, std::int64_t count) {
  std::fill_n(destination, count, value);
}

void accumulate(real* destination, const real* source, std::int64_t count) {
#pragma omp parallel for simd schedule(static) if (count >= kParallelFrom)
  for (std::int64_t i = 0; i < count; ++i) destination[i] += source[i];
}

void copy(real* destination, const real* source, std::int64_t count) {
  std::memcpy(destination, source, static_cast<std::size_t>(count) * sizeof(real));
}

void gather_strided(real* destination, const real* source, const std::int64_t* shape,
                    const std::int64_t* strides, int dims) {
  for_each_row(
      shape, strides, dims,
      [=](std::int64_t dense, std::int64_t offset, std::int64_t length, std::int64_t stride) {
        for (std::int64_t i = 0; i < length; ++i) {
          destination[dense + i] = source[offset + i * stride];
        }
      });
}

void scatter_strided(real* destination, const real* source, const std::int64_t* shape,
                     const std::int64_t* strides, int dims) {
  for_each_row(
      shape, strides, dims,
      [=](std::int64_t dense, std::int64_t offset, std::int64_t length, std::int64_t stride) {
        for (std::int64_t i = 0; i < length; ++i) {
          destination[offset + i * stride] = source[dense + i];
        }
      });
}

void scatter_add_strided(real* destination, const real* source, const std::int64_t* shape,
                         const std::int64_t* strides, int dims) {
  for_each_row(
      shape, strides, dims,
      [=](std::int64_t dense, std::int64_t offset, std::int64_t length, std::int64_t stride) {
        for (std::int64_t i = 0; i < length; ++i) {
          destination[offset + i * stride] += source[dense + i];
        }
      });
}

}  // namespace serenade::cpu
