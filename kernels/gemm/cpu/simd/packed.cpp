// Inner loops of the packed matrix product (what they compute: kernels/gemm/cpu/packed_simd.h).
//
// Compiled once per instruction set (vector.h). A tile of C stays in registers while k is walked:
// with AVX-512 12 rows x 2 vectors, so 24 multiply-adds wait for 2 loads and 12 broadcasts, and the
// multiply-adds are the limit. Fewer registers hold 6 or 4 rows.

#include "kernels/gemm/cpu/packed_simd.h"

#include <cstdint>
#include <utility>

#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const GemmSimd gemm_simd;

namespace {

#if defined(__AVX512F__)
constexpr int kTileRows = 12;
#elif defined(__AVX2__)
constexpr int kTileRows = 6;
#else
constexpr int kTileRows = 4;
#endif
constexpr int kTileVectors = 2;  // left, right
constexpr int kTileColumns = kTileVectors * kLanes;

// x in every lane. Subtracting +0 changes no value; adding it would turn -0 into +0, so the
// compiler could not leave it out.
[[gnu::always_inline]] inline Vector broadcast(real x) { return x - Vector{}; }

// panel[l * width + i] = source[i * stride + l]; rows from `count` on are copies of the last one.
// Squares whose rows end beyond the panel's spill into the next step, so they come first.
template <int width>
void pack_transposed(real* panel, const real* source, std::int64_t stride, std::int64_t k,
                     std::int64_t count) {
  for (std::int64_t first = (width - 1) / kLanes * kLanes; first >= 0; first -= kLanes) {
    const real* row[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      row[i] = source + (first + i < count ? first + i : count - 1) * stride;
    }
    std::int64_t l = 0;
    for (; l + kLanes <= k; l += kLanes) {
      Vector square[kLanes];
      unroll<kLanes>([&](auto i) { square[i.value] = load(row[i.value] + l); });
      transpose(square);
      real* out = panel + l * width + first;
      unroll<kLanes>([&](auto i) { store(out + i.value * width, square[i.value]); });
    }
    for (; l < k; ++l) {
      for (std::int64_t i = 0; i < kLanes && first + i < width; ++i) {
        panel[l * width + first + i] = row[i][l];
      }
    }
  }
}

// panel[l * width + i] = source[l * stride + i], likewise.
template <int width>
void pack_straight(real* panel, const real* source, std::int64_t stride, std::int64_t k,
                   std::int64_t count) {
  if (count == width) {
    for (std::int64_t l = 0; l < k; ++l, panel += width, source += stride) {
      for (int i = 0; i < width; ++i) panel[i] = source[i];
    }
    return;
  }
  for (std::int64_t l = 0; l < k; ++l, panel += width, source += stride) {
    for (std::int64_t i = 0; i < width; ++i) panel[i] = source[i < count ? i : count - 1];
  }
}

// One whole tile of C. Not inlined: within its caller's loops, GCC 12 keeps `left` and `right` on
// the stack, which costs a third of the speed.
template <int rows>
[[gnu::noinline]] void multiply_tile(real* c, std::int64_t ldc, const real* a, const real* b,
                                     std::int64_t ldb, std::int64_t k, real alpha, real beta) {
  Vector sum[rows][kTileVectors];
  unroll<rows>([&](auto r) {
    __builtin_prefetch(c + r.value * ldc);
    __builtin_prefetch(c + r.value * ldc + kTileColumns - 1);
    unroll<kTileVectors>([&](auto v) { sum[r.value][v.value] = Vector{}; });
  });
  for (std::int64_t l = 0; l < k; ++l, a += rows, b += ldb) {
    asm("" : "+r"(a));  // or the compiler turns the broadcasts into shuffles of one load
    const Vector left = load(b), right = load(b + kLanes);
    unroll<rows>([&](auto r) {
      const Vector factor = broadcast(a[r.value]);
      sum[r.value][0] += factor * left;
      sum[r.value][1] += factor * right;
    });
  }
  if (beta == 0) {
    unroll<rows>([&](auto r) {
      unroll<kTileVectors>([&](auto v) {
        store(c + r.value * ldc + v.value * kLanes, sum[r.value][v.value] * alpha);
      });
    });
    return;
  }
  unroll<rows>([&](auto r) {
    unroll<kTileVectors>([&](auto v) {
      real* out = c + r.value * ldc + v.value * kLanes;
      store(out, sum[r.value][v.value] * alpha + beta * load(out));
    });
  });
}

// A tile that C has only some columns of.
template <int rows>
[[gnu::noinline]] void multiply_part(real* c, std::int64_t ldc, const real* a, const real* b,
                                     std::int64_t ldb, std::int64_t k, std::int64_t columns,
                                     real alpha, real beta) {
  real tile[rows * kTileColumns];
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < kTileColumns; ++j) {
      tile[i * kTileColumns + j] = beta == 0 || j >= columns ? real(0) : c[i * ldc + j];
    }
  }
  multiply_tile<rows>(tile, kTileColumns, a, b, ldb, k, alpha, beta);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) c[i * ldc + j] = tile[i * kTileColumns + j];
  }
}

