// The product of few rows with packed panels (what it computes: kernels/gemm/cpu/panels_simd.h).
//
// Compiled once per instruction set (kernels/simd/vector.h). Rows are read where they lie, an
// element at a time, so nothing but the matrix is packed.

#include "kernels/gemm/cpu/panels_simd.h"

#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const PanelsSimd panels_simd;

namespace {

constexpr int kPanel = 2 * kLanes;  // columns of a panel, as in kernels/gemm/cpu/simd/packed.cpp
#if defined(__AVX512F__)
constexpr int kTileRows = 8;  // rows x 2 vectors of sums in 32 registers
#else
constexpr int kTileRows = 4;  // in 16
#endif
constexpr int kMostPanels = 4;  // that a tile takes

[[gnu::always_inline]] inline Vector broadcast(real x) { return x - Vector{}; }

// `rows` rows and `panels` neighbouring panels. Few rows take several panels, so that there are
// enough sums to hide the latency of the multiply-adds.
template <int rows, int panels>
[[gnu::noinline]] void multiply_tile(real* out, std::int64_t out_stride, const real* start,
                                     std::int64_t start_stride, const real* const* a,
                                     const real* panel, std::int64_t depth) {
  Vector left[rows][panels], right[rows][panels];
  const real* row[rows];
  unroll<rows>([&](auto r) {
    row[r.value] = a[r.value];
    unroll<panels>([&](auto p) {
      const real* from = start + r.value * start_stride + p.value * kPanel;
      left[r.value][p.value] = load(from);
      right[r.value][p.value] = load(from + kLanes);
    });
  });
  for (std::int64_t i = 0; i < depth; ++i, panel += kPanel) {
    unroll<panels>([&](auto p) {
      const real* weights = panel + p.value * depth * kPanel;
      const Vector left_weight = load(weights), right_weight = load(weights + kLanes);
      unroll<rows>([&](auto r) {
        const Vector factor = broadcast(row[r.value][i]);
        left[r.value][p.value] += factor * left_weight;
        right[r.value][p.value] += factor * right_weight;
      });
    });
  }
  unroll<rows>([&](auto r) {
    unroll<panels>([&](auto p) {
      real* to = out + r.value * out_stride + p.value * kPanel;
      store(to, left[r.value][p.value]);
      store(to + kLanes, right[r.value][p.value]);
    });
  });
}

struct Product {
  real* out;
  std::int64_t out_stride;
  const real* start;
  std::int64_t start_stride;
  const real* const* a;
  const real* panels;
  std::int64_t depth, columns;
};

// All panels from column j on, `panels` at a time; what is left goes one at a time.
template <int rows>
void multiply_rows(const Product& p) {
  constexpr int kMany = rows == 1 ? kMostPanels : rows == 2 ? 2 : 1;
  std::int64_t j = 0;
  for (; p.columns - j > (kMany - 1) * kPanel; j += kMany * kPanel) {
    multiply_tile<rows, kMany>(p.out + j, p.out_stride, p.start + j, p.start_stride, p.a,
                               p.panels + j * p.depth, p.depth);
  }
  for (; j < p.columns; j += kPanel) {
    multiply_tile<rows, 1>(p.out + j, p.out_stride, p.start + j, p.start_stride, p.a,
                           p.panels + j * p.depth, p.depth);
  }
}

template <int rows>
void multiply_some_rows(const Product& p, std::int64_t count) {
  if (count == rows) return multiply_rows<rows>(p);
  if constexpr (rows > 1) multiply_some_rows<rows - 1>(p, count);
}

void multiply(real* out, std::int64_t out_stride, const real* start, std::int64_t start_stride,
              const real* const* a, const real* panels, std::int64_t depth, std::int64_t columns,
              std::int64_t rows) {
  // Where there are several tiles of rows, all of them read the same few panels before the next.
  const std::int64_t block = rows <= kTileRows ? columns : kMostPanels * kPanel;
  for (std::int64_t j = 0; j < columns; j += block) {
    for (std::int64_t row = 0; row < rows; row += kTileRows) {
      const Product product{out + row * out_stride + j,
                            out_stride,
                            start + row * start_stride + j,
                            start_stride,
                            a + row,
                            panels + j * depth,
                            depth,
                            columns - j < block ? columns - j : block};
      multiply_some_rows<kTileRows>(product, rows - row < kTileRows ? rows - row : kTileRows);
    }
  }
}

}  // namespace

const PanelsSimd panels_simd = {multiply};

}  // namespace serenade::cpu::SERENADE_ISA
