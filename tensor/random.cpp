#include "tensor/random.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "kernels/runtime/philox.h"
#include "tensor/check.h"
#include "tensor/repeated_draws.h"

namespace serenade {

namespace {

constexpr double kUnit24 = 1.0 / (1 << 24);

// One word of the stream as a number in [0, 1): 24 bits, so that float holds it exactly.
double unit(std::uint32_t word) { return (word >> 8) * kUnit24; }

// The default generator: a seed and how many streams have been handed out. Each thread has its own,
// so that networks trained side by side draw the numbers they would draw alone.
struct DefaultGenerator {
  std::uint64_t seed = 0;
  std::uint64_t draws = 0;
};

DefaultGenerator& default_generator() {
  static thread_local DefaultGenerator generator;
  return generator;
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  philox4x32_10(counter.data(), key.data());
  return counter;
}

std::array<std::uint32_t, 4> random_block(const RandomKey& key, std::uint64_t block) {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  const std::uint32_t purpose = static_cast<std::uint32_t>(key.purpose) << 24;
  return philox4x32({low(block), high(block), low(key.step), high(key.step) ^ purpose},
                    {low(key.seed), high(key.seed)});
}

double uniform(const RandomKey& key, std::uint64_t element) {
  return unit(random_block(key, element / 4)[element % 4]);
}

double normal(const RandomKey& key, std::uint64_t element) {
  const auto words = random_block(key, element);
  const double radius = std::sqrt(-2 * std::log(1 - (words[0] * 0x1p-32 + words[1] * 0x1p-64)));
  return radius * std::cos(2 * std::numbers::pi * (words[2] * 0x1p-32));
}

std::int64_t random_integer(const RandomKey& key, std::uint64_t element, std::int64_t bound) {
  check(bound > 0, "random_integer", "the bound must be positive; got ", bound);
  // 64 random bits modulo the bound would favour small numbers; draws from the incomplete last
  // multiple of the bound are rejected, and the second half of the block is tried.
  const auto n = static_cast<std::uint64_t>(bound);
  const std::uint64_t rejected_from = UINT64_MAX - UINT64_MAX % n;
  for (std::uint64_t attempt = 0;; ++attempt) {
    // Attempts beyond the first use blocks far from those of other elements.
    const auto words = random_block(key, element + (attempt << 48));
    for (const int half : {0, 2}) {
      const std::uint64_t draw =
          words[static_cast<std::size_t>(half)] |
          static_cast<std::uint64_t>(words[static_cast<std::size_t>(half) + 1]) << 32;
      if (draw < rejected_from) return static_cast<std::int64_t>(draw % n);
    }
  }
}

std::vector<std::int64_t> permutation(const RandomKey& key, std::int64_t count) {
  element_count({count}, "permutation");
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = count - 1; i > 0; --i) {
    const std::int64_t j = random_integer(key, static_cast<std::uint64_t>(i), i + 1);
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]);
  }
  return order;
}

void fill_uniform_(Tensor& tensor, real low, real high, const RandomKey& key) {
  check(tensor.is_contiguous(), "fill_uniform_", "the tensor must be contiguous");
  Tensor host = in_host_memory(tensor.device()) ? tensor : Tensor::empty(tensor.shape());
  for (std::int64_t i = 0; i < host.numel(); ++i) {
    host.data()[i] =
        low + (high - low) * static_cast<real>(uniform(key, static_cast<std::uint64_t>(i)));
  }
  if (!in_host_memory(tensor.device())) tensor.copy_(host);
  tensor.mark_changed();
}

void fill_normal_(Tensor& tensor, real mean, real stddev, const RandomKey& key) {
  check(tensor.is_contiguous(), "fill_normal_", "the tensor must be contiguous");
  Tensor host = in_host_memory(tensor.device()) ? tensor : Tensor::empty(tensor.shape());
  for (std::int64_t i = 0; i < host.numel(); ++i) {
    host.data()[i] = mean + stddev * static_cast<real>(normal(key, static_cast<std::uint64_t>(i)));
  }
  if (!in_host_memory(tensor.device())) tensor.copy_(host);
  tensor.mark_changed();
}

void manual_seed(std::uint64_t seed, std::uint64_t draws) { default_generator() = {seed, draws}; }

RepeatedDraws::Rewound::Rewound(std::optional<std::uint64_t>& begin)
    : furthest_(default_generator().draws) {
  if (!begin) begin = furthest_;
  default_generator().draws = *begin;
}

RepeatedDraws::Rewound::~Rewound() {
  std::uint64_t& draws = default_generator().draws;
  draws = std::max(draws, furthest_);
}

std::uint64_t default_draws() { return default_generator().draws; }

RandomKey next_default_key(Purpose purpose) {
  DefaultGenerator& generator = default_generator();
  return {generator.seed, purpose, generator.draws++};
}

Tensor randn(Shape shape) {
  Tensor result = Tensor::empty(std::move(shape));
  fill_normal_(result, 0, 1, next_default_key());
  return result;
}

}  // namespace serenade
