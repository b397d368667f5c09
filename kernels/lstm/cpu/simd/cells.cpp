// Inner loops of the recurrent layers (what they compute: kernels/lstm/cpu/lstm_simd.h).
//
// Compiled once per instruction set (vector.h). A lane is a hidden unit.

#include "kernels/lstm/cpu/lstm_simd.h"
#include "kernels/simd/elements.h"
#include "kernels/simd/math.h"
#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const LstmSimd lstm_simd;

namespace {

void lstm_cell(real* y, real* h, real* c, real* saved, const real* product, std::int64_t H) {
  for_elements(H, [=](auto at) {
    const Vector i = sigmoid_of(at[saved] + at[product]);
    const Vector f = sigmoid_of(at[saved + H] + at[product + H]);
    const Vector g = tanh_of(at[saved + 2 * H] + at[product + 2 * H]);
    const Vector o = sigmoid_of(at[saved + 3 * H] + at[product + 3 * H]);
    const Vector cell = f * at[c] + i * g;
    const Vector state = o * tanh_of(cell);
    at.put(saved, i);
    at.put(saved + H, f);
    at.put(saved + 2 * H, g);
    at.put(saved + 3 * H, o);
    at.put(saved + 4 * H, cell);
    at.put(c, cell);
    at.put(h, state);
    at.put(y, state);
  });
}

// value(a): of a vector.
template <class Value>
[[gnu::always_inline]] inline void plain_cell(real* y, real* h, real* saved, const real* product,
                                              std::int64_t H, const Value& value) {
  for_elements(H, [=](auto at) {
    const Vector state = value(at[saved] + at[product]);
    at.put(saved, state);
    at.put(h, state);
    at.put(y, state);
  });
}

void tanh_cell(real* y, real* h, real* saved, const real* product, std::int64_t H) {
  plain_cell(y, h, saved, product, H, [](Vector a) { return tanh_of(a); });
}

void relu_cell(real* y, real* h, real* saved, const real* product, std::int64_t H) {
  plain_cell(y, h, saved, product, H, [](Vector a) { return a < 0 ? Vector{} : a; });
}

template <class Units>
[[gnu::always_inline]] inline void put_gradient(Units at, real* d_gates, real* d_next,
                                                real* bias_sums, Vector da) {
  at.put(d_gates, da);
  at.put(d_next, da);
  at.put(bias_sums, at[bias_sums] + da);
}

void lstm_backward(real* d_gates, real* d_next, real* dc, real* bias_sums, const real* dy,
                   const real* dh, const real* saved, const real* c, std::int64_t H) {
  for_elements(H, [=](auto at) {
    const Vector i = at[saved], f = at[saved + H], g = at[saved + 2 * H], o = at[saved + 3 * H];
    const Vector t = tanh_of(at[saved + 4 * H]);
    const Vector d = at[dy] + at[dh];
    const Vector d_cell = at[dc] + d * o * (1 - t * t);
    put_gradient(at, d_gates, d_next, bias_sums, d_cell * g * i * (1 - i));
    put_gradient(at, d_gates + H, d_next + H, bias_sums + H, d_cell * at[c] * f * (1 - f));
    put_gradient(at, d_gates + 2 * H, d_next + 2 * H, bias_sums + 2 * H, d_cell * i * (1 - g * g));
    put_gradient(at, d_gates + 3 * H, d_next + 3 * H, bias_sums + 3 * H, d * t * o * (1 - o));
    at.put(dc, d_cell * f);
  });
}

void tanh_backward(real* d_gates, real* d_next, real* bias_sums, const real* dy, const real* dh,
                   const real* saved, std::int64_t H) {
  for_elements(H, [=](auto at) {
    const Vector h = at[saved];
    put_gradient(at, d_gates, d_next, bias_sums, (at[dy] + at[dh]) * (1 - h * h));
  });
}

void relu_backward(real* d_gates, real* d_next, real* bias_sums, const real* dy, const real* dh,
                   const real* saved, std::int64_t H) {
  for_elements(H, [=](auto at) {
    const Vector d = at[dy] + at[dh];
    put_gradient(at, d_gates, d_next, bias_sums, at[saved] > 0 ? d : Vector{});
  });
}

}  // namespace

const LstmSimd lstm_simd = {lstm_cell,     tanh_cell,     relu_cell,
                            lstm_backward, tanh_backward, relu_backward};

}  // namespace serenade::cpu::SERENADE_ISA
