// The passes of normalisation (what they compute: kernels/normalisation/cpu/normalisation_simd.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/normalisation/cpu/normalisation_simd.h"
#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const NormalisationSimd normalisation_simd;

namespace {

// Two sums of `count` terms. terms(first, second, i, Vector{}) adds those of the elements i .. to
// two vectors; with a real, that of element i. Four vectors of each, so that no sum waits for the
// one before it.
template <class Terms>
[[gnu::always_inline]] inline void add_up(double* sums, std::int64_t count, const Terms& terms) {
  Vector first[4] = {}, second[4] = {};
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    unroll<4>([&](auto k) { terms(first[k.value], second[k.value], i + k.value * kLanes); });
  }
  for (; i + kLanes <= count; i += kLanes) terms(first[0], second[0], i);
  real rest_first = 0, rest_second = 0;
  for (; i < count; ++i) terms(rest_first, rest_second, i);
  const auto plus = [](Vector a, Vector b) { return a + b; };
  const Vector both_first = reduce_lanes((first[0] + first[1]) + (first[2] + first[3]), plus);
  const Vector both_second = reduce_lanes((second[0] + second[1]) + (second[2] + second[3]), plus);
  sums[0] = static_cast<double>(both_first[0]) + static_cast<double>(rest_first);
  sums[1] = static_cast<double>(both_second[0]) + static_cast<double>(rest_second);
}

// A vector or one element, as the sum it goes to has it.
[[gnu::always_inline]] inline Vector get(const real* p, const Vector&) { return load(p); }
[[gnu::always_inline]] inline real get(const real* p, const real&) { return *p; }

void moments(double* sums, const real* x, std::int64_t count) {
  const double n = static_cast<double>(count);
  const real start = x[0];
  add_up(sums, count, [=](auto& sum, auto&, std::int64_t i) { sum += get(x + i, sum) - start; });
  const real near = static_cast<real>(static_cast<double>(start) + sums[0] / n);
  add_up(sums, count, [=](auto& sum, auto& squares, std::int64_t i) {
    const auto difference = get(x + i, sum) - near;
    sum += difference;
    squares += difference * difference;
  });
  const double rest = sums[0] / n, squares = sums[1] - sums[0] * rest;
  sums[0] = static_cast<double>(near) + rest;
  sums[1] = squares < 0 ? 0 : squares;
}

void squares(double* sums, const real* x, std::int64_t count) {
  add_up(sums, count, [=](auto& sum, auto&, std::int64_t i) {
    const auto v = get(x + i, sum);
    sum += v * v;
  });
}

void scale(real* y, const real* x, std::int64_t count, real mean, real scale, real shift) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = (x[i] - mean) * scale + shift;
}

void scale_row(real* y, const real* x, const real* weight, const real* bias, std::int64_t count,
               real mean, real scale) {
  if (weight && bias) {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
  } else if (weight) {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) y[i] = (x[i] - mean) * scale * weight[i];
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) {
      y[i] = (x[i] - mean) * scale + (bias ? bias[i] : real(0));
    }
  }
}

void products(double* sums, const real* dy, const real* x, const real* weight, std::int64_t count,
              real mean) {
  if (weight) {
    add_up(sums, count, [=](auto& sum, auto& dots, std::int64_t i) {
      const auto g = get(dy + i, sum) * get(weight + i, sum);
      sum += g;
      dots += g * (get(x + i, sum) - mean);
    });
  } else {
    add_up(sums, count, [=](auto& sum, auto& dots, std::int64_t i) {
      const auto g = get(dy + i, sum);
      sum += g;
      dots += g * (get(x + i, sum) - mean);
    });
  }
}

// dx[i] += gradient(i), or =.
template <class Gradient>
[[gnu::always_inline]] inline void leave(real* dx, std::int64_t count, Write write,
                                         const Gradient& gradient) {
  if (write == Write::set) {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) dx[i] = gradient(i);
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) dx[i] += gradient(i);
  }
}

void backward(real* dx, const real* dy, const real* x, const real* weight, std::int64_t count,
              real mean, real a, real b, real c, Write write) {
  if (weight) {
    leave(dx, count, write,
          [=](std::int64_t i) { return a * dy[i] * weight[i] - b * (x[i] - mean) - c; });
  } else {
    leave(dx, count, write, [=](std::int64_t i) { return a * dy[i] - b * (x[i] - mean) - c; });
  }
}

void parameters(real* dweight, real* dbias, const real* dy, const real* x, std::int64_t count,
                real mean, real scale) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    dweight[i] += dy[i] * ((x[i] - mean) * scale);
    dbias[i] += dy[i];
  }
}

}  // namespace

const NormalisationSimd normalisation_simd = {moments,  squares,  scale,     scale_row,
                                              products, backward, parameters};

}  // namespace serenade::cpu::SERENADE_ISA
