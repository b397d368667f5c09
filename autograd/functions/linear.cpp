// Matrix products.

#include <algorithm>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/broadcast.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/runtime/memory.h"
#include "tensor/check.h"

namespace serenade {

Variable matmul(const Variable& a, const Variable& b) {
  check_defined("matmul", a, b);
  const bool matrices = a.dim() >= 2 && a.dim() == b.dim();
  const bool same_leading =
      matrices && std::equal(a.shape().begin(), a.shape().end() - 2, b.shape().begin());
  check(same_leading && a.size(-1) == b.size(-2), "matmul",
        "must be [.., M, K] and [.., K, N] with the same leading sizes; got ", a.shape(), " and ",
        b.shape());
  check_same_device("matmul", a, b);
  const std::int64_t M = a.size(-2), K = a.size(-1), N = b.size(-1);
  Shape shape = a.shape();
  shape.back() = N;
  element_count(shape, "matmul");
  const std::int64_t batch = element_count(Shape(shape.begin(), shape.end() - 2));
  const Tensor left = a.value().contiguous(), right = b.value().contiguous();
  Tensor y = Tensor::empty(shape, a.device());
  KERNEL(y.device(), gemm_batched, batch, false, false, M, N, K, 1, left.data(), M * K,
         right.data(), K * N, 0, y.data(), M * N);
  const Tensor saved_left = b.requires_grad() ? left : Tensor();
  const Tensor saved_right = a.requires_grad() ? right : Tensor();
  return make_result("matmul", y, {a, b},
                     [saved_left, saved_right, batch, M, N, K](const Tensor& dy, Gradients& d) {
                       if (d.wants(0)) {  // dA += dY B^T
                         KERNEL(dy.device(), gemm_batched, batch, false, true, M, K, N, 1,
                                dy.data(), M * N, saved_right.data(), K * N, 1, d[0].data(), M * K);
                       }
                       if (d.wants(1)) {  // dB += A^T dY
                         KERNEL(dy.device(), gemm_batched, batch, true, false, K, N, M, 1,
                                saved_left.data(), M * K, dy.data(), M * N, 1, d[1].data(), K * N);
                       }
                     });
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
                       if (d.wants(0)) {  // dX += dY W
                         KERNEL(dy.device(), gemm, false, false, rows, in, out, 1, dy.data(), out,
                                saved_weight.data(), in, 1, d[0].data(), in);
                       }
                       if (d.wants(1)) {  // dW += dY^T X
                         KERNEL(dy.device(), gemm, true, false, out, in, rows, 1, dy.data(), out,
                                saved_input.data(), in, 1, d[1].data(), in);
                       }
                       if (d.wants(2)) {  // db += the sum of dY over the rows
                         KERNEL(dy.device(), add_backward, d[2].data(), dy.data(), 1,
                                make_broadcast({out}, {rows, out}));
                       }
                     });
}

}  // namespace serenade
