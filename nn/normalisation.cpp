#include "nn/normalisation.h"

#include <utility>

#include "nn/init.h"
#include "tensor/check.h"

namespace serenade {

namespace {

Tensor value_of(const Variable& x) { return x.defined() ? x.value() : Tensor(); }

void check_features(const char* op, const Variable& x, std::int64_t features) {
  check(x.defined() && x.dim() >= 2 && x.size(1) == features, op, "the input must be [N, ",
        features, ", ..]; got ", x.defined() ? x.shape() : Shape{});
}

}  // namespace

BatchNorm::BatchNorm(const Options& chosen, const char* name, std::int64_t least, std::int64_t most)
    : options(chosen), name_(name), least_(least), most_(most) {
  const Shape shape = {options.num_features};
  check(options.num_features > 0, name, "num_features must be positive; got ",
        options.num_features);
  if (options.affine) {
    weight = register_parameter("weight", Tensor::ones(shape));
    bias = register_parameter("bias", init::zeros(shape));
  }
  if (options.track_running_stats) {
    running_mean = register_buffer("running_mean", Tensor(shape));
    running_var = register_buffer("running_var", Tensor::ones(shape));
  }
}

Variable BatchNorm::forward(const Variable& x) {
  check_features(name_, x, options.num_features);
  check(x.dim() >= least_ && x.dim() <= most_, name_, "the input must have ", least_, " to ", most_,
        " axes; got ", x.shape());
  return batch_norm(x, value_of(running_mean), value_of(running_var), weight, bias,
                    {.training = training() || !options.track_running_stats,
                     .momentum = options.momentum,
                     .epsilon = options.epsilon});
}

LayerNorm::LayerNorm(Options chosen) : options(std::move(chosen)) {
  check(!options.normalized_shape.empty() && element_count(options.normalized_shape) > 0,
        "LayerNorm", "normalized_shape must hold an element; got ", options.normalized_shape);
  if (!options.affine) return;
  weight = register_parameter("weight", Tensor::ones(options.normalized_shape));
  if (options.bias) bias = register_parameter("bias", init::zeros(options.normalized_shape));
}

Variable LayerNorm::forward(const Variable& x) {
  return layer_norm(x, options.normalized_shape, weight, bias, options.epsilon);
}

RMSNorm::RMSNorm(Options chosen) : options(std::move(chosen)) {
  check(!options.normalized_shape.empty() && element_count(options.normalized_shape) > 0, "RMSNorm",
        "normalized_shape must hold an element; got ", options.normalized_shape);
  if (options.affine) weight = register_parameter("weight", Tensor::ones(options.normalized_shape));
}

Variable RMSNorm::forward(const Variable& x) {
  return rms_norm(x, options.normalized_shape, weight, options.epsilon);
}

GroupNorm::GroupNorm(const Options& chosen) : options(chosen) {
  check(options.num_channels > 0 && options.num_groups > 0 &&
            options.num_channels % options.num_groups == 0,
        "GroupNorm", "num_groups must divide num_channels, both positive; got ", options.num_groups,
        " and ", options.num_channels);
  if (!options.affine) return;
  weight = register_parameter("weight", Tensor::ones({options.num_channels}));
  bias = register_parameter("bias", init::zeros({options.num_channels}));
}

Variable GroupNorm::forward(const Variable& x) {
  check_features("GroupNorm", x, options.num_channels);
  return group_norm(x, options.num_groups, weight, bias, options.epsilon);
}

InstanceNorm::InstanceNorm(const Options& chosen) : options(chosen) {
  check(options.num_features > 0, "InstanceNorm", "num_features must be positive; got ",
        options.num_features);
  if (!options.affine) return;
  weight = register_parameter("weight", Tensor::ones({options.num_features}));
  bias = register_parameter("bias", init::zeros({options.num_features}));
}

Variable InstanceNorm::forward(const Variable& x) {
  check_features("InstanceNorm", x, options.num_features);
  return instance_norm(x, weight, bias, options.epsilon);
}

}  // namespace serenade
