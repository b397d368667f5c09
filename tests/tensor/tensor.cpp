#include "tensor/tensor.h"

#include <doctest/doctest.h>

#include "tensor/check.h"

using namespace serenade;

namespace {

Tensor counting(Shape shape) {
  Tensor tensor = Tensor::empty(shape);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.data()[i] = static_cast<real>(i);
  return tensor;
}

}  // namespace

TEST_CASE("a tensor starts with zeros, and copies of the handle share its elements") {
  Tensor a({2, 3});
  CHECK(a.numel() == 6);
  CHECK(a.at({1, 2}) == 0);
  Tensor b = a, c = a.clone();
  b.fill_(5);
  CHECK(a.at({0, 0}) == 5);
  CHECK(c.at({0, 0}) == 0);
  CHECK(a.shares_storage_with(b));
  CHECK_FALSE(a.shares_storage_with(c));
}

TEST_CASE("views rearrange without copying") {
  const Tensor a = counting({2, 3, 4});
  const Tensor p = a.permute({2, 0, 1});
  CHECK(p.shape() == Shape{4, 2, 3});
  CHECK(p.shares_storage_with(a));
  CHECK(p.at({3, 1, 2}) == a.at({1, 2, 3}));
  CHECK_FALSE(p.is_contiguous());
  CHECK(p.contiguous().at({3, 1, 2}) == 23);
  const Tensor s = a.slice(-1, 1, 2);
  CHECK(s.to_vector() == std::vector<real>{1, 2, 5, 6, 9, 10, 13, 14, 17, 18, 21, 22});
  CHECK(a.transpose(0, 2).at({3, 2, 1}) == 23);
  const Tensor e = counting({3, 1}).expand({2, 3, 2});
  CHECK(e.to_vector() == std::vector<real>{0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2});
  CHECK(p.reshape({-1}).at({1}) == p.at({0, 0, 1}));
  CHECK(a.reshape({4, -1}).shares_storage_with(a));
}

TEST_CASE("writing through a strided view touches only its elements") {
  Tensor a = counting({3, 4});
  Tensor column = a.slice(1, 2, 1);
  column.copy_(Tensor::full({3, 1}, -1));
  CHECK(a.to_vector() == std::vector<real>{0, 1, -1, 3, 4, 5, -1, 7, 8, 9, -1, 11});
}

TEST_CASE("empty tensors and scalars") {
  const Tensor none({0, 3});
  CHECK(none.numel() == 0);
  CHECK(none.clone().to_vector().empty());
  CHECK(Tensor::scalar(3).item() == 3);
  CHECK(Tensor::scalar(3).dim() == 0);
  CHECK(none.permute({1, 0}).contiguous().shape() == Shape{3, 0});
}

TEST_CASE("bad arguments say what must hold and what was got") {
  const Tensor a = counting({2, 3});
  CHECK_THROWS_WITH(Tensor({0, 3}).reshape({0, -1}),
                    "reshape: -1 must not stand beside a size of 0, where any size would do; got "
                    "[0, 3] to [0, -1]");
  CHECK_THROWS_WITH(Tensor({1}).reshape(Shape(9, 1)),
                    "reshape: at most 8 axes; got [1, 1, 1, 1, 1, 1, 1, 1, 1]");
  CHECK_THROWS_WITH(Tensor({1}).expand(Shape(9, 1)),
                    "expand: at most 8 axes; got [1, 1, 1, 1, 1, 1, 1, 1, 1]");
  CHECK_THROWS_WITH(a.reshape({4, 2}),
                    "reshape: the number of elements must stay the same; got [2, 3] to [4, 2]");
  CHECK_THROWS_WITH(a.slice(1, 2, 2),
                    "slice: 2 elements from 2 must lie in axis 1; got shape [2, 3]");
  CHECK_THROWS_WITH(a.size(2), "size: axis must be in -2 .. 1; got 2");
  CHECK_THROWS_WITH(a.item(), "item: the tensor must have exactly one element; got shape [2, 3]");
  CHECK_THROWS_WITH(broadcast_shapes("add", {2, 3}, {2, 4}),
                    "add: shapes must be equal or broadcast (sizes equal or 1, aligned at the last "
                    "axis); got [2, 3] and [2, 4]");
  CHECK_THROWS_AS(Tensor::from({1, 2}, {3}), std::invalid_argument);
  CHECK_THROWS_AS(Tensor().data(), std::invalid_argument);
  CHECK_THROWS_AS(a.permute({0, 0}), std::invalid_argument);
  CHECK_THROWS_AS(a.expand({2, 4}), std::invalid_argument);
}

TEST_CASE("printing shortens long axes and shows the shape") {
  CHECK(to_string(counting({2, 2})) == "[[0, 1],\n [2, 3]] [2, 2]");
  CHECK(to_string(counting({12})) == "[0, 1, 2, ..., 9, 10, 11] [12]");
  CHECK(to_string(Tensor::scalar(real(1.5))) == "1.5");
  CHECK(to_string(Tensor()) == "undefined tensor");
}
