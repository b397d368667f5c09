// Sizes, offsets and counts at the ends of their range: refused by name, or answered rightly.

#include "tests/boundaries.h"

#include <new>

#include "tensor/random.h"
#include "tensor/tensor.h"

using namespace serenade;

namespace {

constexpr std::int64_t kHuge = std::int64_t{1} << 40;

}  // namespace

TEST_CASE("boundaries: no shape has more elements than can be counted") {
  check_extremes_refused("tensor", [](auto n) { Tensor({n}); });
  check_extremes_refused("tensor", [](auto n) { Tensor::empty({n}); });
  check_extremes_refused("tensor", [](auto n) { Tensor::full({2, n}, 1); });
  check_extremes_refused("tensor", [](auto n) { Tensor::ones({n, 0}); });
  check_extremes_refused("tensor", [](auto n) { Tensor::from({1}, {n}); });
  check_extremes_refused("tensor", [](auto n) { randn({n, 3}); });
  check_extremes_refused("permutation", [](auto n) { permutation({}, n); });
  check_refused("tensor", [] { Tensor({kHuge, kHuge}); });  // 2^80 is 0 in 64 bits
  check_refused("tensor", [] { Tensor({std::int64_t{1} << 32, std::int64_t{1} << 32}); });
  check_refused("tensor", [] { Tensor({3, 5, kMost / 15 + 1}); });
  check_refused("tensor", [] { Tensor({kHuge, 0, kHuge}); });
  check_refused("tensor", [] { Tensor(Shape(9, 1)); });
  CHECK_THROWS_AS(Tensor({kMaxElements}), std::bad_alloc);
  CHECK(Tensor({kMaxElements, 0}).numel() == 0);
  CHECK(element_count({}) == 1);
  CHECK(element_count({kMaxElements, 1}) == kMaxElements);
  check_refused("here", [] { element_count({kMaxElements, 2}, "here"); });
}

TEST_CASE("boundaries: views stay inside what they view") {
  const Tensor a({2, 3});
  check_extremes_refused("size", [&](auto n) { static_cast<void>(a.size(n)); });
  check_extremes_refused("reshape", [&](auto n) { a.reshape({n}); });
  check_extremes_refused("reshape", [&](auto n) { a.reshape({n, -1}); });
  check_extremes_refused("reshape", [&](auto n) { a.reshape({n, n}); });
  check_extremes_refused("permute", [&](auto n) { a.permute({n, 0}); });
  check_extremes_refused("transpose", [&](auto n) { a.transpose(0, n); });
  check_extremes_refused("slice", [&](auto n) { a.slice(n, 0, 1); });
  check_extremes_refused("slice", [&](auto n) { a.slice(1, n, 1); });
  check_extremes_refused("slice", [&](auto n) { a.slice(1, 0, n); });
  check_extremes_refused("slice", [&](auto n) { a.slice(1, n, n); });
  check_extremes_refused("slice", [&](auto n) { a.slice(1, 2, kMost - (n & 1)); });
  check_extremes_refused("expand", [&](auto n) { a.expand({n, 2, 3}); });
  check_extremes_refused("expand", [](auto n) { Tensor({1}).expand({n}); });
  check_extremes_refused("at", [&](auto n) { static_cast<void>(a.at({n, 0})); });
  check_refused("reshape", [&] { a.reshape({-1, -1}); });
  check_refused("reshape", [] { Tensor({0, 3}).reshape({0, -1}); });
  check_refused("reshape", [] { Tensor({0, 3}).reshape({-2, 0}); });
  check_refused("expand", [] { Tensor({1}).expand(Shape(9, 1)); });
  check_refused("expand", [] { Tensor({1, 1}).expand({kHuge, kHuge}); });
  CHECK(a.slice(1, 3, 0).numel() == 0);
  CHECK(Tensor({0, 3}).reshape({-1, 3}).shape() == Shape{0, 3});
  CHECK_THROWS_AS(Tensor({1}).expand({kMaxElements}).contiguous(), std::bad_alloc);
}

TEST_CASE("boundaries: an undefined tensor is refused by every function, by name") {
  const Tensor none;
  Tensor target, defined({2});
  check_refused("reshape", [&] { none.reshape({0}); });
  check_refused("permute", [&] { none.permute({}); });
  check_refused("transpose", [&] { none.transpose(0, 0); });
  check_refused("slice", [&] { none.slice(0, 0, 0); });
  check_refused("expand", [&] { none.expand({2}); });
  check_refused("clone", [&] { none.clone(); });
  check_refused("to", [&] { none.to(Device::cpu); });
  check_refused("fill_", [&] { target.fill_(1); });
  check_refused("copy_", [&] { target.copy_(defined); });
  check_refused("copy_", [&] { target.copy_(none); });
  check_refused("add_", [&] { defined.add_(none); });
  check_refused("add_", [&] { target.add_(none); });
  check_refused("item", [&] { static_cast<void>(none.item()); });
  MESSAGE(refusals() << " calls at the boundaries were refused so far");
}

TEST_CASE("copy_ and add_ between views that overlap") {
  Tensor a = Tensor::from({0, 1, 2, 3, 4}, {5});
  a.slice(0, 1, 4).copy_(a.slice(0, 0, 4));
  CHECK(a.to_vector() == std::vector<real>{0, 0, 1, 2, 3});
  a.slice(0, 0, 4).copy_(a.slice(0, 1, 4));
  CHECK(a.to_vector() == std::vector<real>{0, 1, 2, 3, 3});
  a.slice(0, 1, 4).add_(a.slice(0, 0, 4));
  CHECK(a.to_vector() == std::vector<real>{0, 1, 3, 5, 6});
  a.add_(a);
  CHECK(a.to_vector() == std::vector<real>{0, 2, 6, 10, 12});
  Tensor square = Tensor::from({1, 2, 3, 4}, {2, 2});
  square.copy_(square.transpose(0, 1));
  CHECK(square.to_vector() == std::vector<real>{1, 3, 2, 4});
  Tensor twice = Tensor({1}).expand({3});
  check_refused("copy_", [&] { twice.copy_(Tensor({3})); });
}

TEST_CASE("first_non_finite finds the first, in row-major order") {
  const real nan = std::numeric_limits<real>::quiet_NaN();
  const Tensor a = Tensor::from({1, 2, -std::numeric_limits<real>::infinity(), nan}, {2, 2});
  CHECK(first_non_finite(a) == 2);
  CHECK(first_non_finite(a.transpose(0, 1)) == 1);
  CHECK(first_non_finite(Tensor({3})) == -1);
  CHECK(first_non_finite(Tensor({0})) == -1);
}
