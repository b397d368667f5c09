// The packed matrix product (scheme: Goto & van de Geijn, Anatomy of High-Performance Matrix
// Multiplication, ACM TOMS 34, 2008):
//   1. k is cut into blocks, n too, so that a block of B (at most 590 KB) stays in the second-level
//      cache. All threads pack it together into panels.
//   2. A unit of work is a few rows of C: they are packed into a panel of the first-level cache and
//      swept over all panels of B. Units are small, so threads take the next one when they are
//      done.
// There are two buffers for B, and one loop does both: the units of a block, then the panels of the
// next, so that threads wait for each other once per block.
//
// Two neighbouring products of equal sizes, such as the two directions of a recurrent layer, are
// done as one larger product where they share an operand: one A is swept over the columns of both
// B; one B meets the rows of both A; two sums into one C are one sum over both k. That saves
// packing (5 % at 200 columns) or reading and writing C.
//
// Each element of C is one sum per block of k in ascending order, and the blocks in order, whatever
// tile, unit or thread it falls to, so the bits cannot depend on threads.

#include "kernels/gemm/cpu/packed.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "kernels/gemm/cpu/packed_simd.h"
#include "kernels/gemm/cpu/panels_simd.h"
#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(GemmSimd, gemm_simd);
CHOOSE_SIMD_TABLE(PanelsSimd, panels_simd);

namespace {

constexpr std::int64_t kDepth = 1536 / sizeof(real);  // longest block of k
constexpr std::int64_t kColumns = 384;                // most columns of a block of B
constexpr std::int64_t kUnits = 8;                    // fewer units than this: columns are cut, too
// Blocks of k begin at whole cache lines, which halves the time of packing.
constexpr std::int64_t kDepthStep = 64 / sizeof(real);
constexpr std::int64_t kWorthThreads = 1 << 20;  // multiply-adds, about 20 microseconds

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
    memory.reset(std::aligned_alloc(64, ceil_div(count * sizeof(real), 64) * 64));
    if (memory == nullptr) throw std::bad_alloc();
    capacity = count;
  }
  return static_cast<real*>(memory.get());
}

// One product, or two that share an operand.
enum class Shared { nothing, a, b, c };
struct Group {
  const GemmProduct* products;
  std::int64_t count;
  Shared shared;
};

bool alike(const GemmProduct& p, const GemmProduct& q) {
  return p.transpose_a == q.transpose_a && p.transpose_b == q.transpose_b && p.m == q.m &&
         p.n == q.n && p.k == q.k && p.alpha == q.alpha;
}

// The group that begins with the first of the products.
Group first_group(std::span<const GemmProduct> products) {
  const GemmProduct& p = products[0];
  if (products.size() > 1 && alike(p, products[1])) {
    const GemmProduct& q = products[1];
    const bool apart = p.c != q.c;
    if (apart && p.a == q.a && p.lda == q.lda && p.beta == q.beta) return {&p, 2, Shared::a};
    if (apart && p.b == q.b && p.ldb == q.ldb && p.beta == q.beta) return {&p, 2, Shared::b};
    if (!apart && p.ldc == q.ldc && q.beta == 1) return {&p, 2, Shared::c};
  }
  return {&p, 1, Shared::nothing};
}

// A block of k and a block of columns, of each product of a group.
struct Block {
  Group group;
  std::int64_t first, depth;             // of k
  std::int64_t column, columns, panels;  // of n
};

class Gemm {
 public:
  explicit Gemm(std::span<const GemmProduct> products) : products_(products) {
    std::int64_t work = 0, depth = 0, columns = 0;
    for (const GemmProduct& p : products) {
      work += p.m * p.n * p.k;
      depth = std::max(depth, std::min(2 * p.k, kDepth));
      columns = std::max(columns, std::min(2 * p.n, kColumns));
    }
    team_ = work > kWorthThreads && !in_parallel() && thread_count() > 1;
    const std::int64_t threads = team_ ? thread_count() : 1;
    columns_size_ = depth * (columns + 2 * simd_.tile_columns);
    rows_size_ = ceil_div(depth * simd_.tile_rows + simd_.tile_columns, kDepthStep) * kDepthStep;
    columns_ = working_memory(2 * columns_size_ + threads * rows_size_);
    rows_ = columns_ + 2 * columns_size_;
  }

  void run() {
    int buffer = 0;
    for (auto rest = products_; !rest.empty();) {
      const Group group = first_group(rest);
      rest = rest.subspan(group.count);
      for_each_block(group, [&](const Block& block) {
        buffer = 1 - buffer;
        multiply_and_pack(block, columns_ + buffer * columns_size_);
      });
    }
    multiply_and_pack({}, nullptr);
  }

