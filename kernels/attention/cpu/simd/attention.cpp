// The passes of attention over a row of scores (what they compute: attention_simd.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/attention/cpu/attention_simd.h"

#include "kernels/simd/math.h"

namespace serenade::cpu::SERENADE_ISA {

extern const AttentionSimd attention_simd;

namespace {

constexpr real kLowest = -__builtin_inff();

// Calls f(offset, get, put) for vectors that cover 0 .. count-1: get(p) loads that of an array, and
// put(p, v) stores it. Lanes beyond the last element hold 0 and are not written.
template <class F>
[[gnu::always_inline]] inline void for_each_vector(std::int64_t count, const F& f) {
  std::int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    f(
        j, [](const real* p) { return load(p); }, [](real* p, Vector v) { store(p, v); });
  }
  const std::int64_t rest = count - j;
  if (rest == 0) return;
  f(
      j, [rest](const real* p) { return load_part(p, rest); },
      [rest](real* p, Vector v) { store_part(p, v, rest); });
}

// The larger one, or NaN where either is.
[[gnu::always_inline]] inline Vector larger(Vector a, Vector b) {
  return ((b > a) | (b != b)) ? b : a;
}

[[gnu::always_inline]] inline Vector sum_of_lanes(Vector v) {
  return reduce_lanes(v, [](Vector a, Vector b) { return a + b; });
}

// What no whole vector holds is looked at one by one: idle lanes hold 0, which may be the largest.
real largest_score(real* scores, const real* bias, std::int64_t count, real largest) {
  Vector most = Vector{} + largest;
  std::int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    Vector x = load(scores + j);
    if (bias != nullptr) {
      x += load(bias + j);
      store(scores + j, x);
    }
    most = larger(most, x);
  }
  largest = reduce_lanes(most, larger)[0];
  for (; j < count; ++j) {
    if (bias != nullptr) scores[j] += bias[j];
    if (scores[j] > largest || scores[j] != scores[j]) largest = scores[j];
  }
  return largest;
}

void clear(real* p, std::int64_t from, std::int64_t to) {
  for (std::int64_t j = from; j < to; ++j) p[j] = 0;
}

real exponentials(real* scores, const real* bias, std::int64_t count, std::int64_t all,
                  RunningSoftmax& row) {
  const real largest = largest_score(scores, bias, count, row.largest);
  clear(scores, count, all);
  if (largest == kLowest) {  // nothing seen so far
    clear(scores, 0, count);
    return 1;
  }
  Vector total = {};
  for_each_vector(count, [&](std::int64_t j, auto get, auto put) {
    const Vector e = exp_of(get(scores + j) - largest);
    put(scores + j, e);
    total += get(scores + j);  // without the idle lanes
  });
  const real earlier = exp_of(Vector{} + (row.largest - largest))[0];
  row.largest = largest;
  row.sum = row.sum * earlier + sum_of_lanes(total)[0];
  return earlier;
}

void gradients(real* p, real* ds, const real* bias, std::int64_t count, std::int64_t all,
               real log_sum, real d) {
  for_each_vector(count, [&](std::int64_t j, auto get, auto put) {
    Vector x = get(p + j) - log_sum;
    if (bias != nullptr) x += get(bias + j);
    const Vector probability = exp_of(x);
    put(p + j, probability);
    put(ds + j, probability * (get(ds + j) - d));
  });
  clear(p, count, all);
  clear(ds, count, all);
}

void scale(real* y, std::int64_t count, real factor) {
  for_each_vector(count,
                  [&](std::int64_t j, auto get, auto put) { put(y + j, get(y + j) * factor); });
}

real dot(const real* a, const real* b, std::int64_t count) {
  Vector total = {};
  for_each_vector(count, [&](std::int64_t j, auto get, auto) { total += get(a + j) * get(b + j); });
  return sum_of_lanes(total)[0];
}

}  // namespace

const AttentionSimd attention_simd = {exponentials, gradients, scale, dot};

}  // namespace serenade::cpu::SERENADE_ISA
