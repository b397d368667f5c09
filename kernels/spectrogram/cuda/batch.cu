// Mel bands, moments and batches of spectrograms on the device; the transform itself is in
// spectrogram.cu. All of it is limited by memory: neighbouring lanes have neighbouring frames.

#include "kernels/spectrogram/cuda/spectrogram.cuh"

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {

namespace {

constexpr int kWarpsPerBlock = kLoopThreads / 32;

/// Items are shared out among warps: the first item of this one, and the step to its next.
__device__ __forceinline__ std::int64_t first_of_warp() {
  return static_cast<std::int64_t>(blockIdx.x) * kWarpsPerBlock + threadIdx.x / 32;
}
__device__ __forceinline__ std::int64_t step_of_warp() {
  return static_cast<std::int64_t>(gridDim.x) * kWarpsPerBlock;
}

/// One value per thread. A power is read by the two or so bands that it belongs to: 8 bytes a
/// power, most of the second time from the second-level cache.
template <class Stored>
__global__ void __launch_bounds__(kLoopThreads)
    mel(GlobalPointer<Stored> spectrogram, GlobalPointer<const float> power, std::int64_t frames,
        GlobalPointer<const std::int32_t> first, GlobalPointer<const std::int32_t> begin,
        GlobalPointer<const float> weights, std::int64_t values, float offset) {
  for (std::int64_t i = loop_begin(); i < values; i += grid_stride()) {
    const std::int64_t band = i / frames, frame = i - band * frames;
    const std::int32_t bin = first[band], own = begin[band], end = begin[band + 1];
    float energy = 0;
    for (std::int32_t j = own; j < end; ++j) {
      const float weight = weights[j], p = power[(bin + j - own) * frames + frame];
      energy += weight * p;
    }
    spectrogram[i] = stored_as<Stored>(logf(energy + offset));
  }
}

/// A row per warp, twice: for its mean, then for the distances from it. The second time a row
/// comes from a cache. A lane adds every 32nd frame, and the lanes are added in a fixed tree.
template <class Stored>
__global__ void __launch_bounds__(kLoopThreads)
    moments_of_rows(GlobalPointer<double> moments, GlobalPointer<const Stored> spectrogram,
                    std::int64_t rows, std::int64_t frames) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (std::int64_t row = first_of_warp(); row < rows; row += step_of_warp()) {
    const GlobalPointer<const Stored> values = spectrogram + row * frames;
    double sum = 0, squares = 0;
    for (std::int64_t t = lane; t < frames; t += 32) {
      const Stored v = values[t];
      sum += static_cast<double>(to_float(v));
    }
    const double mean = warp_reduce(sum, 32, Plus{}) / static_cast<double>(frames);
    for (std::int64_t t = lane; t < frames; t += 32) {
      const Stored v = values[t];
      const double distance = static_cast<double>(to_float(v)) - mean;
      squares += distance * distance;
    }
    squares = warp_reduce(squares, 32, Plus{});
    if (lane == 0) {
      moments[2 * row] = mean;
      moments[2 * row + 1] = squares;
    }
  }
}

/// A row of one piece per warp. Every lane has kAtOnce loads under way before it uses the first: a
/// row of up to 256 frames in one go. Bytes per value: 2 or 4 read, sizeof(real) written; 16 pieces
/// of 4096 x 200 halves are 26 and 52 MB. Rows and frames are counted in 32 bits: half of the
/// instructions would otherwise count.
template <class Stored>
__global__ void __launch_bounds__(kLoopThreads)
    gather(GlobalPointer<real> batch, GlobalPointer<const SpectrogramPiece> pieces, unsigned rows,
           unsigned all_rows, int length) {
  constexpr int kAtOnce = 8;
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (unsigned item = blockIdx.x * kWarpsPerBlock + threadIdx.x / 32; item < all_rows;
       item += gridDim.x * kWarpsPerBlock) {
    const unsigned which = item / rows, row = item - which * rows;
    const SpectrogramPiece piece = pieces[which];
    const GlobalPointer<const real> means = piece.mean, scales = piece.scale;
    const real mean = means[row], scale = scales[row];
    const GlobalPointer<const Stored> from = static_cast<const Stored*>(piece.spectrogram) +
                                             (row * piece.spectrogram_frames + piece.first);
    const GlobalPointer<real> to = batch + std::int64_t{item} * length;
    const int frames = static_cast<int>(piece.frames);
    for (int begin = lane; begin < length; begin += kAtOnce * 32) {
      Stored values[kAtOnce] = {};
      SERENADE_UNROLL for (int k = 0; k < kAtOnce; ++k) {
        const int t = begin + k * 32;
        if (t < frames) values[k] = from[t];
      }
      SERENADE_UNROLL for (int k = 0; k < kAtOnce; ++k) {
        const int t = begin + k * 32;
        const real value = (static_cast<real>(to_float(values[k])) - mean) * scale;
        if (t < length) to[t] = t < frames ? value : real(0);
      }
    }
  }
}

}  // namespace

void mel_spectrogram(void* spectrogram, SpectrogramFormat format, const float* power,
                     std::int64_t frames, const MelBands& bands) {
  const std::int64_t values = bands.bands * frames;
  if (values == 0) return;
  with_stored(format, [&](auto* stored) {
    using Stored = std::remove_pointer_t<decltype(stored)>;
    SERENADE_LAUNCH(mel<Stored>, loop_grid(values), dim3(kLoopThreads), 0, current_stream(),
                    static_cast<Stored*>(spectrogram), power, frames, bands.first, bands.begin,
                    bands.weights, values, static_cast<float>(bands.offset));
  });
}

void spectrogram_moments(double* moments, const void* spectrogram, SpectrogramFormat format,
                         std::int64_t rows, std::int64_t frames) {
  if (rows == 0) return;
  with_stored(format, [&](auto* stored) {
    using Stored = std::remove_pointer_t<decltype(stored)>;
    SERENADE_LAUNCH(moments_of_rows<Stored>, loop_grid(rows * 32), dim3(kLoopThreads), 0,
                    current_stream(), moments, static_cast<const Stored*>(spectrogram), rows,
                    frames);
  });
}

void gather_pieces(real* batch, const SpectrogramPiece* pieces, std::int64_t count,
                   std::int64_t rows, std::int64_t length, SpectrogramFormat format) {
  if (count * rows * length == 0) return;
  const OnDevice<SpectrogramPiece> table(pieces, count);
  with_stored(format, [&](auto* stored) {
    using Stored = std::remove_pointer_t<decltype(stored)>;
    SERENADE_LAUNCH(gather<Stored>, loop_grid(count * rows * 32), dim3(kLoopThreads), 0,
                    current_stream(), batch, table.data(), static_cast<unsigned>(rows),
                    static_cast<unsigned>(count * rows), static_cast<int>(length));
  });
}

}  // namespace serenade::cuda
