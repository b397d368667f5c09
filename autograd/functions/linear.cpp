// Matrix products.

#include <algorithm>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/broadcast.h"
#include "autograd/functions/optional.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/runtime/memory.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// Of the matrix product that writes to it.
real beta_of(const Gradients::Target& target) { return target.write == Write::add ? real(1) : 0; }

// Matrices with the same leading sizes.
Variable product(const Variable& a, const Variable& b) {
  const std::int64_t M = a.size(-2), K = a.size(-1), N = b.size(-1);
  Shape shape = a.shape();
  shape.back() = N;
  element_count(shape, "matmul");
  // Without elements there is nothing to multiply, however many matrices there are.
  const std::int64_t batch = M * N > 0 ? element_count(Shape(shape.begin(), shape.end() - 2)) : 0;
  const Tensor left = a.value().contiguous(), right = b.value().contiguous();
  Tensor y = Tensor::empty(shape, a.device());
  KERNEL(y.device(), gemm_batched, batch, false, false, M, N, K, 1, left.data(), M * K,
         right.data(), K * N, 0, y.data(), M * N);
  const Tensor saved_left = b.requires_grad() ? left : Tensor();
  const Tensor saved_right = a.requires_grad() ? right : Tensor();
  return make_result(
      "matmul", y, {a, b},
      [saved_left, saved_right, batch, M, N, K](const Tensor& dy, Gradients& d) {
        if (d.create_graph()) {
          if (d.wants(0)) {
            const Variable right = d.input(1, saved_right);
            d.add(0, product(d.dy(), transpose(right, -2, -1)));
          }
          if (d.wants(1)) {
            const Variable left = d.input(0, saved_left);
            d.add(1, product(transpose(left, -2, -1), d.dy()));
          }
          return;
        }
        if (batch == 0) {  // zeros
          wanted(d, 0), wanted(d, 1);
          return;
        }
        if (d.wants(0)) {  // dA += dY B^T
          const Gradients::Target to = d.target(0);
          KERNEL(dy.device(), gemm_batched, batch, false, true, M, K, N, 1, dy.data(), M * N,
                 saved_right.data(), K * N, beta_of(to), to.data, M * K);
        }
        if (d.wants(1)) {  // dB += A^T dY
          const Gradients::Target to = d.target(1);
          KERNEL(dy.device(), gemm_batched, batch, true, false, K, N, M, 1, saved_left.data(),
                 M * K, dy.data(), M * N, beta_of(to), to.data, K * N);
        }
      });
}

Shape leading(const Variable& x) { return {x.shape().begin(), x.shape().end() - 2}; }

Variable with_leading(const Variable& x, Shape shape) {
  shape.insert(shape.end(), x.shape().end() - 2, x.shape().end());
  return expand(x, shape);
}

bool broadcasts(const Shape& a, const Shape& b) {
  for (std::size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
    const std::int64_t left = a[a.size() - i], right = b[b.size() - i];
    if (left != right && left != 1 && right != 1) return false;
  }
  return true;
}

}  // namespace

Variable matmul(const Variable& a, const Variable& b) {
  check_defined("matmul", a, b);
  check_same_device("matmul", a, b);
  const bool row = a.dim() == 1, column = b.dim() == 1;
  check(a.dim() >= 1 && b.dim() >= 1 && a.size(-1) == b.size(column ? 0 : -2), "matmul",
        "must be [.., M, K] and [.., K, N], or a vector [K]; got ", a.shape(), " and ", b.shape());
  if (row || column) {
    Variable y =
        matmul(row ? reshape(a, {1, a.size(0)}) : a, column ? reshape(b, {b.size(0), 1}) : b);
    Shape shape = y.shape();
    if (column) shape.pop_back();
    if (row) shape.erase(shape.end() - (column ? 1 : 2));
    return reshape(y, shape);
  }
  const Shape left = leading(a), right = leading(b);
  if (left == right) return product(a, b);
  check(broadcasts(left, right), "matmul", "leading axes must broadcast; got ", a.shape(), " and ",
        b.shape());
  if (right.empty()) {  // one matrix for all rows
    Shape shape = a.shape();
    shape.back() = b.size(1);
    return reshape(product(flatten(a, 0, -2), b), shape);
  }
  const Shape shape = broadcast_shapes("matmul", left, right);
  return product(with_leading(a, shape), with_leading(b, shape));
}

