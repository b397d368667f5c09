// Activations and dropout on the host. Broadcasting arithmetic is in broadcast.cpp.
//
// exp, the logistic function, tanh and the logarithm are evaluated a vector at a time
// (kernels/simd/math.h): the C++ library's take 6 ns per element, these half of one. Long arrays
// then wait for memory, 8 bytes per element forward.

#include "kernels/elementwise/elementwise.h"

#include "kernels/elementwise/cpu/math_simd.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/philox.h"

namespace serenade::cpu {

namespace {

// y[i] = f(x[i]).
template <class F>
void map(real* y, const real* x, std::int64_t count, F f) {
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
  });
}

// The same for a function of whole arrays.
void map(real* y, const real* x, std::int64_t count,
         void (*function)(real*, const real*, std::int64_t)) {
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
    function(y + begin, x + begin, end - begin);
  });
}

// dx[i] += f(dy[i], saved[i]), where saved is the input or the output of the forward pass.
template <class F>
void map_backward(real* dx, const real* dy, const real* saved, std::int64_t count, Write write,
                  F f) {
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
    if (write == Write::set) {
      for (std::int64_t i = begin; i < end; ++i) dx[i] = f(dy[i], saved[i]);
    } else {
      for (std::int64_t i = begin; i < end; ++i) dx[i] += f(dy[i], saved[i]);
    }
  });
}

// Calls use(i, true where element i is kept) for all elements, one Philox block for every four.
template <class Use>
void for_each_mask(double p, const DropoutKey& key, std::int64_t count, Use use) {
  static_assert(kLoopBlock % 4 == 0, "a Philox block serves four elements of one range");
  constexpr double kUnit24 = 1.0 / (1 << 24);
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += 4) {
      std::uint32_t words[4];
      philox_block(words, key.seed, key.purpose, key.step, static_cast<std::uint64_t>(first / 4));
      const std::int64_t last = std::min(first + 4, end);
      for (std::int64_t i = first; i < last; ++i) use(i, (words[i - first] >> 8) * kUnit24 >= p);
    }
  });
}

}  // namespace

void affine_forward(real* y, const real* x, real factor, real offset, std::int64_t count) {
  map(y, x, count, [=](real v) { return v * factor + offset; });
}

void affine_backward(real* dx, const real* dy, real factor, std::int64_t count, Write write) {
  map_backward(dx, dy, dy, count, write, [=](real d, real) { return d * factor; });
}

void relu_forward(real* y, const real* x, std::int64_t count) {
  map(y, x, count, [](real v) { return v < 0 ? real(0) : v; });
}

void relu_backward(real* dx, const real* dy, const real* y, std::int64_t count, Write write) {
  map_backward(dx, dy, y, count, write, [](real d, real v) { return v > 0 ? d : real(0); });
}

void sigmoid_forward(real* y, const real* x, std::int64_t count) {
  map(y, x, count, math_simd().sigmoid);
}

void sigmoid_backward(real* dx, const real* dy, const real* y, std::int64_t count, Write write) {
  map_backward(dx, dy, y, count, write, [](real d, real v) { return d * v * (1 - v); });
}

void tanh_forward(real* y, const real* x, std::int64_t count) {
  map(y, x, count, math_simd().tanh);
}

void tanh_backward(real* dx, const real* dy, const real* y, std::int64_t count, Write write) {
  map_backward(dx, dy, y, count, write, [](real d, real v) { return d * (1 - v * v); });
}

void exp_forward(real* y, const real* x, std::int64_t count) { map(y, x, count, math_simd().exp); }

void exp_backward(real* dx, const real* dy, const real* y, std::int64_t count, Write write) {
  map_backward(dx, dy, y, count, write, [](real d, real v) { return d * v; });
}

void log_forward(real* y, const real* x, std::int64_t count) { map(y, x, count, math_simd().log); }

void log_backward(real* dx, const real* dy, const real* x, std::int64_t count, Write write) {
  map_backward(dx, dy, x, count, write, [](real d, real v) { return d / v; });
}

void dropout_forward(real* y, const real* x, double p, const DropoutKey& key, std::int64_t count) {
  const real scale = static_cast<real>(1 / (1 - p));
  for_each_mask(p, key, count,
                [=](std::int64_t i, bool kept) { y[i] = kept ? x[i] * scale : real(0); });
}

void dropout_backward(real* dx, const real* dy, double p, const DropoutKey& key, std::int64_t count,
                      Write write) {
  const real scale = static_cast<real>(1 / (1 - p));
  for_each_mask(p, key, count, [=](std::int64_t i, bool kept) {
    const real before = write == Write::set ? real(0) : dx[i];
    dx[i] = kept ? before + dy[i] * scale : before;
  });
}

}  // namespace serenade::cpu
