// The packed matrix product (scheme: Goto & van de Geijn, Anatomy of High-Performance Matrix
// Multiplication, ACM TOMS 34, 2008):
//   1. k is cut into blocks, n too, so that a block of B (at most 590 KB) stays in the second-level
//      cache. All threads pack it together into panels, then one barrier.
//   2. A unit of work is a few rows of C: they are packed into a panel of the first-level cache and
//      swept over all panels of B. Units are small, so threads take the next one when they are
//      done.
// There are two buffers for B: while slow threads still multiply with one, the others pack the
// next, and that one barrier per block is enough.
//
// Each number of C is one sum per block of k in ascending order, and the blocks in order, whatever
// tile, unit or thread it falls to; so the bits cannot depend on threads.

#include "kernels/cpu/gemm.h"

#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "kernels/cpu/gemm_simd.h"
#include "kernels/cpu/isa.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(GemmSimd, gemm_simd);

namespace {

constexpr std::int64_t kDepth = 1536 / sizeof(real);  // longest block of k
constexpr std::int64_t kColumns = 384;                // most columns of a block of B
constexpr std::int64_t kUnits = 16;  // fewer rows than this many units: columns are cut, too
constexpr std::int64_t kWorthThreads = 1 << 20;  // multiply-adds, about 20 microseconds

std::int64_t parts(std::int64_t size, std::int64_t part) { return (size + part - 1) / part; }

// Memory of the calling thread, kept for its next call.
real* working_memory(std::int64_t count) {
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  static thread_local std::unique_ptr<void, Free> memory;
  static thread_local std::int64_t capacity = 0;
  if (count > capacity) {
    memory.reset();
    capacity = 0;
    memory.reset(std::aligned_alloc(64, parts(count * sizeof(real), 64) * 64));
    if (memory == nullptr) throw std::bad_alloc();
    capacity = count;
  }
  return static_cast<real*>(memory.get());
}

// A block of k and a block of columns of one product.
struct Block {
  const GemmProduct* product;
  std::int64_t first, depth;             // of k
  std::int64_t column, columns, panels;  // of n
};

class Gemm {
 public:
  explicit Gemm(std::span<const GemmProduct> products) : products_(products) {
    std::int64_t work = 0, depth = 0, columns = 0;
    for (const GemmProduct& p : products) {
      work += p.m * p.n * p.k;
      depth = std::max(depth, std::min(p.k, kDepth));
      columns = std::max(columns, std::min(p.n, kColumns));
    }
    team_ = work > kWorthThreads && !omp_in_parallel() && omp_get_max_threads() > 1;
    const std::int64_t threads = team_ ? omp_get_max_threads() : 1;
    columns_size_ = depth * parts(columns, simd_.tile_columns) * simd_.tile_columns;
    rows_size_ = depth * simd_.tile_rows + simd_.tile_columns;
    columns_ = working_memory(2 * columns_size_ + threads * rows_size_);
    rows_ = columns_ + 2 * columns_size_;
  }

  void run() {
    if (!team_) return run_blocks();
#pragma omp parallel
    run_blocks();
  }

 private:
  // Calls item(i) for i < count, the threads of the team taking turns; nobody waits at the end.
  template <class Item>
  void share(std::int64_t count, const Item& item) const {
    if (!team_) {
      for (std::int64_t i = 0; i < count; ++i) item(i);
      return;
    }
#pragma omp for schedule(dynamic) nowait
    for (std::int64_t i = 0; i < count; ++i) item(i);
  }

  void run_blocks() const {
    int turn = 0;
    for (const GemmProduct& p : products_) {
      const std::int64_t column_blocks = parts(p.n, kColumns), depth_blocks = parts(p.k, kDepth);
      const std::int64_t panels = parts(p.n, simd_.tile_columns);
      for (std::int64_t j = 0; j < column_blocks; ++j) {
        const std::int64_t panel = panels * j / column_blocks;
        const std::int64_t next_panel = panels * (j + 1) / column_blocks;
        const std::int64_t column = panel * simd_.tile_columns;
        const std::int64_t end = std::min(p.n, next_panel * simd_.tile_columns);
        for (std::int64_t l = 0; l < depth_blocks; ++l) {
          const std::int64_t first = p.k * l / depth_blocks;
          run_block({&p, first, p.k * (l + 1) / depth_blocks - first, column, end - column,
                     next_panel - panel},
                    columns_ + turn * columns_size_);
          turn = 1 - turn;
        }
      }
    }
  }

  void run_block(const Block& block, real* packed) const {
    const GemmProduct& p = *block.product;
    share(block.panels, [&](std::int64_t i) {
      const std::int64_t column = i * simd_.tile_columns, j = block.column + column;
      const real* b = p.transpose_b ? p.b + j * p.ldb + block.first : p.b + block.first * p.ldb + j;
      simd_.pack_columns(packed + column * block.depth, b, p.ldb, p.transpose_b, block.depth,
                         std::min(simd_.tile_columns, block.columns - column));
    });
    if (team_) {
#pragma omp barrier
    }
    const std::int64_t row_panels = parts(p.m, simd_.tile_rows);
    const std::int64_t cuts = std::min(block.panels, parts(kUnits, row_panels));
    share(row_panels * cuts, [&](std::int64_t i) {
      const std::int64_t panel = i / cuts, cut = i % cuts;
      const std::int64_t row = p.m * panel / row_panels;
      run_unit(block, packed, row, p.m * (panel + 1) / row_panels - row,
               block.panels * cut / cuts * simd_.tile_columns,
               block.panels * (cut + 1) / cuts * simd_.tile_columns);
    });
  }

  // Rows and columns (within the block) of C.
  void run_unit(const Block& block, const real* packed, std::int64_t row, std::int64_t rows,
                std::int64_t column, std::int64_t end) const {
    const GemmProduct& p = *block.product;
    real* panel = rows_ + (team_ ? omp_get_thread_num() : 0) * rows_size_;
    const real* a =
        p.transpose_a ? p.a + block.first * p.lda + row : p.a + row * p.lda + block.first;
    simd_.pack_rows(panel, a, p.lda, p.transpose_a, block.depth, rows);
    simd_.multiply(p.c + row * p.ldc + block.column + column, p.ldc, panel,
                   packed + column * block.depth, block.depth, rows,
                   std::min(end, block.columns) - column, p.alpha, block.first == 0 ? p.beta : 1);
  }

  const GemmSimd& simd_ = gemm_simd();
  std::span<const GemmProduct> products_;
  bool team_;
  std::int64_t columns_size_, rows_size_;
  real *columns_, *rows_;
};

}  // namespace

void gemm_in_order(std::span<const GemmProduct> products) { Gemm(products).run(); }

}  // namespace serenade::cpu
