// Memory on the host: aligned allocation, and the strided copies behind views.

#include "kernels/runtime/memory.h"

#ifdef __linux__
#include <malloc.h>
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/runtime/caching_allocator.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

namespace {

constexpr std::size_t kAlignment = 64;  // one cache line, one AVX-512 vector

// Blocks of the system's heap. Large ones lie on large pages where the system has them: their first
// touch costs one fault per 2 MB instead of 512, and their addresses fit the processor's table of
// pages.
struct HostBlocks {
  // A sanitizer must see every block come and go.
#ifdef __SANITIZE_ADDRESS__
  static constexpr bool kKeepsBlocks = false;
#else
  static constexpr bool kKeepsBlocks = true;
#endif

  static constexpr bool kTrims = true;

  // Not std::aligned_alloc, which takes multiples of the alignment only.
  void* allocate(std::size_t bytes) {
    constexpr std::size_t kLargePage = std::size_t{1} << 21;
    const bool large = bytes >= kLargePage;
    void* block = nullptr;
    if (posix_memalign(&block, large ? kLargePage : kAlignment, bytes) != 0) return nullptr;
#ifdef __linux__
    if (large) madvise(block, bytes, MADV_HUGEPAGE);  // advice: may be ignored
#endif
    return block;
  }
  void free(void* block) { std::free(block); }
  void on_allocate(void*, std::size_t) {}
  void on_deallocate(void*) {}
};

// Never destroyed: tensors in static variables may outlive every other static.
CachingAllocator<HostBlocks>& allocator() {
  static auto* cache = new CachingAllocator<HostBlocks>;
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

// The axis along which strided memory is nearest; the last one where it makes no difference.
int nearest_axis(const View& view) {
  int nearest = view.dims - 1;
  for (int axis = 0; axis < view.dims - 1; ++axis) {
    if (view.strides[axis] > 0 && view.strides[axis] < view.strides[nearest]) nearest = axis;
  }
  return nearest;
}

// The rows of a view whose nearest axis is not its last (a transposed matrix), cut into tiles of
// these two axes: the lines of memory that a tile needs on either side stay in the cache. Few of
// them along the last axis, since lines a power of two apart all have the same place there.
template <class Row>
void for_each_tile_row(const View& view, int nearest, std::int64_t rows, Row row) {
  constexpr std::int64_t kTall = 32, kWide = 8;
  const int last = view.dims - 1;
  const std::int64_t length = view.shape[last], count = view.shape[nearest];
  const std::int64_t across = (length + kWide - 1) / kWide, down = (count + kTall - 1) / kTall;
  parallel_items(rows / count * down * across, kTall * kWide, [&](std::int64_t tile) {
    const std::int64_t left = tile % across * kWide, top = tile / across % down * kTall;
    std::int64_t rest = tile / across / down, dense = left, offset = left * view.strides[last];
    std::int64_t dense_stride = length, dense_stride_nearest = 0;
    for (int axis = last - 1; axis >= 0; --axis) {
      if (axis == nearest) {
        dense_stride_nearest = dense_stride;
      } else {
        dense += rest % view.shape[axis] * dense_stride;
        offset += rest % view.shape[axis] * view.strides[axis];
        rest /= view.shape[axis];
      }
      dense_stride *= view.shape[axis];
    }
    for (std::int64_t i = top; i < std::min(count, top + kTall); ++i) {
      row(dense + i * dense_stride_nearest, offset + i * view.strides[nearest],
          std::min(kWide, length - left), view.strides[last]);
    }
  });
}

// Calls row(contiguous offset, strided offset, length, stride) for runs along the last axis that
// cover the view.
template <class Row>
void for_each_row(const std::int64_t* shape, const std::int64_t* strides, int dims, Row row) {
  for (int axis = 0; axis < dims; ++axis) {
    if (shape[axis] == 0) return;
  }
  const View view = simplify(shape, strides, dims);
  const int last = view.dims - 1;
  std::int64_t rows = 1;
  for (int axis = 0; axis < last; ++axis) rows *= view.shape[axis];
  if (const int nearest = nearest_axis(view); nearest != last) {
    return for_each_tile_row(view, nearest, rows, row);
  }
  const std::int64_t length = view.shape[last];
  parallel_items(rows, length, [&](std::int64_t r) {
    std::int64_t rest = r, offset = 0;
    for (int axis = last - 1; axis >= 0; --axis) {
      offset += rest % view.shape[axis] * view.strides[axis];
      rest /= view.shape[axis];
    }
    row(r * length, offset, length, view.strides[last]);
  });
}

}  // namespace

void allocate(void** pointer, std::size_t bytes) { *pointer = allocator().allocate(bytes); }

void allocate_zeroed(void** pointer, std::size_t bytes) {
  allocate(pointer, bytes);
  char* const block = static_cast<char*>(*pointer);
  parallel_blocks(static_cast<std::int64_t>(bytes / sizeof(real)),
                  [=](std::int64_t begin, std::int64_t end) {
                    std::memset(block + begin * static_cast<std::int64_t>(sizeof(real)), 0,
                                static_cast<std::size_t>(end - begin) * sizeof(real));
                  });
  const std::size_t rest = bytes % sizeof(real);
  if (rest > 0) std::memset(block + bytes - rest, 0, rest);
}

void release(void* pointer) { allocator().deallocate(pointer); }

AllocationCounts allocation_counts() { return allocator().counts(); }

void reset_allocation_peak() { allocator().reset_peak(); }

void copy_from_host(void* destination, const void* source, std::size_t bytes) {
  if (bytes > 0) std::memcpy(destination, source, bytes);
}

void copy_to_host(void* destination, const void* source, std::size_t bytes) {
  if (bytes > 0) std::memcpy(destination, source, bytes);
}

void fill(real* destination, real value, std::int64_t count) {
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
    std::fill(destination + begin, destination + end, value);
  });
}

void accumulate(real* destination, const real* source, std::int64_t count) {
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) destination[i] += source[i];
  });
}

void copy(real* destination, const real* source, std::int64_t count) {
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
    std::memcpy(destination + begin, source + begin,
                static_cast<std::size_t>(end - begin) * sizeof(real));
  });
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

namespace serenade {

void return_freed_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace serenade
