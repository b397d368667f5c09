#include "autograd/functions/convolution_gradients.h"

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/optional.h"
#include "kernels/runtime/memory.h"

namespace serenade {

namespace {

// Both kinds by the same names.

Shape image(const Conv2dShape& s) { return {s.N, s.C, s.H, s.W}; }
Shape image(const DepthwiseShape& s) { return {s.N, s.C, s.H, s.W}; }
Shape kernel(const Conv2dShape& s) { return {s.K, s.C, s.R, s.S}; }
Shape kernel(const DepthwiseShape& s) { return {s.C * s.M, 1, s.R, s.S}; }
Shape result(const Conv2dShape& s) { return {s.N, s.K, s.out_h(), s.out_w()}; }
Shape result(const DepthwiseShape& s) { return {s.N, s.C * s.M, s.out_h(), s.out_w()}; }

Tensor forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dShape& s) {
  Tensor y = Tensor::empty(result(s), x.device());
  KERNEL(y.device(), conv2d_forward, y.data(), x.data(), weight.data(), pointer_or_null(bias), s);
  return y;
}
Tensor forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const DepthwiseShape& s) {
  Tensor y = Tensor::empty(result(s), x.device());
  KERNEL(y.device(), depthwise_conv2d_forward, y.data(), x.data(), weight.data(),
         pointer_or_null(bias), s);
  return y;
}

void add_input(Tensor& dx, const Tensor& dy, const Tensor& weight, const Conv2dShape& s) {
  KERNEL(dy.device(), conv2d_backward_input, dx.data(), dy.data(), weight.data(), s);
}
void add_input(Tensor& dx, const Tensor& dy, const Tensor& weight, const DepthwiseShape& s) {
  KERNEL(dy.device(), depthwise_conv2d_backward_input, dx.data(), dy.data(), weight.data(), s);
}

void add_weight(Tensor& dw, const Tensor& dy, const Tensor& x, const Conv2dShape& s) {
  KERNEL(dy.device(), conv2d_backward_weight, dw.data(), dy.data(), x.data(), s);
}
void add_weight(Tensor& dw, const Tensor& dy, const Tensor& x, const DepthwiseShape& s) {
  KERNEL(dy.device(), depthwise_conv2d_backward_weight, dw.data(), dy.data(), x.data(), s);
}

// For both kinds.
void add_bias(Tensor& db, const Tensor& dy) {
  KERNEL(dy.device(), conv2d_backward_bias, db.data(), dy.data(),
         Conv2dShape{.N = dy.size(0), .H = dy.size(2), .W = dy.size(3), .K = dy.size(1)});
}

template <class Form>
Variable convolution(const char* name, const Variable& x, const Variable& weight,
                     const Variable& bias, const Form& s) {
  const Tensor input = x.value().contiguous(), w = weight.value().contiguous();
  return make_result(name, forward(input, w, contiguous_or_none(bias), s), {x, weight, bias},
                     [input, w, s](const Tensor& dy, Gradients& d) {
                       if (d.create_graph()) {
                         const Variable x = d.input(0, input), weight = d.input(1, w);
                         if (d.wants(0)) d.add(0, convolution_input_gradient(d.dy(), weight, s));
                         if (d.wants(1)) d.add(1, convolution_weight_gradient(d.dy(), x, s));
                         if (d.wants(2)) d.add(2, sum(d.dy(), {0, 2, 3}));
                         return;
                       }
                       if (d.wants(0)) add_input(d[0], dy, w, s);
                       if (d.wants(1)) add_weight(d[1], dy, input, s);
                       if (d.wants(2)) add_bias(d[2], dy);
                     });
}

template <class Form>
Variable input_gradient(const Variable& dy, const Variable& weight, const Form& s) {
  const Tensor given = dy.value().contiguous(), w = weight.value().contiguous();
  Tensor dx(image(s), given.device());
  add_input(dx, given, w, s);
  return make_result("conv_transpose2d", dx, {dy, weight},
                     [given, w, s](const Tensor& g, Gradients& d) {  // g stands for x
                       if (d.create_graph()) {
                         const Variable dy = d.input(0, given), weight = d.input(1, w);
                         if (d.wants(0)) d.add(0, convolved("conv2d", d.dy(), weight, {}, s));
                         if (d.wants(1)) d.add(1, convolution_weight_gradient(dy, d.dy(), s));
                         return;
                       }
                       if (d.wants(0)) d.pass_on(0, forward(g, w, Tensor(), s));
                       if (d.wants(1)) add_weight(d[1], given, g, s);
                     });
}

template <class Form>
Variable weight_gradient(const Variable& dy, const Variable& x, const Form& s) {
  const Tensor given = dy.value().contiguous(), input = x.value().contiguous();
  Tensor dw(kernel(s), given.device());
  add_weight(dw, given, input, s);
  return make_result("conv2d_weight_gradient", dw, {dy, x},
                     [given, input, s](const Tensor& g, Gradients& d) {  // g stands for weight
                       if (d.create_graph()) {
                         const Variable dy = d.input(0, given), x = d.input(1, input);
                         if (d.wants(0)) d.add(0, convolved("conv2d", x, d.dy(), {}, s));
                         if (d.wants(1)) d.add(1, convolution_input_gradient(dy, d.dy(), s));
                         return;
                       }
                       if (d.wants(0)) d.pass_on(0, forward(input, g, Tensor(), s));
                       if (d.wants(1)) add_input(d[1], given, g, s);
                     });
}

}  // namespace

Variable convolved(const char* name, const Variable& x, const Variable& weight,
                   const Variable& bias, const Conv2dShape& shape) {
  return convolution(name, x, weight, bias, shape);
}
Variable convolved(const char* name, const Variable& x, const Variable& weight,
                   const Variable& bias, const DepthwiseShape& shape) {
  return convolution(name, x, weight, bias, shape);
}

Variable convolution_input_gradient(const Variable& dy, const Variable& weight,
                                    const Conv2dShape& shape) {
  return input_gradient(dy, weight, shape);
}
Variable convolution_input_gradient(const Variable& dy, const Variable& weight,
                                    const DepthwiseShape& shape) {
  return input_gradient(dy, weight, shape);
}

Variable convolution_weight_gradient(const Variable& dy, const Variable& x,
                                     const Conv2dShape& shape) {
  return weight_gradient(dy, x, shape);
}
Variable convolution_weight_gradient(const Variable& dy, const Variable& x,
                                     const DepthwiseShape& shape) {
  return weight_gradient(dy, x, shape);
}

}  // namespace serenade
