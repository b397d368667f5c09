// Softmax and losses.

#include "kernels/elementwise/loss.h"

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "kernels/elementwise/softmax.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// A tensor as [outer, axis, inner].
struct Lanes {
  std::int64_t outer = 1, axis = 1, inner = 1;
};

Lanes lanes_along(const char* op, const Shape& shape, std::int64_t axis) {
  const auto at =
      static_cast<std::size_t>(normalized_axis(op, axis, static_cast<std::int64_t>(shape.size())));
  check(shape[at] >= 1, op, "the axis must hold an element; got ", shape);
  Lanes lanes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    (i < at ? lanes.outer : i == at ? lanes.axis : lanes.inner) *= shape[i];
  }
  return lanes;
}

void check_labels(const char* op, const Variable& scores, const Indices& labels) {
  check_defined(op, scores);
  check(scores.dim() == 2 && scores.size(0) >= 1 && scores.size(1) >= 1 &&
            scores.size(0) == static_cast<std::int64_t>(labels.size()),
        op, "one label for each of N >= 1 rows of [N, classes]; got ", labels.size(),
        " labels for ", scores.shape());
  for (std::size_t n = 0; n < labels.size(); ++n) {
    check(labels[n] >= 0 && labels[n] < scores.size(1), op, "labels must be 0 .. ",
          scores.size(1) - 1, "; got ", labels[n], " for sample ", n);
  }
}

void check_class_weights(const Variable& logits, const Indices& labels,
                         const std::vector<real>& weights) {
  if (weights.empty()) return;
  check(static_cast<std::int64_t>(weights.size()) == logits.size(1), "cross_entropy",
        "one weight per class; got ", weights.size(), " weights for ", logits.shape());
  for (const real weight : weights) {
    check(weight >= 0, "cross_entropy", "class weights must not be negative; got ", weight);
  }
  real met = 0;
  for (const std::int64_t label : labels) met += weights[static_cast<std::size_t>(label)];
  check(met > 0, "cross_entropy", "some class of the batch must have a positive weight; got 0");
}

}  // namespace

Variable softmax(const Variable& x, std::int64_t axis) {
  check_defined("softmax", x);
  const Lanes l = lanes_along("softmax", x.shape(), axis);
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), softmax_forward, y.data(), input.data(), l.outer, l.axis, l.inner);
  return make_result("softmax", y, {x}, [y, l](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    KERNEL(dy.device(), softmax_backward, d[0].data(), dy.data(), y.data(), l.outer, l.axis,
           l.inner);
  });
}

Variable log_softmax(const Variable& x, std::int64_t axis) {
  check_defined("log_softmax", x);
  const Lanes l = lanes_along("log_softmax", x.shape(), axis);
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), log_softmax_forward, y.data(), input.data(), l.outer, l.axis, l.inner);
  return make_result("log_softmax", y, {x}, [y, l](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    KERNEL(dy.device(), log_softmax_backward, d[0].data(), dy.data(), y.data(), l.outer, l.axis,
           l.inner);
  });
}

Variable cross_entropy(const Variable& logits, const Indices& labels,
                       const std::vector<real>& class_weights) {
  check_labels("cross_entropy", logits, labels);
  check_class_weights(logits, labels, class_weights);
  const std::int64_t N = logits.size(0), classes = logits.size(1);
  const Tensor input = logits.value().contiguous();
  Tensor loss = Tensor::empty({}, logits.device());
  Tensor probabilities = Tensor::empty(logits.shape(), logits.device());
  const real* weights = class_weights.empty() ? nullptr : class_weights.data();
  KERNEL(loss.device(), cross_entropy_forward, loss.data(), probabilities.data(), input.data(),
         labels.data(), weights, N, classes);
  return make_result(
      "cross_entropy", loss, {logits},
      [probabilities, labels, class_weights, N, classes](const Tensor& d_loss, Gradients& d) {
        if (!d.wants(0)) return;
        KERNEL(d_loss.device(), cross_entropy_backward, d[0].data(), d_loss.data(),
               probabilities.data(), labels.data(),
               class_weights.empty() ? nullptr : class_weights.data(), N, classes);
      });
}

Variable margin_loss(const Variable& norms, const Indices& labels, MarginLossOptions options) {
  check_labels("margin_loss", norms, labels);
  const std::int64_t N = norms.size(0), classes = norms.size(1);
  const Tensor input = norms.value().contiguous();
  Tensor loss = Tensor::empty({}, norms.device());
  KERNEL(loss.device(), margin_loss_forward, loss.data(), input.data(), labels.data(),
         options.m_plus, options.m_minus, options.lambda, N, classes);
  return make_result("margin_loss", loss, {norms},
                     [input, labels, options, N, classes](const Tensor& d_loss, Gradients& d) {
                       if (!d.wants(0)) return;
                       KERNEL(d_loss.device(), margin_loss_backward, d[0].data(), d_loss.data(),
                              input.data(), labels.data(), options.m_plus, options.m_minus,
                              options.lambda, N, classes);
                     });
}

}  // namespace serenade
