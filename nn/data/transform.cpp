#include "nn/data/transform.h"

#include <algorithm>
#include <utility>

#include "tensor/check.h"

namespace serenade {

namespace {

// An input as planes of H x W.
struct Planes {
  std::int64_t count, height, width;
};

Planes planes_of(const char* op, const Tensor& input) {
  check(input.defined() && input.dim() >= 2, op, "the input must be [.., H, W]");
  const std::int64_t height = input.size(-2), width = input.size(-1);
  check(height > 0 && width > 0, op, "the input must not be empty; got ", input.shape());
  return {input.numel() / (height * width), height, width};
}

}  // namespace

RandomKey split_key(const RandomKey& key, std::uint64_t part) {
  const auto words = random_block(key, part);
  // Of the step all but the eight bits that the purpose takes.
  return {.seed = words[0] | static_cast<std::uint64_t>(words[1]) << 32,
          .purpose = key.purpose,
          .step = words[2] | static_cast<std::uint64_t>(words[3] & 0xFFFFFFu) << 32};
}

// Samples and batches are the even and the odd parts of an epoch's stream.
RandomKey sample_key(std::uint64_t seed, std::int64_t epoch, std::int64_t index) {
  return split_key({seed, Purpose::data, static_cast<std::uint64_t>(epoch)},
                   2 * static_cast<std::uint64_t>(index));
}

RandomKey batch_key(std::uint64_t seed, std::int64_t epoch, std::int64_t batch) {
  return split_key({seed, Purpose::data, static_cast<std::uint64_t>(epoch)},
                   2 * static_cast<std::uint64_t>(batch) + 1);
}

Transform compose(std::vector<Transform> transforms) {
  for (const Transform& transform : transforms) {
    check(transform != nullptr, "compose", "a transform must be a function");
  }
  return [transforms = std::move(transforms)](Sample sample, const RandomKey& key) {
    for (std::size_t i = 0; i < transforms.size(); ++i) {
      sample = transforms[i](std::move(sample), split_key(key, i));
    }
    return sample;
  };
}

Transform normalise(NormaliseOptions options) {
  constexpr const char* kOp = "normalise";
  check(!options.mean.empty() && options.mean.size() == options.stddev.size(), kOp,
        "there must be as many means as stddevs, at least one; got ", options.mean.size(), " and ",
        options.stddev.size());
  for (const real stddev : options.stddev) check(stddev > 0, kOp, "a stddev must be above 0");
  return [options = std::move(options)](Sample sample, const RandomKey&) {
    const Tensor input = sample.input.contiguous();
    const std::int64_t channels = std::ssize(options.mean);
    check(channels == 1 || (input.dim() >= 1 && input.size(0) == channels), kOp,
          "the input must have a channel for each mean; got ", input.shape(), " and ", channels,
          " means");
    Tensor result = Tensor::empty(input.shape());
    const std::int64_t size = input.numel() / channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      const real mean = options.mean[static_cast<std::size_t>(c)];
      const real stddev = options.stddev[static_cast<std::size_t>(c)];
      const real* from = input.data() + c * size;
      real* to = result.data() + c * size;
      for (std::int64_t i = 0; i < size; ++i) to[i] = (from[i] - mean) / stddev;
    }
    sample.input = std::move(result);
    return sample;
  };
}

Transform random_crop(RandomCropOptions options) {
  constexpr const char* kOp = "random_crop";
  check(options.size.size() == 2 && options.size[0] > 0 && options.size[1] > 0, kOp,
        "the size must be {H, W}, both above 0; got ", options.size);
  check(options.padding >= 0 && options.padding <= kMaxElements, kOp,
        "padding must not be negative or beyond all pictures; got ", options.padding);
  return [options = std::move(options)](Sample sample, const RandomKey& key) {
    const Tensor input = sample.input.contiguous();
    const Planes planes = planes_of(kOp, input);
    const std::int64_t height = options.size[0], width = options.size[1];
    const std::int64_t spare_rows = planes.height + 2 * options.padding - height;
    const std::int64_t spare_columns = planes.width + 2 * options.padding - width;
    check(spare_rows >= 0 && spare_columns >= 0, kOp,
          "the window must fit the padded picture; got ", options.size, " for ", input.shape(),
          " with padding ", options.padding);
    // Where the window begins in the picture; negative in the padding.
    const std::int64_t top = random_integer(key, 0, spare_rows + 1) - options.padding;
    const std::int64_t left = random_integer(key, 1, spare_columns + 1) - options.padding;
    Shape shape = input.shape();
    shape[shape.size() - 2] = height;
    shape[shape.size() - 1] = width;
    element_count(shape, kOp);
    Tensor result = Tensor::full(shape, options.value);
    const std::int64_t first_row = std::max<std::int64_t>(0, -top);
    const std::int64_t end_row = std::min(height, planes.height - top);
    const std::int64_t first_column = std::max<std::int64_t>(0, -left);
    const std::int64_t end_column = std::min(width, planes.width - left);
    for (std::int64_t plane = 0; plane < planes.count && first_column < end_column; ++plane) {
      for (std::int64_t y = first_row; y < end_row; ++y) {
        const real* from = input.data() + (plane * planes.height + top + y) * planes.width + left;
        std::copy(from + first_column, from + end_column,
                  result.data() + (plane * height + y) * width + first_column);
      }
    }
    sample.input = std::move(result);
    return sample;
  };
}

Transform random_horizontal_flip(double p) {
  constexpr const char* kOp = "random_horizontal_flip";
  check(p >= 0 && p <= 1, kOp, "p must be in 0 .. 1; got ", p);
  return [p](Sample sample, const RandomKey& key) {
    if (uniform(key, 0) >= p) return sample;
    const Tensor input = sample.input.contiguous();
    const Planes planes = planes_of(kOp, input);
    Tensor result = Tensor::empty(input.shape());
    for (std::int64_t row = 0; row < planes.count * planes.height; ++row) {
      const real* from = input.data() + row * planes.width;
      std::reverse_copy(from, from + planes.width, result.data() + row * planes.width);
    }
    sample.input = std::move(result);
    return sample;
  };
}

Transform cutout(CutoutOptions options) {
  constexpr const char* kOp = "cutout";
  check(options.size >= 0 && options.size <= kMaxElements, kOp,
        "the size must not be negative or beyond all pictures; got ", options.size);
  return [options](Sample sample, const RandomKey& key) {
    const Planes planes = planes_of(kOp, sample.input);
    const std::int64_t top = random_integer(key, 0, planes.height) - options.size / 2;
    const std::int64_t left = random_integer(key, 1, planes.width) - options.size / 2;
    const std::int64_t first_column = std::max<std::int64_t>(0, left);
    const std::int64_t end_column = std::min(planes.width, left + options.size);
    const std::int64_t end_row = std::min(planes.height, top + options.size);
    Tensor result = sample.input.clone();
    for (std::int64_t plane = 0; plane < planes.count; ++plane) {
      for (std::int64_t y = std::max<std::int64_t>(0, top); y < end_row; ++y) {
        real* row = result.data() + (plane * planes.height + y) * planes.width;
        std::fill(row + first_column, row + std::max(first_column, end_column), options.value);
      }
    }
    sample.input = std::move(result);
    return sample;
  };
}

}  // namespace serenade
