// The packed matrix product (scheme: Goto & van de Geijn, Anatomy of High-Performance Matrix
// Multiplication, ACM TOMS 34, 2008):
//   1. C is cut into a tile or two per thread. Each thread packs what its tiles need: to pack an
//      operand twice costs less than to fetch panels that another core has just written.
//   2. k is cut into blocks, n and m too, so that a block of B (at most 590 KB) stays in the
//      second-level cache and one of A near it. Both are packed into panels.
//   3. Each panel of A, a few rows of C, is swept over all panels of B.
//
// Two neighbouring products of equal sizes, such as the two directions of a recurrent layer, are
// done as one larger product where they share an operand: one A is swept over the columns of both
// B; one B meets the rows of both A; two sums into one C are one sum over both k. That saves
// packing (5 % at 200 columns) or reading and writing C.
//
// Each element of C is one sum per block of k in ascending order, and the blocks in order, whatever
// tile, block or thread it falls to, so the bits cannot depend on threads.

#include "kernels/gemm/cpu/packed.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

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
constexpr std::int64_t kFewRows = 64;                 // of a tile: columns are read where they lie
constexpr std::int64_t kRows = 768;                   // most rows of a block of A
constexpr std::int64_t kLargeTile = 1024 * 1024;      // elements of C: enough for two per thread
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

struct Range {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
  // Part `index` of `parts`, cut at multiples of `step`.
  Range part(std::int64_t index, std::int64_t parts, std::int64_t step) const {
    const std::int64_t steps = ceil_div(size(), step);
    return {begin + steps * index / parts * step,
            std::min(end, begin + steps * (index + 1) / parts * step)};
  }
};

// A tile of C, of each product of a group, by one thread.
class Tile {
 public:
  Tile(const Group& group, Range rows, Range columns)
      : group_(group),
        first_(*group.products),
        rows_(rows),
        columns_(columns),
        most_rows_(group.shared == Shared::b ? kRows / 2 : kRows),
        most_columns_(group.shared == Shared::a ? kColumns / 2 : kColumns),
        most_depth_(group.shared == Shared::c ? kDepth / 2 : kDepth) {
    const std::int64_t depth =
        std::min(first_.k, most_depth_) * (group.shared == Shared::c ? 2 : 1);
    row_pitch_ = ceil_div(depth * simd_.tile_rows + simd_.tile_columns, kDepthStep) * kDepthStep;
    const std::int64_t a = row_operands() *
                           (ceil_div(std::min(rows.size(), most_rows_), simd_.tile_rows) + 1) *
                           row_pitch_;
    const std::int64_t b = column_operands() * depth *
                           (std::min(columns.size(), most_columns_) + 2 * simd_.tile_columns);
    packed_rows_ = working_memory(a + b);
    packed_columns_ = packed_rows_ + a;
  }

  void run() {
    const std::int64_t row_blocks = ceil_div(rows_.size(), most_rows_);
    const std::int64_t depth_blocks = ceil_div(first_.k, most_depth_);
    const std::int64_t column_blocks = ceil_div(columns_.size(), most_columns_);
    for (std::int64_t i = 0; i < row_blocks; ++i) {
      const Range rows = rows_.part(i, row_blocks, simd_.tile_rows);
      for (std::int64_t l = 0; l < depth_blocks; ++l) {
        const Range steps = Range{0, first_.k}.part(l, depth_blocks, kDepthStep);
        for (std::int64_t operand = 0; operand < row_operands(); ++operand) {
          pack_rows(operand, rows, steps);
        }
        for (std::int64_t j = 0; j < column_blocks; ++j) {
          const Range columns = columns_.part(j, column_blocks, simd_.tile_columns);
          for (std::int64_t operand = 0; operand < column_operands(); ++operand) {
            pack_columns(operand, columns, steps);
          }
          multiply(rows, columns, steps);
        }
      }
    }
  }

 private:
  // How many A and B there are, and how long a row or column of a packed panel is.
  std::int64_t row_operands() const { return group_.shared == Shared::b ? 2 : 1; }
  std::int64_t column_operands() const { return group_.shared == Shared::a ? 2 : 1; }
  std::int64_t packed_depth(Range steps) const {
    return group_.shared == Shared::c ? 2 * steps.size() : steps.size();
  }

  // The given operand, or both, one after the other along k, where they share C.
  template <class Pack>
  void for_each_product(std::int64_t operand, Range steps, const Pack& pack) const {
    if (group_.shared != Shared::c) return pack(group_.products[operand], 0);
    pack(group_.products[0], 0);
    pack(group_.products[1], steps.size());
  }

  // Panels of nearly equal height.
  static std::int64_t panels_of(Range rows, std::int64_t height) {
    return ceil_div(rows.size(), height);
  }
  Range panel_of(Range rows, std::int64_t panel) const {
    const std::int64_t panels = panels_of(rows, simd_.tile_rows);
    return {rows.begin + rows.size() * panel / panels,
            rows.begin + rows.size() * (panel + 1) / panels};
  }

