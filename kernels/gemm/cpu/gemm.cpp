// Matrix products: large ones by our own packed kernel (kernels/gemm/cpu/packed.cpp), which shares
// the packed operands between threads; small and thin ones by OpenBLAS, one thread per call, the
// calls shared out by us.
//
// OpenBLAS with several threads of its own picks the split by the number of threads, so the bits
// would change with it, and its threads would compete with ours. Here C is cut into
// tiles by its sizes alone; the sum over k is never split; each tile is one single-threaded call.

#include "kernels/gemm/gemm.h"

#include <cblas.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/gemm/cpu/packed.h"
#include "kernels/runtime/cpu/parallel.h"

// Ends the threads that OpenBLAS starts with the program; absent in a build of it without threads.
extern "C" int blas_thread_shutdown_() __attribute__((weak));

namespace serenade::cpu {

namespace {

// Before main(): OpenBLAS's threads spin for a while waiting for work, on the cores that ours need,
// and get none from us. (Measured: `serenade predict` with a file that is not there, 50 ms with
// them, 10 ms without.)
const bool single_threaded = [] {
  openblas_set_num_threads(1);
  if (blas_thread_shutdown_ != nullptr) blas_thread_shutdown_();
  return true;
}();

// A build of OpenBLAS without threads may also lack the locks that calls from several of our
// threads need, so there the calls are serialised.
class BlasLock {
 public:
  BlasLock() {
    if (kNeeded) mutex().lock();
  }
  ~BlasLock() {
    if (kNeeded) mutex().unlock();
  }
  BlasLock(const BlasLock&) = delete;
  BlasLock& operator=(const BlasLock&) = delete;

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  static inline const bool kNeeded = openblas_get_parallel() == OPENBLAS_SEQUENTIAL;
};

// A tile below this many multiply-adds (about 20 microseconds) is not worth a thread's start.
constexpr std::int64_t kWorthSplitting = 1 << 20;
// Beyond a few tiles the split goes on only for tiles this large: each tile packs its rows of A and
// its columns of B anew, which large tiles pay back.
constexpr std::int64_t kLargeTile = 1 << 26;
constexpr std::int64_t kMinTiles = 4;
constexpr std::int64_t kManyTiles = 64;
// From here on, packing into panels pays: multiply-adds, and rows and columns that fill the tiles.
constexpr std::int64_t kWorthPacking = 1 << 19;
constexpr std::int64_t kPackedRows = 8, kPackedColumns = 32;
// Tiles begin at multiples of the register block of OpenBLAS's inner kernels.
constexpr std::int64_t kRegisterBlock = 16;

// One product and where its operands lie; `batch` copies of it at fixed distances.
struct Product {
  bool transpose_a, transpose_b;
  std::int64_t m, n, k;
  real alpha;
  const real* a;
  std::int64_t lda, stride_a;
  const real* b;
  std::int64_t ldb, stride_b;
  real beta;
  real* c;
  std::int64_t ldc, stride_c;
};

struct Range {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};

// Part `index` of `parts` of 0 .. size-1.
Range part_of(std::int64_t size, std::int64_t parts, std::int64_t index) {
  const std::int64_t blocks = (size + kRegisterBlock - 1) / kRegisterBlock;
  return {blocks * index / parts * kRegisterBlock,
          std::min(size, blocks * (index + 1) / parts * kRegisterBlock)};
}

// How C is cut: halving the longer edge of the tile, since the cost of a cut is what both halves
// pack twice, which is the operand along the other edge.
struct Grid {
  std::int64_t rows = 1, columns = 1;

