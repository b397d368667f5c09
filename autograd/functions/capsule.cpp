// Capsules: squash, norms, sliding windows, votes and routing (formulas: kernels/capsule/squash.h,
// kernels/capsule/unfold.h, kernels/capsule/capsule.h).

#include "kernels/capsule/capsule.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/optional.h"
#include "kernels/capsule/squash.h"
#include "kernels/capsule/unfold.h"
#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/memory.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// The windows of unfold, each added to where it was cut out.
Variable folded(const Variable& windows, const UnfoldShape& shape, const Shape& image) {
  const Tensor input = windows.value().contiguous();
  Tensor y(image, input.device());
  KERNEL(input.device(), unfold_backward, y.data(), input.data(), shape);
  return make_result(
      "fold", y, {windows},
      [shape](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) return d.add(0, unfold(d.dy(), shape.size, shape.step));
        Tensor cut = Tensor::empty(d.shape(0), dy.device());
        KERNEL(dy.device(), unfold_forward, cut.data(), dy.data(), shape);
        d.pass_on(0, cut);
      },
      Saves::nothing);
}

}  // namespace

Variable unfold(const Variable& x, std::int64_t size, std::int64_t step) {
  check_defined("unfold", x);
  check(x.dim() == 4 && x.numel() > 0, "unfold", "input must be [N, C, F, T], not empty; got ",
        x.shape());
  check(size >= 1 && step >= 1 && step <= size, "unfold",
        "size must be positive and step in 1 .. size; got size ", size, " and step ", step);
  const std::int64_t steps = x.size(3);
  const std::int64_t further = steps > size ? ceil_div(steps - size, step) : 0;
  const UnfoldShape shape{.samples = x.size(0),
                          .rows = x.size(1) * x.size(2),
                          .steps = steps,
                          .count = 1 + further,
                          .size = size,
                          .step = step};
  const Shape windows = {x.size(0), shape.count, x.size(1), x.size(2), size};
  element_count(windows, "unfold");
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(windows, input.device());
  KERNEL(input.device(), unfold_forward, y.data(), input.data(), shape);
  return make_result(
      "unfold", y, {x},
      [shape](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) return d.add(0, folded(d.dy(), shape, d.shape(0)));
        KERNEL(dy.device(), unfold_backward, d[0].data(), dy.data(), shape);
      },
      Saves::nothing);
}

Variable squash(const Variable& s) {
  check_defined("squash", s);
  check(s.dim() >= 1 && s.numel() > 0, "squash",
        "input must have an axis of capsule components and not be empty; got ", s.shape());
  const Tensor input = s.value().contiguous();
  const std::int64_t size = s.size(-1), count = s.numel() / size;
  Tensor v = Tensor::empty(input.shape(), input.device());
  KERNEL(input.device(), squash_forward, v.data(), input.data(), count, size);
  return make_result("squash", v, {s}, [input, count, size](const Tensor& dv, Gradients& d) {
    if (!d.wants(0)) return;
    KERNEL(dv.device(), squash_backward, d[0].data(), dv.data(), input.data(), count, size);
  });
}

Variable capsule_norm(const Variable& v) {
  check_defined("capsule_norm", v);
  check(v.dim() >= 1 && v.numel() > 0, "capsule_norm",
        "input must have an axis of capsule components and not be empty; got ", v.shape());
  const Tensor input = v.value().contiguous();
  const std::int64_t size = v.size(-1), count = v.numel() / size;
  Tensor y = Tensor::empty(Shape(v.shape().begin(), v.shape().end() - 1), input.device());
  KERNEL(input.device(), capsule_norm_forward, y.data(), input.data(), count, size);
  return make_result("capsule_norm", y, {v}, [input, count, size](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    KERNEL(dy.device(), capsule_norm_backward, d[0].data(), dy.data(), input.data(), count, size);
  });
}

