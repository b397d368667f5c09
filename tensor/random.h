#pragma once
// Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011).
//
// A number is a pure function of (seed, purpose, step, element): the same on every device, for
// every thread count, and after a resume. There is no hidden state but one: the default generator
// that layers draw their initial weights from, set by manual_seed().

#include <array>
#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace serenade {

/// What a stream of random numbers is for; keeps streams of one seed apart.
enum class Purpose : std::uint32_t {
  init = 1,
  shuffle = 2,
  dropout = 3,
  path = 4,
  architecture = 5,
  bootstrap = 6,
  data = 7,
  test = 99,
};

/// Names one stream of random numbers.
struct RandomKey {
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::test;
  std::uint64_t step = 0;
};

/// Philox4x32 with 10 rounds: 128 bits of counter and 64 of key to 128 random bits.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

/// The four 32-bit words number `block` of a stream.
std::array<std::uint32_t, 4> random_block(const RandomKey& key, std::uint64_t block);

/// Uniform in [0, 1) with 24 random bits, exact in float: element `element` of the stream.
double uniform(const RandomKey& key, std::uint64_t element);

/// Standard normal (Box-Muller on the two halves of a block).
double normal(const RandomKey& key, std::uint64_t element);

/// Uniform integer in [0, bound), without bias.
std::int64_t random_integer(const RandomKey& key, std::uint64_t element, std::int64_t bound);

/// A uniformly random order of 0 .. count-1 (Fisher-Yates).
std::vector<std::int64_t> permutation(const RandomKey& key, std::int64_t count);

void fill_uniform_(Tensor& tensor, real low, real high, const RandomKey& key);
void fill_normal_(Tensor& tensor, real mean, real stddev, const RandomKey& key);

/// Sets the seed that layers made by this thread draw their initial weights from and restarts the
/// count of draws; after a break, at the count that default_draws() gave.
void manual_seed(std::uint64_t seed, std::uint64_t draws = 0);

/// How many keys the default generator has given since manual_seed().
std::uint64_t default_draws();

/// The next key of the default generator: each call names a new stream.
RandomKey next_default_key(Purpose purpose = Purpose::init);

/// A new tensor of standard normal values from the default generator.
Tensor randn(Shape shape);

}  // namespace serenade