 private:
  // Calls run(block) for the blocks of a group, in the order in which C sums them.
  template <class Run>
  void for_each_block(const Group& group, const Run& run) const {
    const GemmProduct& p = *group.products;
    const std::int64_t width = simd_.tile_columns, panels = ceil_div(p.n, width);
    const std::int64_t column_blocks =
        ceil_div(p.n, group.shared == Shared::a ? kColumns / 2 : kColumns);
    const std::int64_t depth_blocks =
        ceil_div(p.k, group.shared == Shared::c ? kDepth / 2 : kDepth);
    const std::int64_t lines = ceil_div(p.k, kDepthStep);
    for (std::int64_t j = 0; j < column_blocks; ++j) {
      const std::int64_t panel = panels * j / column_blocks;
      const std::int64_t next_panel = panels * (j + 1) / column_blocks;
      const std::int64_t column = panel * width, end = std::min(p.n, next_panel * width);
      for (std::int64_t l = 0; l < depth_blocks; ++l) {
        const std::int64_t first = lines * l / depth_blocks * kDepthStep;
        const std::int64_t next = std::min(p.k, lines * (l + 1) / depth_blocks * kDepthStep);
        run({group, first, next - first, column, end - column, next_panel - panel});
      }
    }
  }

  // How long a column of a packed panel is.
  static std::int64_t packed_depth(const Block& block) {
    return block.group.shared == Shared::c ? 2 * block.depth : block.depth;
  }

  // Multiplies with the block that is packed, and packs the next one; either may be missing.
  void multiply_and_pack(const Block& next, real* packed) {
    const Block block = std::exchange(block_, next);
    const real* const columns = std::exchange(packed_, packed);
    std::int64_t row_panels = 0, cuts = 0, units = 0, panels = 0;
    const std::int64_t m = block.panels > 0 ? block.group.products->m : 0;
    if (block.panels > 0) {
      const std::int64_t operands = block.group.shared == Shared::b ? 2 : 1;
      row_panels = ceil_div(m, simd_.tile_rows);
      cuts = std::min(block.panels, ceil_div(kUnits, operands * row_panels));
      units = operands * row_panels * cuts;
    }
    if (next.panels > 0)
      panels = (next.group.shared == Shared::b ? 1 : next.group.count) * next.panels;
    const auto item = [&](std::int64_t i) {
      if (i >= units) {
        i -= units;
        return pack_columns(next, packed, i / next.panels, i % next.panels);
      }
      const std::int64_t panel = i / cuts % row_panels, cut = i % cuts;
      const std::int64_t row = m * panel / row_panels;
      run_unit(block, columns, i / cuts / row_panels, row, m * (panel + 1) / row_panels - row,
               block.panels * cut / cuts, block.panels * (cut + 1) / cuts);
    };
    if (team_) return parallel_each(units + panels, item);
    for (std::int64_t i = 0; i < units + panels; ++i) item(i);
  }

  // Where the columns from a panel on, of the given product of the group, are packed.
  std::int64_t panel_offset(const Block& block, std::int64_t product, std::int64_t panel) const {
    const std::int64_t before = block.group.shared == Shared::a ? product * block.panels : 0;
    return (before + panel) * simd_.tile_columns * packed_depth(block);
  }

  void pack_columns(const Block& block, real* packed, std::int64_t product,
                    std::int64_t panel) const {
    const GemmProduct& p = block.group.products[product];
    const std::int64_t column = panel * simd_.tile_columns, j = block.column + column;
    const std::int64_t above = block.group.shared == Shared::c ? product * block.depth : 0;
    const real* b = p.transpose_b ? p.b + j * p.ldb + block.first : p.b + block.first * p.ldb + j;
    simd_.pack_columns(packed + panel_offset(block, product, panel) + above * simd_.tile_columns, b,
                       p.ldb, p.transpose_b, block.depth,
                       std::min(simd_.tile_columns, block.columns - column));
  }

  // Rows of C of one product or of all, from panel to panel of the block.
  void run_unit(const Block& block, const real* packed, std::int64_t product, std::int64_t row,
                std::int64_t rows, std::int64_t panel, std::int64_t end) const {
    const Group& group = block.group;
    real* a = rows_ + (team_ ? thread_index() : 0) * rows_size_;
    pack_rows(a, group.products[product], block, row, rows);
    if (group.shared == Shared::c) {
      pack_rows(a + block.depth * rows, group.products[1], block, row, rows);
    }
    const std::int64_t column = panel * simd_.tile_columns;
    const std::int64_t columns = std::min(end * simd_.tile_columns, block.columns) - column;
    const std::int64_t last = group.shared == Shared::a ? 1 : product;
    for (std::int64_t i = product; i <= last; ++i) {
      const GemmProduct& p = group.products[i];
      simd_.multiply(p.c + row * p.ldc + block.column + column, p.ldc, a,
                     packed + panel_offset(block, i, panel), packed_depth(block), rows, columns,
                     p.alpha, block.first == 0 ? p.beta : 1);
    }
  }

  void pack_rows(real* panel, const GemmProduct& p, const Block& block, std::int64_t row,
                 std::int64_t rows) const {
    const real* a =
        p.transpose_a ? p.a + block.first * p.lda + row : p.a + row * p.lda + block.first;
    simd_.pack_rows(panel, a, p.lda, p.transpose_a, block.depth, rows);
  }

  const GemmSimd& simd_ = gemm_simd();
  std::span<const GemmProduct> products_;
  bool team_;
  std::int64_t columns_size_, rows_size_;
  real *columns_, *rows_;
  Block block_ = {};        // the one that is packed, if any
  real* packed_ = nullptr;  // its columns
};

}  // namespace

void gemm_in_order(std::span<const GemmProduct> products) { Gemm(products).run(); }

}  // namespace serenade::cpu
