#include "nn/data/batch.h"

#include <algorithm>
#include <utility>

#include "tensor/check.h"

namespace serenade {

namespace {

// The labels of all samples, or none.
std::vector<std::int64_t> labels_of(const std::vector<Sample>& samples) {
  const auto has_label = [](const Sample& sample) { return sample.label != kNoLabel; };
  const auto count = std::count_if(samples.begin(), samples.end(), has_label);
  check(count == 0 || count == std::ssize(samples), "collate",
        "all samples of a batch must have a label, or none; got ", count, " labels for ",
        samples.size(), " samples");
  std::vector<std::int64_t> labels;
  if (count == 0) return labels;
  for (const Sample& sample : samples) labels.push_back(sample.label);
  return labels;
}

// Tensors of one shape, on top of each other; undefined where all are.
Tensor stack(const std::vector<Sample>& samples, Tensor Sample::*member, const char* what) {
  const Tensor& first = samples.front().*member;
  for (const Sample& sample : samples) {
    const Tensor& other = sample.*member;
    check(other.defined() == first.defined(), "collate", "all samples of a batch must have a ",
          what, ", or none");
    if (!first.defined()) continue;
    check(other.shape() == first.shape(), "collate", "the ", what,
          "s of a batch must have one shape; got ", first.shape(), " and ", other.shape());
  }
  if (!first.defined()) return {};
  Shape shape = first.shape();
  shape.insert(shape.begin(), std::ssize(samples));
  element_count(shape, "collate");
  Tensor stacked = Tensor::empty(shape);
  real* to = stacked.data();
  for (const Sample& sample : samples) {
    const Tensor dense = (sample.*member).contiguous();
    to = std::copy_n(dense.data(), dense.numel(), to);
  }
  return stacked;
}

void check_samples(const std::vector<Sample>& samples) {
  check(!samples.empty(), "collate", "a batch must have a sample");
  for (const Sample& sample : samples) {
    check(sample.input.defined(), "collate", "a sample must have an input");
    check(in_host_memory(sample.input.device()), "collate", "samples must be in host memory");
  }
}

}  // namespace

Batch stack_samples(std::vector<Sample> samples) {
  check_samples(samples);
  return {.input = stack(samples, &Sample::input, "input"),
          .labels = labels_of(samples),
          .target = stack(samples, &Sample::target, "target")};
}

Collate pad_samples(PaddingOptions options) {
  return [options](std::vector<Sample> samples) {
    constexpr const char* kOp = "pad_samples";
    check_samples(samples);
    const Shape first = samples.front().input.shape();
    const std::int64_t axis = normalized_axis(kOp, options.axis, std::ssize(first));
    const auto at = static_cast<std::size_t>(axis);
    Batch batch{.labels = labels_of(samples), .target = stack(samples, &Sample::target, "target")};
    std::int64_t longest = 0;
    for (const Sample& sample : samples) {
      Shape shape = sample.input.shape();
      batch.lengths.push_back(at < shape.size() ? shape[at] : 0);
      longest = std::max(longest, batch.lengths.back());
      if (at < shape.size()) shape[at] = first[at];
      check(shape == first, kOp, "the inputs of a batch may differ along axis ", axis,
            " only; got ", first, " and ", sample.input.shape());
    }
    Shape shape = first;
    shape[at] = longest;
    shape.insert(shape.begin(), std::ssize(samples));
    element_count(shape, kOp);
    batch.input = Tensor::full(shape, options.value);
    // Each sample is `outer` runs, one for each place of the axes before the one that is padded.
    std::int64_t outer = 1, inner = 1;
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (i < at) outer *= first[i];
      if (i > at) inner *= first[i];
    }
    real* to = batch.input.data();
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const Tensor dense = samples[i].input.contiguous();
      const std::int64_t run = batch.lengths[i] * inner;
      for (std::int64_t o = 0; o < outer; ++o, to += longest * inner) {
        std::copy_n(dense.data() + o * run, run, to);
      }
    }
    return batch;
  };
}

}  // namespace serenade
