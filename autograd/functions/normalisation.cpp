// Normalisation over channels, groups of them, and rows.

#include "kernels/normalisation/normalisation.h"

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/broadcast.h"
#include "autograd/functions/optional.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// Of a Variable or a Tensor, which may be undefined.
template <class Parameter>
void check_parameter(const char* op, const char* name, const Parameter& parameter,
                     const Shape& shape) {
  if (!parameter.defined()) return;
  check(parameter.shape() == shape, op, name, " must be ", shape, "; got ", parameter.shape());
}

void check_epsilon(const char* op, real epsilon) {
  check(epsilon >= 0, op, "epsilon must not be negative; got ", epsilon);
}

// The gradients of a gradient ---------------------------------------------------------------------

// Sets of elements to be normalised: the axes of x, reshaped, that a set runs over.
struct Sets {
  Shape x, weight;  // shapes that broadcast
  std::vector<std::int64_t> axes;
  bool centred;
  real epsilon;
};

Variable mean_over(Variable x, const Sets& sets) {
  for (const std::int64_t axis : sets.axes) x = mean(x, axis, true);
  return x;
}

// What the backward kernels compute (kernels/normalisation/normalisation.h), with z and r as
// functions of x; mean and variance, which broadcast, are constants where they are given.
void add_gradients(Gradients& d, const Tensor& input, const Tensor& w, const Sets& sets,
                   const Tensor& mean = {}, const Tensor& variance = {}) {
  const Variable x = reshape(d.input(0, input), sets.x), dy = reshape(d.dy(), sets.x);
  const bool given = mean.defined();
  const Variable centred = given ? x - Variable(mean) : sets.centred ? x - mean_over(x, sets) : x;
  const Variable r =
      rsqrt((given ? Variable(variance) : mean_over(square(centred), sets)) + sets.epsilon);
  const Variable z = centred * r;
  if (d.wants(0)) {
    Variable g = w.defined() ? dy * reshape(d.input(1, w), sets.weight) : dy;
    if (!given) {
      const Variable along = z * mean_over(g * z, sets);
      g = (sets.centred ? g - mean_over(g, sets) : g) - along;
    }
    d.add(0, reshape(g * r, d.shape(0)));
  }
  if (d.wants(1)) d.add(1, reshape(sum_to(dy * z, sets.weight), d.shape(1)));
  if (d.wants(2)) d.add(2, reshape(sum_to(dy, sets.weight), d.shape(2)));
}

// Planes ------------------------------------------------------------------------------------------

// [N, C, ..] as [N, C, inner].
PlaneNorm check_planes(const char* op, const Variable& x, const Variable& weight,
                       const Variable& bias, real epsilon) {
  check_defined(op, x);
  check(x.dim() >= 2 && x.numel() >= 1, op, "must be [N, C, ..] and hold an element; got ",
        x.shape());
  check_same_device(op, x, weight, bias);
  check_epsilon(op, epsilon);
  const std::int64_t N = x.size(0), C = x.size(1);
  check_parameter(op, "weight", weight, {C});
  check_parameter(op, "bias", bias, {C});
  return {.N = N, .C = C, .inner = x.numel() / (N * C), .group = 0, .epsilon = epsilon};
}

struct Statistics {
  Tensor mean, variance;  // [sets]
};

Sets sets_of(const PlaneNorm& s) {
  if (s.group == 0) {
    return {{s.N, s.C, 1, s.inner}, {1, s.C, 1, 1}, {0, 3}, true, s.epsilon};
  }
  const std::int64_t groups = s.C / s.group;
  return {{s.N, groups, s.group, s.inner}, {1, groups, s.group, 1}, {2, 3}, true, s.epsilon};
}

Variable plane_norm(const char* op, const Variable& x, const Variable& weight, const Variable& bias,
                    const PlaneNorm& s, const Statistics& statistics, bool given) {
  const Tensor input = x.value().contiguous(), w = contiguous_or_none(weight),
               b = contiguous_or_none(bias);
  Tensor y = Tensor::empty(x.shape(), x.device()), mean = statistics.mean,
         variance = statistics.variance;
  if (given) {
    KERNEL(y.device(), plane_norm_apply, y.data(), input.data(), mean.data(), variance.data(),
           pointer_or_null(w), pointer_or_null(b), s);
  } else {
    KERNEL(y.device(), plane_norm_forward, y.data(), mean.data(), variance.data(), input.data(),
           pointer_or_null(w), pointer_or_null(b), s);
  }
  return make_result(op, y, {x, weight, bias},
                     [input, w, mean, variance, s, given](const Tensor& dy, Gradients& d) {
                       if (d.create_graph()) {
                         if (!given) return add_gradients(d, input, w, sets_of(s));
                         const Shape channels = {1, s.C, 1, 1};
                         return add_gradients(d, input, w, sets_of(s), mean.reshape(channels),
                                              variance.reshape(channels));
                       }
                       real *const dw = wanted(d, 1), *const db = wanted(d, 2);
                       const Gradients::Target dx = d.target(0);
                       KERNEL(dy.device(), plane_norm_backward, dx.data, dw, db, dy.data(),
                              input.data(), mean.data(), variance.data(), pointer_or_null(w), s,
                              given, dx.write);
                     });
}

Variable norm_of_sets(const char* op, const Variable& x, const Variable& weight,
                      const Variable& bias, const PlaneNorm& s) {
  const Statistics own{Tensor::empty({s.sets()}, x.device()),
                       Tensor::empty({s.sets()}, x.device())};
  return plane_norm(op, x, weight, bias, s, own, false);
}