  // Where the packed panels of an operand begin.
  real* rows_at(std::int64_t operand, Range rows, std::int64_t panel) const {
    return packed_rows_ + (operand * panels_of(rows, simd_.tile_rows) + panel) * row_pitch_;
  }
  real* columns_at(std::int64_t operand, Range columns, Range steps) const {
    const std::int64_t width = simd_.tile_columns;
    return packed_columns_ + operand * panels_of(columns, width) * width * packed_depth(steps);
  }

  void pack_rows(std::int64_t operand, Range rows, Range steps) const {
    for_each_product(operand, steps, [&](const GemmProduct& p, std::int64_t before) {
      for (std::int64_t panel = 0; panel < panels_of(rows, simd_.tile_rows); ++panel) {
        const Range part = panel_of(rows, panel);
        const real* a = p.transpose_a ? p.a + steps.begin * p.lda + part.begin
                                      : p.a + part.begin * p.lda + steps.begin;
        simd_.pack_rows(rows_at(operand, rows, panel) + before * part.size(), a, p.lda,
                        p.transpose_a, steps.size(), part.size());
      }
    });
  }

  void pack_columns(std::int64_t operand, Range columns, Range steps) const {
    const std::int64_t width = simd_.tile_columns;
    for_each_product(operand, steps, [&](const GemmProduct& p, std::int64_t before) {
      real* panel = columns_at(operand, columns, steps) + before * width;
      for (std::int64_t j = columns.begin + in_place(columns); j < columns.end; j += width) {
        const real* b =
            p.transpose_b ? p.b + j * p.ldb + steps.begin : p.b + steps.begin * p.ldb + j;
        simd_.pack_columns(panel, b, p.ldb, p.transpose_b, steps.size(),
                           std::min(width, columns.end - j));
        panel += width * packed_depth(steps);
      }
    });
  }

  // The first columns of a block that are read where they lie: for few rows, packing them would not
  // pay.
  std::int64_t in_place(Range columns) const {
    const bool pays = rows_.size() <= kFewRows && !first_.transpose_b;
    if (!pays || group_.shared != Shared::nothing) return 0;
    return columns.size() / simd_.tile_columns * simd_.tile_columns;
  }

  void multiply(Range rows, Range columns, Range steps) const {
    const std::int64_t width = simd_.tile_columns, depth = packed_depth(steps);
    const std::int64_t unpacked = in_place(columns);
    const std::int64_t panels = panels_of(rows, simd_.tile_rows);
    for (std::int64_t i = 0; i < row_operands() * panels; ++i) {
      const std::int64_t operand = i / panels;
      const Range part = panel_of(rows, i % panels);
      for (std::int64_t b = 0; b < column_operands(); ++b) {
        const GemmProduct& p = group_.products[operand + b];
        const real beta = steps.begin == 0 ? p.beta : 1;
        const real* const a = rows_at(operand, rows, i % panels);
        real* const c = p.c + part.begin * p.ldc + columns.begin;
        if (unpacked > 0) {
          simd_.multiply(c, p.ldc, a, p.b + steps.begin * p.ldb + columns.begin, p.ldb, width,
                         depth, part.size(), unpacked, p.alpha, beta);
        }
        simd_.multiply(c + unpacked, p.ldc, a, columns_at(b, columns, steps), width, width * depth,
                       depth, part.size(), columns.size() - unpacked, p.alpha, beta);
      }
    }
  }

  const GemmSimd& simd_ = gemm_simd();
  const Group& group_;
  const GemmProduct& first_;
  Range rows_, columns_;
  std::int64_t most_rows_, most_columns_, most_depth_;  // of a block
  std::int64_t row_pitch_;                              // from one panel of rows to the next
  real *packed_rows_, *packed_columns_;
};

// A tile or two per thread, of the shape that has the least to pack.
void run(const Group& group) {
  const GemmProduct& p = *group.products;
  const Range rows = {0, p.m}, columns = {0, p.n};
  if (group.count * p.m * p.n * p.k <= kWorthThreads || in_parallel() || thread_count() == 1) {
    return Tile(group, rows, columns).run();
  }
  const std::int64_t threads = thread_count();
  const std::int64_t tiles = p.m * p.n >= 2 * threads * kLargeTile ? 2 * threads : threads;
  std::int64_t row_cuts = 1;
  for (std::int64_t cuts = 2; cuts <= tiles; ++cuts) {
    const auto packed = [&](std::int64_t r) { return p.m * (tiles / r) + p.n * r; };
    if (tiles % cuts == 0 && packed(cuts) <= packed(row_cuts)) row_cuts = cuts;
  }
  const std::int64_t column_cuts = tiles / row_cuts;
  parallel_each(tiles, [&](std::int64_t i) {
    const Range own_rows = rows.part(i / column_cuts, row_cuts, gemm_simd().tile_rows);
    const Range own_columns = columns.part(i % column_cuts, column_cuts, gemm_simd().tile_columns);
    if (own_rows.size() > 0 && own_columns.size() > 0) Tile(group, own_rows, own_columns).run();
  });
}

}  // namespace

void gemm_in_order(std::span<const GemmProduct> products) {
  while (!products.empty()) {
    const Group group = first_group(products);
    run(group);
    products = products.subspan(static_cast<std::size_t>(group.count));
  }
}

}  // namespace serenade::cpu