Variable bmm(const Variable& a, const Variable& b) {
  check_defined("bmm", a, b);
  check_same_device("bmm", a, b);
  check(a.dim() == 3 && b.dim() == 3 && a.size(0) == b.size(0) && a.size(2) == b.size(1), "bmm",
        "must be [B, M, K] and [B, K, N]; got ", a.shape(), " and ", b.shape());
  return product(a, b);
}

Variable outer(const Variable& a, const Variable& b) {
  check_defined("outer", a, b);
  check(a.dim() == 1 && b.dim() == 1, "outer", "must be two vectors; got ", a.shape(), " and ",
        b.shape());
  return reshape(a, {a.size(0), 1}) * b;
}

Variable linear(const Variable& x, const Variable& weight, const Variable& bias) {
  check_defined("linear", x, weight);
  check(weight.dim() == 2 && x.dim() >= 1 && x.size(-1) == weight.size(1), "linear",
        "the last size of the input must be that of the weight; got input ", x.shape(), ", weight ",
        weight.shape());
  const std::int64_t in = weight.size(1), out = weight.size(0);
  check(!bias.defined() || bias.shape() == Shape{out}, "linear",
        "the bias must have one element per row of the weight; got weight ", weight.shape(),
        ", bias ", bias.defined() ? bias.shape() : Shape{});
  check_same_device("linear", x, weight, bias);
  Shape shape = x.shape();
  shape.back() = out;
  element_count(shape, "linear");
  const std::int64_t rows = element_count(Shape(shape.begin(), shape.end() - 1));
  const Tensor input = x.value().contiguous(), w = weight.value().contiguous();
  Tensor y = Tensor::empty(shape, x.device());
  if (bias.defined()) {  // every row of y begins as the bias, and the product is added to it
    const Tensor b = bias.value().contiguous();
    const std::int64_t row_shape[] = {rows, out}, repeated[] = {0, 1};
    KERNEL(y.device(), gather_strided, y.data(), b.data(), row_shape, repeated, 2);
  }
  const real beta = bias.defined() ? real(1) : real(0);
  KERNEL(y.device(), gemm, false, true, rows, out, in, 1, input.data(), in, w.data(), in, beta,
         y.data(), out);
  const Tensor saved_input = weight.requires_grad() ? input : Tensor();
  const Tensor saved_weight = x.requires_grad() ? w : Tensor();
  return make_result("linear", y, {x, weight, bias},
                     [saved_input, saved_weight, rows, in, out](const Tensor& dy, Gradients& d) {
                       if (d.create_graph()) {
                         const Variable row_gradients = reshape(d.dy(), {rows, out});
                         if (d.wants(0)) {
                           const Variable dx = product(row_gradients, d.input(1, saved_weight));
                           d.add(0, reshape(dx, d.shape(0)));
                         }
                         if (d.wants(1)) {
                           const Variable x = reshape(d.input(0, saved_input), {rows, in});
                           d.add(1, product(transpose(row_gradients, 0, 1), x));
                         }
                         d.add(2, d.dy());
                         return;
                       }
                       if (d.wants(0)) {  // dX += dY W
                         const Gradients::Target to = d.target(0);
                         KERNEL(dy.device(), gemm, false, false, rows, in, out, 1, dy.data(), out,
                                saved_weight.data(), in, beta_of(to), to.data, in);
                       }
                       if (d.wants(1)) {  // dW += dY^T X
                         const Gradients::Target to = d.target(1);
                         KERNEL(dy.device(), gemm, true, false, out, in, rows, 1, dy.data(), out,
                                saved_input.data(), in, beta_of(to), to.data, in);
                       }
                       if (d.wants(2)) {  // db += the sum of dY over the rows
                         KERNEL(dy.device(), add_backward, d[2].data(), dy.data(), 1,
                                make_broadcast({out}, {rows, out}), Write::add);
                       }
                     });
}

}  // namespace serenade
