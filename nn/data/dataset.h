#pragma once
// What a training learns from: samples by number. A DataLoader makes batches of them.

#include <cstdint>
#include <string>
#include <vector>

#include "nn/data/number_array.h"
#include "tensor/tensor.h"

namespace serenade {

/// The label of a sample that has none.
inline constexpr std::int64_t kNoLabel = -1;

struct Sample {
  Tensor input = {};              ///< any shape, in host memory
  std::int64_t label = kNoLabel;  ///< its class
  Tensor target = {};             ///< what else is to be learned (regression); or undefined
};

/// Samples 0 .. size() - 1.
class Dataset {
 public:
  Dataset() = default;
  virtual ~Dataset() = default;
  Dataset(const Dataset&) = default;
  Dataset& operator=(const Dataset&) = default;

  virtual std::int64_t size() const = 0;

  /// Sample `index`; throws std::invalid_argument for one that is not there. A function of the
  /// index alone: a loader's workers call it from several threads at once, in any order. What shall
  /// differ from epoch to epoch is a transform (transform.h).
  virtual Sample get(std::int64_t index) const = 0;
};

/// The slices of a tensor along its first axis. Nothing is copied: samples are views.
class TensorDataset : public Dataset {
 public:
  /// inputs: [N, ..] in host memory. labels: N classes, or none at all. targets: [N, ..] or
  /// undefined.
  explicit TensorDataset(const Tensor& inputs, std::vector<std::int64_t> labels = {},
                         const Tensor& targets = {});

  std::int64_t size() const override { return inputs_.size(0); }
  Sample get(std::int64_t index) const override;

  const Tensor& inputs() const { return inputs_; }
  const std::vector<std::int64_t>& labels() const { return labels_; }
  const Tensor& targets() const { return targets_; }

 private:
  Tensor inputs_;
  std::vector<std::int64_t> labels_;
  Tensor targets_;
};

/// Pictures as bytes, a quarter of their size as floats. A sample's input is [C, H, W] with values
/// byte / 255 in [0, 1].
class ImageDataset : public Dataset {
 public:
  /// images: bytes (u8), [N, H, W] for one channel or [N, C, H, W]. labels: N classes, or none.
  explicit ImageDataset(NumberArray images, std::vector<std::int64_t> labels = {});

  std::int64_t size() const override { return images_.shape[0]; }
  Sample get(std::int64_t index) const override;

  Shape image_shape() const { return {images_.shape[1], images_.shape[2], images_.shape[3]}; }
  const std::vector<std::int64_t>& labels() const { return labels_; }

 private:
  NumberArray images_;  // [N, C, H, W]
  std::vector<std::int64_t> labels_;
};

/// Some samples of another set, in the order given: the halves of a split, say.
class Subset : public Dataset {
 public:
  /// The set must outlive this. indices: its samples.
  Subset(const Dataset& whole, std::vector<std::int64_t> indices);
  Subset(const Dataset&&, std::vector<std::int64_t>) = delete;

  std::int64_t size() const override { return std::ssize(indices_); }
  Sample get(std::int64_t index) const override;

 private:
  const Dataset& whole_;
  std::vector<std::int64_t> indices_;
};

/// Sixteen hexadecimal digits that change with any input, label or target of a set: what a training
/// that goes on after a break must find unchanged. Reads every sample.
std::string content_hash(const Dataset& data);

/// The tensor `inputs` and the integers `labels` of a safetensors file; no labels where the name is
/// empty. Throws as read_safetensors() and TensorDataset do, naming the file.
TensorDataset read_safetensors_dataset(const std::string& path, const std::string& inputs,
                                       const std::string& labels = "");

}  // namespace serenade
