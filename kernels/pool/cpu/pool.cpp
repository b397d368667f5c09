// Max-pooling (formula and shapes: kernels/pool/pool.h).

#include "kernels/pool/pool.h"

#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

namespace {

// Windows one column wide, as both systems have them: all columns of a row of windows at once, in
// loops without branches that the compiler turns into vectors.
void forward_columns(real* __restrict y, std::int32_t* __restrict index, const real* __restrict x,
                     std::int64_t rows, std::int64_t width) {
  for (std::int64_t j = 0; j < width; ++j) y[j] = x[j];
  for (std::int64_t j = 0; j < width; ++j) index[j] = 0;
  for (std::int64_t a = 1; a < rows; ++a) {
    const auto position = static_cast<std::int32_t>(a);
    const real* row = x + a * width;
    for (std::int64_t j = 0; j < width; ++j) {
      const real value = row[j];
      const bool better = (value > y[j]) | (value != value);
      y[j] = better ? value : y[j];
      index[j] = better ? position : index[j];
    }
  }
}

void backward_columns(real* __restrict dx, const real* __restrict dy,
                      const std::int32_t* __restrict index, std::int64_t rows, std::int64_t width) {
  for (std::int64_t a = 0; a < rows; ++a) {
    const auto position = static_cast<std::int32_t>(a);
    real* row = dx + a * width;
    for (std::int64_t j = 0; j < width; ++j) {
      const real g = dy[j];
      row[j] += index[j] == position ? g : real(0);
    }
  }
}

}  // namespace

void max_pool2d_forward(real* y, std::int32_t* index, const real* x, const PoolShape& shape) {
  const std::int64_t out_h = shape.out_h();
  const std::int64_t out_w = shape.out_w();
  parallel_for(shape.planes * out_h, [&](std::int64_t line) {
    const std::int64_t p = line / out_h, i = line % out_h;
    const real* window_row = x + (p * shape.height + i * shape.window_h) * shape.width;
    const std::int64_t out = (p * out_h + i) * out_w;
    if (shape.window_w == 1) {
      forward_columns(y + out, index + out, window_row, shape.window_h, shape.width);
      return;
    }
    for (std::int64_t j = 0; j < out_w; ++j) {
      real best = window_row[j * shape.window_w];
      std::int32_t where = 0;
      for (std::int64_t a = 0; a < shape.window_h; ++a) {
        for (std::int64_t b = 0; b < shape.window_w; ++b) {
          const real value = window_row[a * shape.width + j * shape.window_w + b];
          if (value > best || value != value) {
            best = value;
            where = static_cast<std::int32_t>(a * shape.window_w + b);
          }
        }
      }
      y[out + j] = best;
      index[out + j] = where;
    }
  });
}

void max_pool2d_backward(real* dx, const real* dy, const std::int32_t* index,
                         const PoolShape& shape) {
  const std::int64_t out_h = shape.out_h();
  const std::int64_t out_w = shape.out_w();
  // Windows do not overlap, so no two threads write the same element.
  parallel_for(shape.planes * out_h, [&](std::int64_t line) {
    const std::int64_t p = line / out_h, i = line % out_h;
    real* window_row = dx + (p * shape.height + i * shape.window_h) * shape.width;
    const std::int64_t out = (p * out_h + i) * out_w;
    if (shape.window_w == 1) {
      backward_columns(window_row, dy + out, index + out, shape.window_h, shape.width);
      return;
    }
    for (std::int64_t j = 0; j < out_w; ++j) {
      const std::int64_t row = index[out + j] / shape.window_w;
      const std::int64_t column = index[out + j] % shape.window_w;
      window_row[row * shape.width + j * shape.window_w + column] += dy[out + j];
    }
  });
}

}  // namespace serenade::cpu
