// Draws initial weights; see init.h for the formulas and their sources.

#include "nn/init.h"

#include <cmath>
#include <vector>

#include "tensor/check.h"
#include "tensor/random.h"

namespace serenade::init {

namespace {

/// Writes `block` over rows [index * rows, (index + 1) * rows) of `stacked`.
void put_block(Tensor& stacked, const Tensor& block, std::int64_t index) {
  const std::int64_t rows = block.size(0);
  Tensor target = stacked.slice(0, index * rows, rows);
  target.copy_(block);
}

template <class Draw>
Tensor stack_blocks(const char* op, const Shape& shape, std::int64_t blocks, Draw draw) {
  check(shape.size() == 2 && blocks > 0 && shape[0] % blocks == 0, op,
        "shape must be [blocks * rows, columns]; got ", shape, " for ", blocks, " blocks");
  Tensor stacked = Tensor::empty(shape);
  for (std::int64_t i = 0; i < blocks; ++i) {
    put_block(stacked, draw(Shape{shape[0] / blocks, shape[1]}), i);
  }
  return stacked;
}

using Row = std::vector<double>;

double dot(const Row& a, const Row& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
  return total;
}

/// Takes the parts along the first `count` rows out of row `count`, then scales it to length 1. One
/// pass loses orthogonality to rounding when little is left of the row; a second restores it
/// (Giraud et al. 2005, "twice is enough").
void orthonormalize(std::vector<Row>& rows, std::size_t count) {
  Row& row = rows[count];
  for (int pass = 0; pass < 2; ++pass) {
    for (std::size_t k = 0; k < count; ++k) {
      const double along = dot(row, rows[k]);
      for (std::size_t i = 0; i < row.size(); ++i) row[i] -= along * rows[k][i];
    }
  }
  const double length = std::sqrt(dot(row, row));
  for (double& value : row) value /= length;
}

}  // namespace

namespace {

thread_local bool draws = true;

}  // namespace

SkipInit::SkipInit() : before_(draws) { draws = false; }
SkipInit::~SkipInit() { draws = before_; }

Fans fans(const Shape& shape) {
  check(shape.size() >= 2, "init", "a weight must have two axes or more to have fans; got ", shape);
  element_count(shape, "init");
  const std::int64_t field = element_count(Shape(shape.begin() + 2, shape.end()), "init");
  return {.in = shape[1] * field, .out = shape[0] * field};
}

Tensor zeros(const Shape& shape) { return Tensor(shape); }

Tensor constant(const Shape& shape, real value) { return Tensor::full(shape, value); }

Tensor uniform(const Shape& shape, real low, real high) {
  if (!draws) return zeros(shape);
  Tensor values = Tensor::empty(shape);
  fill_uniform_(values, low, high, next_default_key());
  return values;
}

Tensor normal(const Shape& shape, real mean, real stddev) {
  if (!draws) return zeros(shape);
  Tensor values = Tensor::empty(shape);
  fill_normal_(values, mean, stddev, next_default_key());
  return values;
}

Tensor xavier_uniform(const Shape& shape, double gain) {
  const Fans f = fans(shape);
  const double bound = gain * std::sqrt(6.0 / static_cast<double>(f.in + f.out));
  return uniform(shape, static_cast<real>(-bound), static_cast<real>(bound));
}

Tensor xavier_normal(const Shape& shape, double gain) {
  const Fans f = fans(shape);
  return normal(shape, 0, static_cast<real>(gain * std::sqrt(2.0 / (f.in + f.out))));
}

Tensor kaiming_uniform(const Shape& shape, double gain) {
  const double bound = gain * std::sqrt(3.0 / static_cast<double>(fans(shape).in));
  return uniform(shape, static_cast<real>(-bound), static_cast<real>(bound));
}

Tensor kaiming_normal(const Shape& shape, double gain) {
  const double fan_in = static_cast<double>(fans(shape).in);
  return normal(shape, 0, static_cast<real>(gain / std::sqrt(fan_in)));
}

Tensor orthogonal(const Shape& shape, double gain) {
  check(shape.size() == 2 && shape[0] > 0 && shape[1] > 0, "orthogonal",
        "shape must be [rows, columns]; got ", shape);
  element_count(shape, "orthogonal");
  if (!draws) return zeros(shape);
  // The shorter side gives the vectors that can be orthonormal; work on them as rows.
  const bool wide = shape[0] <= shape[1];
  const std::size_t count = static_cast<std::size_t>(wide ? shape[0] : shape[1]);
  const std::size_t size = static_cast<std::size_t>(wide ? shape[1] : shape[0]);
  const RandomKey key = next_default_key();
  std::vector<Row> rows(count, Row(size));
  for (std::size_t r = 0; r < count; ++r) {
    for (std::size_t i = 0; i < size; ++i) rows[r][i] = serenade::normal(key, r * size + i);
    orthonormalize(rows, r);
  }
  std::vector<real> values(count * size);
  for (std::size_t r = 0; r < count; ++r) {
    for (std::size_t i = 0; i < size; ++i) {
      values[wide ? r * size + i : i * count + r] = static_cast<real>(gain * rows[r][i]);
    }
  }
  return Tensor::from(values, shape);
}

Tensor xavier_uniform_blocks(const Shape& shape, std::int64_t blocks, double gain) {
  return stack_blocks("xavier_uniform_blocks", shape, blocks,
                      [gain](const Shape& block) { return xavier_uniform(block, gain); });
}

Tensor orthogonal_blocks(const Shape& shape, std::int64_t blocks, double gain) {
  return stack_blocks("orthogonal_blocks", shape, blocks,
                      [gain](const Shape& block) { return orthogonal(block, gain); });
}

Tensor vote_init(const Shape& shape, double gain) {
  check(shape.size() == 4, "vote_init", "shape must be [I, J, D, O]; got ", shape);
  const double bound = gain * std::sqrt(6.0 / static_cast<double>(shape[2] + shape[3]));
  return uniform(shape, static_cast<real>(-bound), static_cast<real>(bound));
}

}  // namespace serenade::init
