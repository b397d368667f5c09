#include "nn/data/dataset.h"

#include <stdexcept>
#include <utility>

#include "tensor/check.h"
#include "tensor/fnv.h"
#include "tensor/safetensors.h"

namespace serenade {

namespace {

void check_index(const char* op, std::int64_t index, std::int64_t size) {
  check(index >= 0 && index < size, op, "a sample must be one of 0 .. ", size - 1, "; got ", index);
}

void check_labels(const char* op, const std::vector<std::int64_t>& labels, std::int64_t size) {
  check(labels.empty() || std::ssize(labels) == size, op,
        "there must be a label for each sample, or none at all; got ", labels.size(),
        " labels for ", size, " samples");
}

// Row `index` along the first axis, without that axis.
Tensor row(const Tensor& rows, std::int64_t index) {
  return rows.slice(0, index, 1).reshape(Shape(rows.shape().begin() + 1, rows.shape().end()));
}

std::int64_t label_of(const std::vector<std::int64_t>& labels, std::int64_t index) {
  return labels.empty() ? kNoLabel : labels[static_cast<std::size_t>(index)];
}

}  // namespace

TensorDataset::TensorDataset(const Tensor& inputs, std::vector<std::int64_t> labels,
                             const Tensor& targets)
    : labels_(std::move(labels)) {
  constexpr const char* kOp = "TensorDataset";
  check(inputs.defined() && inputs.dim() >= 1, kOp, "inputs must be [N, ..]");
  check(in_host_memory(inputs.device()), kOp, "inputs must be in host memory");
  check_labels(kOp, labels_, inputs.size(0));
  inputs_ = inputs.contiguous();
  if (!targets.defined()) return;
  check(targets.dim() >= 1 && targets.size(0) == inputs.size(0), kOp,
        "targets must be [N, ..] as inputs are; got ", targets.shape(), " for ", inputs.shape());
  check(in_host_memory(targets.device()), kOp, "targets must be in host memory");
  targets_ = targets.contiguous();
}

Sample TensorDataset::get(std::int64_t index) const {
  check_index("TensorDataset", index, size());
  return {.input = row(inputs_, index),
          .label = label_of(labels_, index),
          .target = targets_.defined() ? row(targets_, index) : Tensor()};
}

ImageDataset::ImageDataset(NumberArray images, std::vector<std::int64_t> labels)
    : images_(std::move(images)), labels_(std::move(labels)) {
  constexpr const char* kOp = "ImageDataset";
  check(images_.type == NumberType::u8, kOp, "images must be bytes (u8); got ",
        to_string(images_.type));
  if (images_.shape.size() == 3) images_.shape.insert(images_.shape.begin() + 1, 1);
  check(images_.shape.size() == 4, kOp, "images must be [N, H, W] or [N, C, H, W]; got ",
        images_.shape);
  check(element_count(images_.shape, kOp) == std::ssize(images_.bytes), kOp,
        "the bytes must fill the shape; got ", images_.bytes.size(), " for ", images_.shape);
  check_labels(kOp, labels_, images_.shape[0]);
}

Sample ImageDataset::get(std::int64_t index) const {
  check_index("ImageDataset", index, size());
  Tensor input = Tensor::empty(image_shape());
  const auto* pixels =
      reinterpret_cast<const std::uint8_t*>(images_.bytes.data()) + index * input.numel();
  real* values = input.data();
  for (std::int64_t i = 0; i < input.numel(); ++i) values[i] = static_cast<real>(pixels[i]) / 255;
  return {.input = std::move(input), .label = label_of(labels_, index)};
}

Subset::Subset(const Dataset& whole, std::vector<std::int64_t> indices)
    : whole_(whole), indices_(std::move(indices)) {
  for (const std::int64_t index : indices_) check_index("Subset", index, whole.size());
}

Sample Subset::get(std::int64_t index) const {
  check_index("Subset", index, size());
  return whole_.get(indices_[static_cast<std::size_t>(index)]);
}

std::string content_hash(const Dataset& data) {
  Fnv hash;
  const auto add = [&hash](const Tensor& tensor) {
    if (!tensor.defined()) return hash.add_text("");
    hash.add_text(to_string(tensor.shape()));
    const Tensor dense = tensor.contiguous();
    hash.add(dense.data(), static_cast<std::size_t>(dense.numel()) * sizeof(real));
  };
  for (std::int64_t i = 0; i < data.size(); ++i) {
    const Sample sample = data.get(i);
    add(sample.input);
    hash.add(&sample.label, sizeof sample.label);
    add(sample.target);
  }
  return hash.hex();
}

TensorDataset read_safetensors_dataset(const std::string& path, const std::string& inputs,
                                       const std::string& labels) {
  const SafetensorsFile file = read_safetensors(path);
  const Tensor& values = file.tensor(inputs);
  std::vector<std::int64_t> classes;
  if (!labels.empty()) classes = file.integer(labels).values;
  if (values.dim() < 1 || (!labels.empty() && std::ssize(classes) != values.size(0))) {
    throw std::runtime_error(path + ": " + inputs + " must be [N, ..] with N labels; got " +
                             to_string(values.shape()) + " and " + std::to_string(classes.size()) +
                             " labels");
  }
  return TensorDataset(values, std::move(classes));
}

}  // namespace serenade
