#pragma once
// Layers that normalise; formulas and sources stand at the functions of autograd/functions.h.
//
// Weights begin as ones, biases as zeros; without `affine` there are neither.

#include "nn/layer.h"

namespace serenade {

/// Batch normalisation. In training the statistics are those of the batch; in evaluation they are
/// the running ones, which training has moved. Buffers: running_mean [C], zeros; running_var [C],
/// ones.
class BatchNorm : public Layer {
 public:
  struct Options {
    std::int64_t num_features = 0;  ///< C
    real epsilon = real(1e-5);
    real momentum = real(0.1);        ///< of the running statistics
    bool affine = true;               ///< weight and bias [C]
    bool track_running_stats = true;  ///< false: the statistics of the batch, in evaluation too
  };

  Variable forward(const Variable& x) override;

  const Options options;
  Parameter weight, bias;              ///< undefined without `affine`
  Variable running_mean, running_var;  ///< undefined without `track_running_stats`

 protected:
  /// `name` of the class, for messages; inputs have `least` to `most` axes.
  BatchNorm(const Options& options, const char* name, std::int64_t least, std::int64_t most);

 private:
  const char* name_;
  std::int64_t least_, most_;
};

/// [N, C] or [N, C, T].
class BatchNorm1d : public BatchNorm {
 public:
  explicit BatchNorm1d(const Options& options) : BatchNorm(options, "BatchNorm1d", 2, 3) {}
};
/// [N, C, H, W].
class BatchNorm2d : public BatchNorm {
 public:
  explicit BatchNorm2d(const Options& options) : BatchNorm(options, "BatchNorm2d", 4, 4) {}
};

/// Over the last axes. x: [.., normalized_shape]. Parameters: weight, bias [normalized_shape].
class LayerNorm : public Layer {
 public:
  struct Options {
    Shape normalized_shape = {};
    real epsilon = real(1e-5);
    bool affine = true;
    bool bias = true;
  };

  explicit LayerNorm(Options options);
  Variable forward(const Variable& x) override;

  const Options options;
  Parameter weight, bias;
};

/// The same without mean and bias.
class RMSNorm : public Layer {
 public:
  struct Options {
    Shape normalized_shape = {};
    real epsilon = std::numeric_limits<real>::epsilon();
    bool affine = true;
  };

  explicit RMSNorm(Options options);
  Variable forward(const Variable& x) override;

  const Options options;
  Parameter weight;
};

/// Over groups of neighbouring channels of each sample. x: [N, num_channels, ..].
class GroupNorm : public Layer {
 public:
  struct Options {
    std::int64_t num_groups = 0;
    std::int64_t num_channels = 0;
    real epsilon = real(1e-5);
    bool affine = true;
  };

  explicit GroupNorm(const Options& options);
  Variable forward(const Variable& x) override;

  const Options options;
  Parameter weight, bias;
};

/// Over each channel of each sample. x: [N, num_features, ..]. No parameters unless `affine`.
class InstanceNorm : public Layer {
 public:
  struct Options {
    std::int64_t num_features = 0;
    real epsilon = real(1e-5);
    bool affine = false;
  };

  explicit InstanceNorm(const Options& options);
  Variable forward(const Variable& x) override;

  const Options options;
  Parameter weight, bias;
};

}  // namespace serenade