Variable append_norms(const Variable& v) {
  check_defined("append_norms", v);
  check(v.dim() >= 2 && v.numel() > 0, "append_norms",
        "input must be [.., capsules, size], not empty; got ", v.shape());
  const Tensor input = v.value().contiguous();
  const std::int64_t capsules = v.size(-2), size = v.size(-1);
  const std::int64_t rows = v.numel() / (capsules * size);
  Shape shape(v.shape().begin(), v.shape().end() - 1);
  shape.back() = capsules * (size + 1);
  element_count(shape, "append_norms");
  Tensor y = Tensor::empty(shape, input.device());
  KERNEL(input.device(), append_norms_forward, y.data(), input.data(), rows, capsules, size);
  return make_result("append_norms", y, {v},
                     [input, rows, capsules, size](const Tensor& dy, Gradients& d) {
                       if (!d.wants(0)) return;
                       KERNEL(dy.device(), append_norms_backward, d[0].data(), dy.data(),
                              input.data(), rows, capsules, size);
                     });
}

namespace {

/// Sizes of votes; throws naming `op` unless u and weight fit together.
CapsuleShape votes_shape(const char* op, const Variable& u, const Variable& weight) {
  check_defined(op, u, weight);
  check(u.dim() == 3 && weight.dim() == 4 && u.numel() > 0 && weight.numel() > 0, op,
        "u must be [N, I, D] and weight [I or 1, J, D, O], not empty; got ", u.shape(), " and ",
        weight.shape());
  check(weight.size(2) == u.size(2), op,
        "u [N, I, D] and weight [I or 1, J, D, O] must have the same D; got ", u.shape(), " and ",
        weight.shape());
  check(weight.size(0) == 1 || weight.size(0) == u.size(1), op,
        "weight [I, J, D, O] must have one matrix per input capsule of u [N, I, D], or 1 for all; "
        "got ",
        weight.shape(), " and ", u.shape());
  check(u.device() == weight.device(), op, "u and weight must be on one device; got ",
        to_string(u.device()), " and ", to_string(weight.device()));
  return {.N = u.size(0),
          .I = u.size(1),
          .D = u.size(2),
          .J = weight.size(1),
          .O = weight.size(3),
          .shared_weight = weight.size(0) == 1};
}

/// A CapsuleShape and the lengths it points to, so that closures may keep it.
struct RoutingPlan {
  CapsuleShape shape;
  std::shared_ptr<const Indices> lengths;
};

/// Adds the options to the sizes; throws naming `op` unless bias and lengths fit.
RoutingPlan routing_plan(const char* op, CapsuleShape shape, const Tensor& bias, Device device,
                         const RoutingOptions& options) {
  check(options.iterations >= 1, op, "iterations must be at least 1; got ", options.iterations);
  element_count({options.iterations, shape.N, std::max(shape.I, shape.O), shape.J}, op);
  check(!bias.defined() || bias.shape() == Shape{shape.J, shape.O}, op,
        "bias must be [J, O] = ", Shape{shape.J, shape.O}, "; got ",
        bias.defined() ? bias.shape() : Shape{});
  check(!bias.defined() || bias.device() == device, op, "bias must be on the device of the votes");
  const Indices& lengths = options.lengths;
  check(lengths.empty() || static_cast<std::int64_t>(lengths.size()) == shape.N, op,
        "lengths must be one per sample; got ", lengths.size(), " for ", shape.N, " samples");
  for (const std::int64_t length : lengths) {
    check(length >= 1 && length <= shape.I, op, "a length must be in 1 .. ", shape.I,
          " (input capsules); got ", length);
  }
  shape.iterations = options.iterations;
  shape.last_only = options.gradient == RoutingGradient::last;
  const auto kept = std::make_shared<const Indices>(lengths);
  shape.lengths = lengths.empty() ? nullptr : kept->data();
  return {shape, kept};
}

CapsuleShape routing_shape(const char* op, const Tensor& u_hat) {
  check(u_hat.dim() == 4 && u_hat.numel() > 0, op, "u_hat must be [N, I, J, O], not empty; got ",
        u_hat.shape());
  return {.N = u_hat.size(0), .I = u_hat.size(1), .J = u_hat.size(2), .O = u_hat.size(3)};
}

}  // namespace