  Grid(std::int64_t m, std::int64_t n, std::int64_t k) {
    for (;;) {
      const std::int64_t tiles = rows * columns;
      const std::int64_t height = m / rows, width = n / columns;
      const std::int64_t work = height * width * k;
      if (work <= kWorthSplitting || (tiles >= kMinTiles && work <= kLargeTile)) return;
      if (tiles >= kManyTiles || std::max(height, width) < 2 * kRegisterBlock) return;
      (height >= width ? rows : columns) *= 2;
    }
  }
};

void blas_gemv(bool transpose, std::int64_t rows, std::int64_t columns, real alpha, const real* a,
               std::int64_t lda, const real* x, std::int64_t step_x, real* y, std::int64_t step_y) {
  const BlasLock lock;
  const auto op = transpose ? CblasTrans : CblasNoTrans;
  const auto i = [](std::int64_t value) { return static_cast<blasint>(value); };
#ifdef SERENADE_DOUBLE
  cblas_dgemv(CblasRowMajor, op, i(rows), i(columns), alpha, a, i(lda), x, i(step_x), 1, y,
              i(step_y));
#else
  cblas_sgemv(CblasRowMajor, op, i(rows), i(columns), alpha, a, i(lda), x, i(step_x), 1, y,
              i(step_y));
#endif
}

void blas_gemm(const Product& p, std::int64_t m, std::int64_t n, const real* a, const real* b,
               real* c) {
  const BlasLock lock;
  const auto op_a = p.transpose_a ? CblasTrans : CblasNoTrans;
  const auto op_b = p.transpose_b ? CblasTrans : CblasNoTrans;
  const auto i = [](std::int64_t value) { return static_cast<blasint>(value); };
#ifdef SERENADE_DOUBLE
  cblas_dgemm(CblasRowMajor, op_a, op_b, i(m), i(n), i(p.k), p.alpha, a, i(p.lda), b, i(p.ldb),
              p.beta, c, i(p.ldc));
#else
  cblas_sgemm(CblasRowMajor, op_a, op_b, i(m), i(n), i(p.k), p.alpha, a, i(p.lda), b, i(p.ldb),
              p.beta, c, i(p.ldc));
#endif
}

// C = beta C for m x n elements; beta = 0 clears whatever C held, NaN included.
void scale(const Product& p, std::int64_t m, std::int64_t n, real* c) {
  for (std::int64_t row = 0; row < m; ++row) {
    for (std::int64_t column = 0; column < n; ++column) {
      real& value = c[row * p.ldc + column];
      value = p.beta == 0 ? real(0) : p.beta * value;
    }
  }
}

// The given rows and columns of C of copy `copy`.
void multiply_tile(const Product& p, std::int64_t copy, Range rows, Range columns) {
  if (rows.size() <= 0 || columns.size() <= 0) return;
  const real* a = p.a + copy * p.stride_a + rows.begin * (p.transpose_a ? 1 : p.lda);
  const real* b = p.b + copy * p.stride_b + columns.begin * (p.transpose_b ? p.ldb : 1);
  real* c = p.c + copy * p.stride_c + rows.begin * p.ldc + columns.begin;
  if (p.k == 0) {
    scale(p, rows.size(), columns.size(), c);
  } else if (rows.size() == 1) {
    // One row: a matrix-vector product reads B once and packs nothing.
    if (p.beta != 1) scale(p, 1, columns.size(), c);
    blas_gemv(!p.transpose_b, p.transpose_b ? columns.size() : p.k,
              p.transpose_b ? p.k : columns.size(), p.alpha, b, p.ldb, a, p.transpose_a ? p.lda : 1,
              c, 1);
  } else if (columns.size() == 1) {
    if (p.beta != 1) scale(p, rows.size(), 1, c);
    blas_gemv(p.transpose_a, p.transpose_a ? p.k : rows.size(), p.transpose_a ? rows.size() : p.k,
              p.alpha, a, p.lda, b, p.transpose_b ? 1 : p.ldb, c, p.ldc);
  } else {
    blas_gemm(p, rows.size(), columns.size(), a, b, c);
  }
}

bool worth_packing(const Product& p) {
  return p.m >= kPackedRows && p.n >= kPackedColumns && p.m * p.n * p.k >= kWorthPacking;
}

void multiply_packed(std::int64_t batch, const Product& p) {
  std::vector<GemmProduct> products(batch);
  for (std::int64_t i = 0; i < batch; ++i) {
    products[i] = {p.transpose_a,
                   p.transpose_b,
                   p.m,
                   p.n,
                   p.k,
                   p.alpha,
                   p.a + i * p.stride_a,
                   p.lda,
                   p.b + i * p.stride_b,
                   p.ldb,
                   p.beta,
                   p.c + i * p.stride_c,
                   p.ldc};
  }
  gemm_in_order(products);
}

// OpenBLAS counts in 32 bits; beyond, it would read and write elsewhere.
void check_counts(const Product& p, const Grid& grid) {
  const std::int64_t largest =
      std::max({p.m / grid.rows + kRegisterBlock, p.n / grid.columns + kRegisterBlock, p.k, p.lda,
                p.ldb, p.ldc});
  if (largest > std::numeric_limits<blasint>::max()) {
    throw std::invalid_argument("gemm: a tile's sizes must fit 32 bits; got " +
                                std::to_string(p.m) + " x " + std::to_string(p.k) + " by " +
                                std::to_string(p.k) + " x " + std::to_string(p.n));
  }
}

void multiply(std::int64_t batch, const Product& p) {
  static_cast<void>(single_threaded);
  if (batch <= 0 || p.m <= 0 || p.n <= 0) return;
  if (worth_packing(p)) return multiply_packed(batch, p);
  const Grid grid(p.m, p.n, p.k);
  check_counts(p, grid);
  const std::int64_t tiles = grid.rows * grid.columns;
  const std::int64_t count = batch * tiles;
  const auto run = [&](std::int64_t task) {
    const std::int64_t tile = task % tiles;
    multiply_tile(p, task / tiles, part_of(p.m, grid.rows, tile / grid.columns),
                  part_of(p.n, grid.columns, tile % grid.columns));
  };
  const bool worth_threads = count > 1 && batch * p.m * p.n * p.k > kWorthSplitting;
  parallel_if(worth_threads, count, run);
}

}  // namespace

const char* openblas_core() { return openblas_get_corename(); }

void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          real alpha, const real* a, std::int64_t lda, const real* b, std::int64_t ldb, real beta,
          real* c, std::int64_t ldc) {
  multiply(1, {transpose_a, transpose_b, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0});
}

void gemm_batched(std::int64_t batch, bool transpose_a, bool transpose_b, std::int64_t m,
                  std::int64_t n, std::int64_t k, real alpha, const real* a, std::int64_t stride_a,
                  const real* b, std::int64_t stride_b, real beta, real* c, std::int64_t stride_c) {
  multiply(batch, {transpose_a, transpose_b, m, n, k, alpha, a, transpose_a ? m : k, stride_a, b,
                   transpose_b ? k : n, stride_b, beta, c, n, stride_c});
}

}  // namespace serenade::cpu
