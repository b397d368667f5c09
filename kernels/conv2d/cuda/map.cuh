#pragma once
// How the kernels of the convolution read and write images [N, channels, height, width]: stored as
// they are, or through ReLU and pooling. Every step of the ladder reads through a MapSource and
// writes through a MapSink, so each has its fused form for free.

#include <cstdint>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cuda/versions.h"
#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {

/// Windows of the pooling between an image and what is stored of it.
struct MapWindows {
  int channels, height, width;  // of the image before pooling
  int pool_h = 1, pool_w = 1;
  int stored = 0;  // channels of the pooled map of which these are a part, or as many as these

  __device__ __forceinline__ int pooled_h() const { return height / pool_h; }
  __device__ __forceinline__ int pooled_w() const { return width / pool_w; }

  /// The stored element of window (i, j), or of the pixel where nothing is pooled.
  __device__ __forceinline__ std::int64_t offset(std::int64_t n, int c, int i, int j) const {
    return ((n * stored + c) * pooled_h() + i) * pooled_w() + j;
  }
};

/// Indices of four neighbouring windows: one access of 4 bytes.
struct alignas(4) FourBytes {
  std::uint8_t value[4];
};

/// An image to be read. Where index is not null it is a gradient after ReLU and pooling: data and
/// index are stored per window, and only the pixel that index names has a gradient.
struct MapSource {
  AliasedPointer<const real> data;
  AliasedPointer<const std::uint8_t> index;
  MapWindows map;

  /// The pixel (h, w); 0 outside the image.
  __device__ __forceinline__ real at(std::int64_t n, int c, int h, int w) const {
    if (h < 0 || h >= map.height || w < 0 || w >= map.width) return 0;
    if (!index) {
      const real value = data[((n * map.channels + c) * map.height + h) * map.width + w];
      return value;
    }
    const int i = h / map.pool_h, j = w / map.pool_w;
    if (i >= map.pooled_h() || j >= map.pooled_w()) return 0;  // dropped by the pooling
    const std::int64_t window = map.offset(n, c, i, j);
    const int winner = index[window];
    if (winner != (h - i * map.pool_h) * map.pool_w + (w - j * map.pool_w)) return 0;
    const real value = data[window];
    return value;
  }
};

/// An image to be written: stored, added, or where index is not null, through ReLU and pooling.
struct MapSink {
  AliasedPointer<real> data;
  AliasedPointer<std::uint8_t> index;
  MapWindows map;
  bool add = false;

  __device__ __forceinline__ void put_at(std::int64_t at, real value) const {
    if (add) {
      data[at] += value;
    } else {
      data[at] = value;
    }
  }

  __device__ __forceinline__ void put(std::int64_t n, int c, int h, int w, real value) const {
    if (c >= map.channels || h >= map.height || w >= map.width) return;
    put_at(((n * map.channels + c) * map.height + h) * map.width + w, value);
  }

  /// Columns w .. w + 3, w a multiple of 4; `vec4s` where rows are whole Vec4s.
  __device__ __forceinline__ void put_vec4(std::int64_t n, int c, int h, int w, Vec4 four,
                                           bool vec4s) const {
    if (!vec4s) {
      SERENADE_UNROLL for (int e = 0; e < 4; ++e) put(n, c, h, w + e, four.value[e]);
      return;
    }
    if (c >= map.channels || h >= map.height || w >= map.width) return;
    const std::int64_t at = ((n * map.channels + c) * map.height + h) * map.width + w;
    if (add) {
      const Vec4 old = load_vector<Vec4>(data + at);
      SERENADE_UNROLL for (int e = 0; e < 4; ++e) four.value[e] += old.value[e];
    }
    store_vector(data + at, four);
  }
};

/// max(relu(window)), one element after the other: the first of equals, and NaN before other
/// values.
class WindowMaximum {
 public:
  __device__ __forceinline__ void see(real value, int position) {
    if (position == 0 || value > best_ || value != value) {
      best_ = value;
      where_ = position;
    }
  }
  __device__ __forceinline__ void store(const MapSink& y, std::int64_t at) const {
    const bool killed = best_ <= 0;  // false for NaN, which must stay visible
    y.data[at] = killed ? real(0) : best_;
    y.index[at] = killed ? kKilledByRelu : static_cast<std::uint8_t>(where_);
  }

 private:
  real best_ = 0;
  int where_ = 0;
};

/// Conv2dShape in the 32 bits that sizes and offsets within a plane have in a kernel.
struct ConvSizes {
  std::int64_t N;
  int C, H, W, K, R, S, stride_h, stride_w, pad_top, pad_left, out_h, out_w;

  explicit ConvSizes(const Conv2dShape& s)
      : N(s.N),
        C(static_cast<int>(s.C)),
        H(static_cast<int>(s.H)),
        W(static_cast<int>(s.W)),
        K(static_cast<int>(s.K)),
        R(static_cast<int>(s.R)),
        S(static_cast<int>(s.S)),
        stride_h(static_cast<int>(s.stride_h)),
        stride_w(static_cast<int>(s.stride_w)),
        pad_top(static_cast<int>(s.pad_top)),
        pad_left(static_cast<int>(s.pad_left)),
        out_h(static_cast<int>(s.out_h())),
        out_w(static_cast<int>(s.out_w())) {}
};

inline MapWindows map_windows(std::int64_t channels, std::int64_t height, std::int64_t width,
                              std::int64_t pool_h = 1, std::int64_t pool_w = 1,
                              std::int64_t stored = 0) {
  return {static_cast<int>(channels), static_cast<int>(height),
          static_cast<int>(width),    static_cast<int>(pool_h),
          static_cast<int>(pool_w),   static_cast<int>(stored == 0 ? channels : stored)};
}

/// dy of a shape.
inline MapSource gradient_map(const ConvSource& dy, const Conv2dShape& s) {
  return {dy.data, dy.index,
          map_windows(s.K, s.out_h(), s.out_w(), dy.pool_h, dy.pool_w, dy.channels)};
}

/// y of a shape.
inline MapSink output_map(const ConvSink& y, const Conv2dShape& s) {
  return {y.data, y.index, map_windows(s.K, s.out_h(), s.out_w(), y.pool_h, y.pool_w, y.channels)};
}

}  // namespace serenade::cuda