Variable capsule_votes(const Variable& u, const Variable& weight) {
  const CapsuleShape shape = votes_shape("capsule_votes", u, weight);
  const Tensor input = u.value().contiguous(), w = weight.value().contiguous();
  const Shape votes = {shape.N, shape.I, shape.J, shape.O};
  element_count(votes, "capsule_votes");
  Tensor u_hat = Tensor::empty(votes, input.device());
  KERNEL(input.device(), capsule_votes_forward, u_hat.data(), input.data(), w.data(), shape);
  return make_result("capsule_votes", u_hat, {u, weight},
                     [input, w, shape](const Tensor& du_hat, Gradients& d) {
                       KERNEL(du_hat.device(), capsule_votes_backward, wanted(d, 0), wanted(d, 1),
                              du_hat.data(), input.data(), w.data(), shape);
                     });
}

Variable capsule_routing(const Variable& u_hat, const Variable& bias,
                         const RoutingOptions& options) {
  check_defined("capsule_routing", u_hat);
  const CapsuleShape sizes = routing_shape("capsule_routing", u_hat.value());
  const Tensor votes = u_hat.value().contiguous(), b = contiguous_or_none(bias);
  const RoutingPlan plan = routing_plan("capsule_routing", sizes, b, votes.device(), options);
  const CapsuleShape& shape = plan.shape;
  Tensor v = Tensor::empty({shape.N, shape.J, shape.O}, votes.device());
  Tensor s = Tensor::empty({shape.N, shape.iterations, shape.J, shape.O}, votes.device());
  KERNEL(votes.device(), capsule_routing_forward, v.data(), s.data(), votes.data(),
         pointer_or_null(b), shape);
  return make_result("capsule_routing", v, {u_hat, bias},
                     [votes, s, plan](const Tensor& dv, Gradients& d) {
                       KERNEL(dv.device(), capsule_routing_backward, wanted(d, 0), wanted(d, 1),
                              dv.data(), s.data(), votes.data(), plan.shape);
                     });
}

Variable capsule_layer(const Variable& u, const Variable& weight, const Variable& bias,
                       const RoutingOptions& options) {
  const CapsuleShape sizes = votes_shape("capsule_layer", u, weight);
  const Tensor input = u.value().contiguous(), w = weight.value().contiguous();
  const Tensor b = contiguous_or_none(bias);
  const RoutingPlan plan = routing_plan("capsule_layer", sizes, b, input.device(), options);
  const CapsuleShape& shape = plan.shape;
  Tensor v = Tensor::empty({shape.N, shape.J, shape.O}, input.device());
  Tensor s = Tensor::empty({shape.N, shape.iterations, shape.J, shape.O}, input.device());
  KERNEL(input.device(), capsule_layer_forward, v.data(), s.data(), input.data(), w.data(),
         pointer_or_null(b), shape);
  return make_result(
      "capsule_layer", v, {u, weight, bias}, [input, w, s, plan](const Tensor& dv, Gradients& d) {
        KERNEL(dv.device(), capsule_layer_backward, wanted(d, 0), wanted(d, 1), wanted(d, 2),
               dv.data(), s.data(), input.data(), w.data(), plan.shape);
      });
}

Tensor routing_coefficients(const Tensor& u_hat, const Tensor& bias,
                            const RoutingOptions& options) {
  check_defined("routing_coefficients", u_hat);
  const char* op = "routing_coefficients";
  const CapsuleShape sizes = routing_shape(op, u_hat);
  const Tensor votes = u_hat.contiguous();
  const Tensor b = bias.defined() ? bias.contiguous() : Tensor();
  const RoutingPlan plan = routing_plan(op, sizes, b, votes.device(), options);
  const CapsuleShape& shape = plan.shape;
  Tensor v = Tensor::empty({shape.N, shape.J, shape.O}, votes.device());
  Tensor s = Tensor::empty({shape.N, shape.iterations, shape.J, shape.O}, votes.device());
  KERNEL(votes.device(), capsule_routing_forward, v.data(), s.data(), votes.data(),
         pointer_or_null(b), shape);
  Tensor c = Tensor::empty({shape.iterations, shape.N, shape.I, shape.J}, votes.device());
  KERNEL(votes.device(), capsule_routing_coefficients, c.data(), votes.data(), s.data(), shape);
  return c;
}

}  // namespace serenade
