// Reading and writing blocks of image rows, plainly or through ReLU and pooling, and the
// fixed-order sum of partial weight gradients: what the versions of the convolution share.

#include <algorithm>
#include <cstring>

#include "kernels/conv2d/cpu/conv2d_simd.h"
#include "kernels/conv2d/cpu/versions.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(Conv2dSimd, conv2d_simd);

void read_row(real* to, const RowSource& source, const ImageShape& image, std::int64_t sample,
              std::int64_t channel, std::int64_t row) {
  const std::int64_t plane = sample * image.channels + channel;
  if (source.index == nullptr) {
    std::memcpy(to, source.data + (plane * image.height + row) * image.width,
                sizeof(real) * image.width);
    return;
  }
  const std::int64_t pooled_h = image.height / source.pool_h;
  const std::int64_t pooled_w = image.width / source.pool_w;
  const std::int64_t i = row / source.pool_h;
  // Rows and columns that the pool dropped have no gradient.
  const std::int64_t kept = i < pooled_h ? pooled_w * source.pool_w : 0;
  std::fill(to + kept, to + image.width, real(0));
  if (i >= pooled_h) return;
  const std::int64_t from = (plane * pooled_h + i) * pooled_w;
  conv2d_simd().unpool_row(to, source.data + from, source.index + from, pooled_w,
                           (row % source.pool_h) * source.pool_w, source.pool_w);
}

void write_rows(const RowSink& sink, const ImageShape& image, std::int64_t sample,
                std::int64_t first, std::int64_t rows, const real* block, std::int64_t plane,
                std::int64_t pitch) {
  if (sink.index != nullptr) {
    const Conv2dSimd& simd = conv2d_simd();
    const std::int64_t pooled_h = image.height / sink.pool_h;
    const std::int64_t pooled_w = image.width / sink.pool_w;
    for (std::int64_t c = 0; c < image.channels; ++c) {
      for (std::int64_t h = 0; h + sink.pool_h <= rows; h += sink.pool_h) {
        const std::int64_t i = (first + h) / sink.pool_h;
        const std::int64_t to = ((sample * image.channels + c) * pooled_h + i) * pooled_w;
        simd.relu_maxpool_row(sink.data + to, sink.index + to, block + c * plane + h * pitch, pitch,
                              sink.pool_h, sink.pool_w, pooled_w);
      }
    }
    return;
  }
  // Rows without gaps are one: a row may end within a cache line, and to write a line in two parts
  // costs several times as much.
  const std::int64_t pieces = pitch == image.width ? 1 : rows;
  const std::int64_t size = rows / pieces * image.width;
  for (std::int64_t c = 0; c < image.channels; ++c) {
    for (std::int64_t h = 0; h < pieces; ++h) {
      const std::int64_t row = (sample * image.channels + c) * image.height + first + h;
      real* to = sink.data + row * image.width;
      const real* from = block + c * plane + h * pitch;
      if (sink.add) {
        for (std::int64_t w = 0; w < size; ++w) to[w] += from[w];
      } else {
        std::memcpy(to, from, sizeof(real) * size);
      }
    }
  }
}

std::int64_t conv2d_weight_partials(const Conv2dShape& shape, std::int64_t units) {
  // Enough pieces for many threads, but each of so many pixels that starting it and adding it up
  // costs little beside them. A power of two, so that two, four or eight threads get equal shares.
  constexpr std::int64_t kMaxPartials = 64;
  constexpr std::int64_t kMinPixels = 4096;
  const std::int64_t pixels = shape.N * shape.out_h() * shape.out_w();
  const std::int64_t most = std::min({units, kMaxPartials, pixels / kMinPixels});
  std::int64_t partials = 1;
  while (2 * partials <= most) partials *= 2;
  return partials;
}

void add_partials(real* dweight, const real* partials, std::int64_t count, std::int64_t size) {
  parallel_for(size, [&](std::int64_t i) {
    real sum = 0;
    for (std::int64_t p = 0; p < count; ++p) sum += partials[p * size + i];
    dweight[i] += sum;
  });
}

}  // namespace serenade::cpu
