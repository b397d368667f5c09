// Inner loops of the GRU's recurrence (what they compute: kernels/gru/cpu/gru_simd.h).
//
// Compiled once per instruction set (vector.h). A lane is a hidden unit, so one sequence fills
// vectors as well as sixteen do, and nothing is ever transposed.

#include "kernels/gru/cpu/gru_simd.h"

#include "kernels/simd/math.h"
#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const GruSimd gru_simd;

namespace {

constexpr int kPanel = 2 * kLanes;  // columns of a panel, as in kernels/gemm/cpu/simd/packed.cpp
#if defined(__AVX512F__)
constexpr int kTileRows = 8;  // rows x 2 vectors of sums in 32 registers
#else
constexpr int kTileRows = 4;  // in 16
#endif

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
  constexpr int kMany = rows == 1 ? 4 : rows == 2 ? 2 : 1;
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
  for (std::int64_t row = 0; row < rows; row += kTileRows) {
    const Product product{out + row * out_stride,
                          out_stride,
                          start + row * start_stride,
                          start_stride,
                          a + row,
                          panels,
                          depth,
                          columns};
    multiply_some_rows<kTileRows>(product, rows - row < kTileRows ? rows - row : kTileRows);
  }
}

// kLanes hidden units from `first` on, or the `count` that are left.
struct WholeVector {
  std::int64_t first;
  Vector operator[](const real* p) const { return load(p + first); }
  void put(real* p, Vector v) const { store(p + first, v); }
};
struct PartVector {
  std::int64_t first, count;
  Vector operator[](const real* p) const { return load_part(p + first, count); }
  void put(real* p, Vector v) const { store_part(p + first, v, count); }
};

// Calls body for all H units. A body reads `at[p]` and writes `at.put(p, v)`.
template <class Body>
[[gnu::always_inline]] inline void for_units(std::int64_t H, const Body& body) {
  std::int64_t j = 0;
  for (; j + kLanes <= H; j += kLanes) body(WholeVector{j});
  if (j < H) body(PartVector{j, H - j});
}

void cell_after(real* y, real* gates, const real* product, const real* bias, const real* h,
                std::int64_t H) {
  for_units(H, [=](auto at) {
    const Vector r = sigmoid_of(at[gates] + at[product]);
    const Vector z = sigmoid_of(at[gates + H] + at[product + H]);
    const Vector m = at[product + 2 * H];
    const Vector n = tanh_of(at[gates + 2 * H] + at[bias] + r * m);
    at.put(gates, r);
    at.put(gates + H, z);
    at.put(gates + 2 * H, n);
    at.put(gates + 3 * H, m);
    at.put(y, (1 - z) * n + z * at[h]);
  });
}

void reset_before(real* gates, const real* product, const real* h, std::int64_t H) {
  for_units(H, [=](auto at) {
    const Vector r = sigmoid_of(at[gates] + at[product]);
    at.put(gates, r);
    at.put(gates + H, sigmoid_of(at[gates + H] + at[product + H]));
    at.put(gates + 3 * H, r * at[h]);
  });
}

void candidate_before(real* y, real* gates, const real* product, const real* bias, const real* h,
                      std::int64_t H) {
  for_units(H, [=](auto at) {
    const Vector z = at[gates + H];
    const Vector n = tanh_of(at[gates + 2 * H] + at[bias] + at[product]);
    at.put(gates + 2 * H, n);
    at.put(y, (1 - z) * n + z * at[h]);
  });
}

template <class Units>
[[gnu::always_inline]] inline void add(Units at, real* sums, Vector v) {
  at.put(sums, at[sums] + v);
}

// What both forms share: D(a_z), D(a_n) and D(h') z. Gives D(a_n).
template <class Units>
[[gnu::always_inline]] inline Vector update_and_candidate(Units at, real* d_input, real* d_state,
                                                          real* bias_sums, const real* dy,
                                                          const real* gates, const real* h,
                                                          std::int64_t H) {
  const Vector z = at[gates + H], n = at[gates + 2 * H];
  const Vector d = at[d_state] + at[dy];
  const Vector da_z = d * (at[h] - n) * z * (1 - z);
  const Vector da_n = d * (1 - z) * (1 - n * n);
  at.put(d_input + H, da_z);
  at.put(d_input + 2 * H, da_n);
  at.put(d_state, d * z);
  add(at, bias_sums + H, da_z);
  add(at, bias_sums + 2 * H, da_n);
  return da_n;
}

void backward_after(real* d_input, real* d_recurrent, real* d_state, real* bias_sums,
                    const real* dy, const real* gates, const real* h, std::int64_t H) {
  for_units(H, [=](auto at) {
    const Vector da_n = update_and_candidate(at, d_input, d_state, bias_sums, dy, gates, h, H);
    const Vector r = at[gates];
    const Vector dm = da_n * r;
    const Vector da_r = dm * at[gates + 3 * H] * (1 - r);
    at.put(d_input, da_r);
    at.put(d_recurrent, da_r);
    at.put(d_recurrent + H, at[d_input + H]);
    at.put(d_recurrent + 2 * H, dm);
    add(at, bias_sums, da_r);
    add(at, bias_sums + 3 * H, dm);
  });
}

void candidate_backward(real* d_input, real* d_state, real* bias_sums, const real* dy,
                        const real* gates, const real* h, std::int64_t H) {
  for_units(
      H, [=](auto at) { update_and_candidate(at, d_input, d_state, bias_sums, dy, gates, h, H); });
}

void reset_backward(real* d_input, real* d_state, real* bias_sums, const real* dm,
                    const real* gates, const real* h, std::int64_t H) {
  for_units(H, [=](auto at) {
    const Vector r = at[gates], d = at[dm];
    const Vector da_r = d * at[h] * r * (1 - r);
    at.put(d_input, da_r);
    at.put(d_state, at[d_state] + d * r);
    add(at, bias_sums, da_r);
  });
}

}  // namespace

const GruSimd gru_simd = {multiply,       cell_after,         reset_before,  candidate_before,
                          backward_after, candidate_backward, reset_backward};

}  // namespace serenade::cpu::SERENADE_ISA
