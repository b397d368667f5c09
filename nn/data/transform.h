#pragma once
// What happens to a sample on its way into a batch.
//
// A transform is a function of the sample and of a key, from which it draws whatever is random
// (uniform(key, 0), random_integer(key, 1, n), ..; tensor/random.h). A loader makes the key of its
// seed, the epoch and the number of the sample, so that neither the order nor the worker matters. A
// transform returns a new tensor and never writes into the one it was given, which may be a view of
// the whole set.

#include <cstdint>
#include <functional>
#include <vector>

#include "nn/data/dataset.h"
#include "tensor/random.h"

namespace serenade {

using Transform = std::function<Sample(Sample, const RandomKey&)>;

/// The stream of sample `index` in an epoch.
RandomKey sample_key(std::uint64_t seed, std::int64_t epoch, std::int64_t index);
/// The stream of batch `batch` in an epoch, for what mixes samples.
RandomKey batch_key(std::uint64_t seed, std::int64_t epoch, std::int64_t batch);
/// Part `part` of a stream as a stream of its own. Who splits a key draws nothing else from it.
RandomKey split_key(const RandomKey& key, std::uint64_t part);

/// One after the other, each with its part of the key, so that two alike differ in what they draw.
Transform compose(std::vector<Transform> transforms);

/// (x - mean[c]) / stddev[c] for each channel c: input [C, ..]. Vectors of one hold for all
/// channels, of an input of any shape.
struct NormaliseOptions {
  std::vector<real> mean;
  std::vector<real> stddev;  ///< above 0
};
Transform normalise(NormaliseOptions options);

// Pictures: inputs are [.., H, W], and all channels are treated alike. ----------------------------

/// A window of `size` {H, W}, every place of it equally likely, out of the picture with `padding`
/// more pixels of `value` on each side. The first row is random_integer(key, 0, ..), the first
/// column random_integer(key, 1, ..).
struct RandomCropOptions {
  std::vector<std::int64_t> size;
  std::int64_t padding = 0;
  real value = 0;
};
Transform random_crop(RandomCropOptions options);

/// Left becomes right, with probability p: where uniform(key, 0) < p.
Transform random_horizontal_flip(double p = 0.5);

/// A square of `size` pixels a side becomes `value` (DeVries and Taylor 2017). Its centre is any
/// pixel of the picture, row random_integer(key, 0, H) and column random_integer(key, 1, W), so
/// that a part may lie outside: it has the rows y - size / 2 .. y - size / 2 + size - 1, and
/// columns likewise.
struct CutoutOptions {
  std::int64_t size = 16;
  real value = 0;
};
Transform cutout(CutoutOptions options);

}  // namespace serenade
