// Inner loops of the GRU's recurrence (what they compute: kernels/gru/cpu/gru_simd.h).
//
// Compiled once per instruction set (vector.h). A lane is a hidden unit, so one sequence fills
// vectors as well as sixteen do, and nothing is ever transposed.

#include "kernels/gru/cpu/gru_simd.h"

#include "kernels/simd/elements.h"
#include "kernels/simd/math.h"
#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const GruSimd gru_simd;

namespace {

void cell_after(real* y, real* gates, const real* product, const real* bias, const real* h,
                std::int64_t H) {
  for_elements(H, [=](auto at) {
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
  for_elements(H, [=](auto at) {
    const Vector r = sigmoid_of(at[gates] + at[product]);
    at.put(gates, r);
    at.put(gates + H, sigmoid_of(at[gates + H] + at[product + H]));
    at.put(gates + 3 * H, r * at[h]);
  });
}

void candidate_before(real* y, real* gates, const real* product, const real* bias, const real* h,
                      std::int64_t H) {
  for_elements(H, [=](auto at) {
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
  for_elements(H, [=](auto at) {
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
  for_elements(
      H, [=](auto at) { update_and_candidate(at, d_input, d_state, bias_sums, dy, gates, h, H); });
}

void reset_backward(real* d_input, real* d_state, real* bias_sums, const real* dm,
                    const real* gates, const real* h, std::int64_t H) {
  for_elements(H, [=](auto at) {
    const Vector r = at[gates], d = at[dm];
    const Vector da_r = d * at[h] * r * (1 - r);
    at.put(d_input, da_r);
    at.put(d_state, at[d_state] + d * r);
    add(at, bias_sums, da_r);
  });
}

}  // namespace

const GruSimd gru_simd = {cell_after,     reset_before,       candidate_before,
                          backward_after, candidate_backward, reset_backward};

}  // namespace serenade::cpu::SERENADE_ISA