template <int rows>
void multiply_rows(real* c, std::int64_t ldc, const real* a, const real* b, std::int64_t ldb,
                   std::int64_t panel, std::int64_t k, std::int64_t columns, real alpha,
                   real beta) {
  for (; columns >= kTileColumns; columns -= kTileColumns) {
    multiply_tile<rows>(c, ldc, a, b, ldb, k, alpha, beta);
    c += kTileColumns;
    b += panel;
  }
  if (columns > 0) multiply_part<rows>(c, ldc, a, b, ldb, k, columns, alpha, beta);
}

typedef void (*Multiply)(real*, std::int64_t, const real*, const real*, std::int64_t, std::int64_t,
                         std::int64_t, std::int64_t, real, real);
typedef void (*Pack)(real*, const real*, std::int64_t, std::int64_t, std::int64_t);

template <class Function, std::size_t count>
struct Functions {
  Function of[count];
};

template <std::size_t... i>
constexpr auto multiply_functions(std::index_sequence<i...>) {
  return Functions<Multiply, sizeof...(i)>{{multiply_rows<int(i) + 1>...}};
}
template <std::size_t... i>
constexpr auto transposing_functions(std::index_sequence<i...>) {
  return Functions<Pack, sizeof...(i)>{{pack_transposed<int(i) + 1>...}};
}
template <std::size_t... i>
constexpr auto straight_functions(std::index_sequence<i...>) {
  return Functions<Pack, sizeof...(i)>{{pack_straight<int(i) + 1>...}};
}

// Entry r - 1 is the function for panels of r rows.
constexpr auto kMultiply = multiply_functions(std::make_index_sequence<kTileRows>{});
constexpr auto kPackTransposed = transposing_functions(std::make_index_sequence<kTileRows>{});
constexpr auto kPackStraight = straight_functions(std::make_index_sequence<kTileRows>{});

void pack_rows(real* panel, const real* a, std::int64_t lda, bool transposed, std::int64_t k,
               std::int64_t rows) {
  const auto& pack = transposed ? kPackStraight : kPackTransposed;
  pack.of[rows - 1](panel, a, lda, k, rows);
}

void pack_columns(real* panel, const real* b, std::int64_t ldb, bool transposed, std::int64_t k,
                  std::int64_t columns) {
  const auto pack = transposed ? pack_transposed<kTileColumns> : pack_straight<kTileColumns>;
  pack(panel, b, ldb, k, columns);
}

void multiply(real* c, std::int64_t ldc, const real* a, const real* b, std::int64_t ldb,
              std::int64_t panel, std::int64_t k, std::int64_t rows, std::int64_t columns,
              real alpha, real beta) {
  kMultiply.of[rows - 1](c, ldc, a, b, ldb, panel, k, columns, alpha, beta);
}

}  // namespace

const GemmSimd gemm_simd = {kTileRows, kTileColumns, pack_rows, pack_columns, multiply};

}  // namespace serenade::cpu::SERENADE_ISA