// running += momentum (statistic - running), where it is kept.
void move(Tensor& running, const Tensor& statistic, real momentum) {
  if (!running.defined()) return;
  const Variable before(running), now(statistic);
  running.copy_((before + momentum * (now - before)).value());
}

// Rows --------------------------------------------------------------------------------------------

// The last axes of x as one row.
RowNorm check_rows(const char* op, const Variable& x, const Shape& shape, const Variable& weight,
                   const Variable& bias, real epsilon) {
  check_defined(op, x);
  const bool fits = !shape.empty() && shape.size() <= x.shape().size() &&
                    std::equal(shape.rbegin(), shape.rend(), x.shape().rbegin());
  check(fits && element_count(shape, op) >= 1, op, "the last sizes of the input must be ", shape,
        ", and hold an element; got ", x.shape());
  check_same_device(op, x, weight, bias);
  check_epsilon(op, epsilon);
  check_parameter(op, "weight", weight, shape);
  check_parameter(op, "bias", bias, shape);
  const std::int64_t size = element_count(shape);
  return {.rows = x.numel() / size, .size = size, .centred = true, .epsilon = epsilon};
}

Variable row_norm(const char* op, const Variable& x, const Variable& weight, const Variable& bias,
                  const RowNorm& s) {
  const Tensor input = x.value().contiguous(), w = contiguous_or_none(weight),
               b = contiguous_or_none(bias);
  Tensor y = Tensor::empty(x.shape(), x.device());
  Tensor mean = Tensor::empty({s.rows}, x.device()), variance = Tensor::empty({s.rows}, x.device());
  KERNEL(y.device(), row_norm_forward, y.data(), mean.data(), variance.data(), input.data(),
         pointer_or_null(w), pointer_or_null(b), s);
  return make_result(
      op, y, {x, weight, bias}, [input, w, mean, variance, s](const Tensor& dy, Gradients& d) {
        if (d.create_graph()) {
          const Sets sets = {{s.rows, s.size}, {1, s.size}, {1}, s.centred, s.epsilon};
          return add_gradients(d, input, w, sets);
        }
        real *const dw = wanted(d, 1), *const db = wanted(d, 2);
        const Gradients::Target dx = d.target(0);  // last: x may be its own weight
        KERNEL(dy.device(), row_norm_backward, dx.data, dw, db, dy.data(), input.data(),
               mean.data(), variance.data(), pointer_or_null(w), s, dx.write);
      });
}

}  // namespace

Variable batch_norm(const Variable& x, Tensor running_mean, Tensor running_var,
                    const Variable& weight, const Variable& bias, const BatchNormOptions& options) {
  const PlaneNorm s = check_planes("batch_norm", x, weight, bias, options.epsilon);
  check(options.momentum >= 0 && options.momentum <= 1, "batch_norm",
        "momentum must be in 0 .. 1; got ", options.momentum);
  check_parameter("batch_norm", "running_mean", running_mean, {s.C});
  check_parameter("batch_norm", "running_var", running_var, {s.C});
  // Planes of few elements (of none of its own axes: [N, C]) become one of all samples.
  constexpr std::int64_t kFew = 16;
  if (s.N > 1 && s.inner < kFew) {
    const Variable planes = transpose(reshape(x, {s.N, s.C, s.inner}), 0, 1);
    const Variable y = batch_norm(reshape(planes, {1, s.C, s.N * s.inner}), running_mean,
                                  running_var, weight, bias, options);
    return reshape(transpose(reshape(y, {s.C, s.N, s.inner}), 0, 1), x.shape());
  }
  if (!options.training) {
    check(running_mean.defined() && running_var.defined(), "batch_norm",
          "outside of training, running_mean and running_var must be defined");
    return plane_norm("batch_norm", x, weight, bias, s, {running_mean.clone(), running_var.clone()},
                      true);
  }
  const std::int64_t count = s.N * s.inner;
  check(count > 1, "batch_norm", "in training a channel must have two elements; got ", x.shape());
  Tensor mean = Tensor::empty({s.C}, x.device()), variance = Tensor::empty({s.C}, x.device());
  Variable y = plane_norm("batch_norm", x, weight, bias, s, {mean, variance}, false);
  const NoGrad no_grad;
  move(running_mean, mean, options.momentum);
  const real correction = static_cast<real>(count) / static_cast<real>(count - 1);
  move(running_var, (correction * Variable(variance)).value(), options.momentum);
  return y;
}

Variable group_norm(const Variable& x, std::int64_t groups, const Variable& weight,
                    const Variable& bias, real epsilon) {
  PlaneNorm s = check_planes("group_norm", x, weight, bias, epsilon);
  check(groups >= 1 && s.C % groups == 0, "group_norm", "groups must divide the ", s.C,
        " channels; got ", groups);
  s.group = s.C / groups;
  return norm_of_sets("group_norm", x, weight, bias, s);
}

Variable instance_norm(const Variable& x, const Variable& weight, const Variable& bias,
                       real epsilon) {
  PlaneNorm s = check_planes("instance_norm", x, weight, bias, epsilon);
  check(s.inner > 1, "instance_norm", "a channel must have two elements; got ", x.shape());
  s.group = 1;
  return norm_of_sets("instance_norm", x, weight, bias, s);
}

Variable layer_norm(const Variable& x, const Shape& shape, const Variable& weight,
                    const Variable& bias, real epsilon) {
  return row_norm("layer_norm", x, weight, bias,
                  check_rows("layer_norm", x, shape, weight, bias, epsilon));
}

Variable rms_norm(const Variable& x, const Shape& shape, const Variable& weight, real epsilon) {
  RowNorm s = check_rows("rms_norm", x, shape, weight, {}, epsilon);
  s.centred = false;
  return row_norm("rms_norm", x, weight, {}, s);
}

}  // namespace serenade
