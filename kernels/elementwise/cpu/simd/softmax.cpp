// The passes of softmax (what they compute, items of work: kernels/elementwise/cpu/softmax_simd.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/elementwise/cpu/softmax_simd.h"

#include "kernels/simd/math.h"

namespace serenade::cpu::SERENADE_ISA {

extern const SoftmaxSimd softmax_simd;

namespace {

[[gnu::always_inline]] inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }

/// The vectors of one item. `across`: they follow each other along one row, and a sum of them has
/// yet to be added up over its lanes.
template <bool across>
struct Item {
  std::int64_t offset;   // of the first element
  std::int64_t vectors;  // that hold it
  std::int64_t stride;   // from one to the next
  std::int64_t last;     // lanes in use: of the last vector, if across, else of every one

  Item(const SoftmaxAxis& s, std::int64_t index) {
    if constexpr (across) {
      offset = index * s.axis;
      vectors = (s.axis + kLanes - 1) / kLanes;
      stride = kLanes;
      last = s.axis - (vectors - 1) * kLanes;
    } else {
      const std::int64_t strips = (s.inner + kLanes - 1) / kLanes, strip = index % strips;
      offset = index / strips * s.axis * s.inner + strip * kLanes;
      vectors = s.axis;
      stride = s.inner;
      last = s.inner - strip * kLanes < kLanes ? s.inner - strip * kLanes : kLanes;
    }
  }

  // Calls f(offset of a vector, true) for whole vectors, f(offset, false) for those of `last`
  // lanes.
  template <class F>
  [[gnu::always_inline]] void for_each(const F& f) const {
    const std::int64_t whole = last == kLanes ? vectors : across ? vectors - 1 : 0;
    for (std::int64_t k = 0; k < whole; ++k) f(offset + k * stride, Constant<1>{});
    for (std::int64_t k = whole; k < vectors; ++k) f(offset + k * stride, Constant<0>{});
  }

  // Lanes that are not in use hold `other`.
  template <int whole>
  [[gnu::always_inline]] Vector get(const real* p, Constant<whole>, real other = 0) const {
    if constexpr (whole) return load(p);
    real lanes[kLanes];
    store(lanes, Vector{} + other);
    for (std::int64_t i = 0; i < last; ++i) lanes[i] = p[i];
    return load(lanes);
  }

  template <int whole>
  [[gnu::always_inline]] void put(real* p, Vector v, Constant<whole>) const {
    if constexpr (whole) {
      store(p, v);
    } else {
      store_part(p, v, last);
    }
  }
};

template <bool across>
[[gnu::always_inline]] inline Vector whole_sum(Vector v) {
  return across ? reduce_lanes(v, [](Vector a, Vector b) { return a + b; }) : v;
}

template <bool across>
[[gnu::always_inline]] inline Vector whole_largest(Vector v) {
  return across ? reduce_lanes(v, larger) : v;
}

constexpr real kLowest = -__builtin_inff();  // of no consequence for a maximum, and e^it is 0

template <bool across>
[[gnu::always_inline]] inline Vector find_largest(const Item<across>& item, const real* x) {
  Vector largest = Vector{} + kLowest;
  item.for_each([&](std::int64_t at, auto whole) {
    largest = larger(item.get(x + at, whole, kLowest), largest);
  });
  return whole_largest<across>(largest);
}

struct Sums {
  Vector largest, total;  // of e^(x - largest)
};

struct Softmax {
  template <bool across>
  static Sums run(const Item<across>& item, real* y, const real* x) {
    const Vector largest = find_largest(item, x);
    Vector total = {};
    item.for_each([&](std::int64_t at, auto whole) {
      const Vector e = exp_of(item.get(x + at, whole, kLowest) - largest);
      item.put(y + at, e, whole);
      total += e;
    });
    total = whole_sum<across>(total);
    const Vector scale = 1 / total;
    item.for_each([&](std::int64_t at, auto whole) {
      item.put(y + at, item.get(y + at, whole) * scale, whole);
    });
    return {largest, total};
  }
};

struct SoftmaxBackward {
  template <bool across>
  static void run(const Item<across>& item, real* dx, const real* dy, const real* y) {
    Vector total = {};
    item.for_each([&](std::int64_t at, auto whole) {
      total += item.get(dy + at, whole) * item.get(y + at, whole);
    });
    total = whole_sum<across>(total);
    item.for_each([&](std::int64_t at, auto whole) {
      const Vector d = item.get(y + at, whole) * (item.get(dy + at, whole) - total);
      item.put(dx + at, item.get(dx + at, whole) + d, whole);
    });
  }
};

struct LogSoftmax {
  template <bool across>
  static void run(const Item<across>& item, real* y, const real* x) {
    const Vector largest = find_largest(item, x);
    Vector total = {};
    item.for_each([&](std::int64_t at, auto whole) {
      total += exp_of(item.get(x + at, whole, kLowest) - largest);
    });
    const Vector log_total = log_of(whole_sum<across>(total));
    item.for_each([&](std::int64_t at, auto whole) {
      // Two steps: largest + log(sum) would round away the small logarithm of a large maximum.
      item.put(y + at, item.get(x + at, whole) - largest - log_total, whole);
    });
  }
};

struct LogSoftmaxBackward {
  template <bool across>
  static void run(const Item<across>& item, real* dx, const real* dy, const real* y) {
    Vector total = {};
    item.for_each([&](std::int64_t at, auto whole) { total += item.get(dy + at, whole); });
    total = whole_sum<across>(total);
    item.for_each([&](std::int64_t at, auto whole) {
      const Vector d = item.get(dy + at, whole) - exp_of(item.get(y + at, whole)) * total;
      item.put(dx + at, item.get(dx + at, whole) + d, whole);
    });
  }
};

template <class Pass, class... Pointers>
[[gnu::always_inline]] inline void run_items(const SoftmaxAxis& shape, std::int64_t first,
                                             std::int64_t last, Pointers... pointers) {
  if (shape.inner == 1) {
    for (std::int64_t i = first; i < last; ++i) Pass::run(Item<true>(shape, i), pointers...);
  } else {
    for (std::int64_t i = first; i < last; ++i) Pass::run(Item<false>(shape, i), pointers...);
  }
}

void softmax(real* y, const real* x, const SoftmaxAxis& shape, std::int64_t first,
             std::int64_t last) {
  run_items<Softmax>(shape, first, last, y, x);
}

void softmax_backward(real* dx, const real* dy, const real* y, const SoftmaxAxis& shape,
                      std::int64_t first, std::int64_t last) {
  run_items<SoftmaxBackward>(shape, first, last, dx, dy, y);
}

void log_softmax(real* y, const real* x, const SoftmaxAxis& shape, std::int64_t first,
                 std::int64_t last) {
  run_items<LogSoftmax>(shape, first, last, y, x);
}

void log_softmax_backward(real* dx, const real* dy, const real* y, const SoftmaxAxis& shape,
                          std::int64_t first, std::int64_t last) {
  run_items<LogSoftmaxBackward>(shape, first, last, dx, dy, y);
}

void softmax_of_row(real* y, real* largest, real* total, const real* x, std::int64_t columns) {
  const Sums sums = Softmax::run(Item<true>({columns, 1}, 0), y, x);
  *largest = sums.largest[0];
  *total = sums.total[0];
}

}  // namespace

const SoftmaxSimd softmax_simd = {
    kLanes, softmax, softmax_backward, log_softmax, log_softmax_backward, softmax_of_row};

}  // namespace serenade::cpu::SERENADE_ISA
