// Spectrograms: the sums of spectrogram_table()'s comment for all bins and frames.
//
// A value takes 2 multiply-adds per pair of samples, 4 * 320 * 4096 = 5.2 MFLOP for a frame of the
// paper's preset, no less than 78 ns at 67 TFLOP/s. That frame is 160 new samples (640 bytes) and
// 16 KB of spectrogram (8 KB in half precision), 3.5 ns at 4.8 TB/s; the 10.5 MB of the table stay
// in the second-level cache. So the multiply-adds are what counts.
//
// v1 is a matrix product [bins, pairs] x [pairs, frames] twice over, cosines by sums and sines by
// differences, whose second operand exists in shared memory only: frames overlap, so stored it
// would be four times the signal. A block of 128 threads has 128 bins x 64 frames, a thread 8 x 8
// of them in 128 registers. Per pair a thread reads 8 cosines, 8 sines, 8 sums and 8 differences of
// shared memory, 16 bytes at a time, for 128 multiply-adds: as many per read as the 8 x 8 tile of
// the matrix product (kernels/gemm/cuda/register_block.cu). A step of 8 pairs is about 1250
// instructions, 1024 of them multiply-adds. For its 10.5 MFLOP a block takes 328 KB of the table
// and 43 KB of the signal from the second-level cache, 28 operations a byte: 2.4 TB/s at 67
// TFLOP/s.
//
// Three stages of 12 KB: the table's next tiles come by asynchronous copies, two ahead; the
// signal's through registers, one ahead, since they are added on the way. The spectrogram's tile
// then reuses the stages' memory, so that its rows are written along the frames whatever their
// alignment, with root, logarithm and rounding to half precision on the way.

#include <type_traits>

#include "kernels/runtime/cuda/loops.cuh"
#include "kernels/spectrogram/cuda/spectrogram.cuh"
#include "kernels/spectrogram/cuda/versions.h"

namespace serenade::cuda {

namespace {

/// Of one launch. Frames and 64 shifts are below 2^31.
struct SpectrogramSizes {
  std::int64_t samples;
  int frames, frame_tiles;
  int window, hop_length, bins, pairs;
  bool table_vectors;  ///< the table may be copied 16 bytes at a time
  SpectrumValue value;
  float offset, loudest;
};

__device__ __forceinline__ float spectrum_value(float power, const SpectrogramSizes& s) {
  if (s.value == SpectrumValue::power) return power;
  const float magnitude = sqrtf(power);
  if (s.value == SpectrumValue::log) return logf(magnitude + s.offset);
  if (s.value == SpectrumValue::magnitude) return magnitude;
  return log1pf(255.0f * magnitude / s.loudest) / logf(256.0f);
}

// v0 ----------------------------------------------------------------------------------------------

/// Sample i of the signal, 0 past its end.
__device__ __forceinline__ float sample_at(GlobalPointer<const float> samples, std::int64_t i,
                                           const SpectrogramSizes& s) {
  if (i >= s.samples) return 0.0f;
  return samples[i];
}

/// One value per thread, neighbouring bins beside each other.
template <class Stored>
__global__ void __launch_bounds__(kLoopThreads)
    plain(GlobalPointer<Stored> spectrogram, GlobalPointer<const float> samples,
          GlobalPointer<const float> table, SpectrogramSizes s) {
  const std::int64_t values = std::int64_t{s.bins} * s.frames;
  const GlobalPointer<const float> sines = table + std::int64_t{s.pairs} * s.bins;
  for (std::int64_t i = loop_begin(); i < values; i += grid_stride()) {
    const std::int64_t frame = i / s.bins, bin = i - frame * s.bins, begin = frame * s.hop_length;
    float re = 0, im = 0;
    for (int n = 1; n <= s.pairs; ++n) {
      const float left = sample_at(samples, begin + n, s);
      const float right = sample_at(samples, begin + s.window - n, s);
      const std::int64_t at = std::int64_t{n - 1} * s.bins + bin;
      const float cosine = table[at], sine = sines[at];
      re += (left + right) * cosine;
      im += (right - left) * sine;
    }
    spectrogram[bin * s.frames + frame] = stored_as<Stored>(spectrum_value(re * re + im * im, s));
  }
}

// v1 ----------------------------------------------------------------------------------------------

constexpr int kThreads = 128, kBins = 128, kFrames = 64;  // of a block
constexpr int kOwn = 8;                                   // bins, and frames, of a thread
constexpr int kBinLanes = kBins / kOwn, kFrameLanes = kFrames / kOwn;
constexpr int kDepth = 8;  // pairs of a step
constexpr int kStages = 3;

// Of a stage, in floats. Rows of 64 + 4: eight pairs of four frames go to 32 different banks.
constexpr int kFrameRow = kFrames + 4;
constexpr int kSines = kDepth * kBins, kSums = 2 * kSines;
constexpr int kDifferences = kSums + kDepth * kFrameRow;
constexpr int kStage = kDifferences + kDepth * kFrameRow;

static_assert(kBinLanes * kFrameLanes == kThreads);
static_assert(kBins * kFrameRow <= kStages * kStage,
              "the spectrogram's tile fits where stages were");

struct alignas(16) Four {
  float v[4];
};

/// Element i of a thread's eight, out of 8 * Lanes: neighbours in memory are read together, and
/// those of consecutive lanes adjoin.
template <int Lanes>
__device__ __forceinline__ int own_index(int lane, int i) {
  return i / 4 * (4 * Lanes) + lane * 4 + i % 4;
}

template <int Lanes>
__device__ __forceinline__ void read_own(float (&own)[kOwn], SharedPointer<const float> row,
                                         int lane) {
  SERENADE_UNROLL for (int i = 0; i < kOwn; i += 4) {
    const auto four = load_vector<Four>(row + own_index<Lanes>(lane, i));
    SERENADE_UNROLL for (int j = 0; j < 4; ++j) own[i + j] = four.v[j];
  }
}

/// Begins to copy kDepth rows of cosines, then of sines, from pair `pair` on; zeros beyond the
/// ends.
template <int Width>
__device__ __forceinline__ void copy_factors(SharedPointer<float> stage,
                                             GlobalPointer<const float> table, int bin, int pair,
                                             const SpectrogramSizes& s) {
  constexpr int kPieces = kBins / Width, kRowsAtOnce = kThreads / kPieces;
  const int row = static_cast<int>(threadIdx.x) / kPieces;
  const int column = static_cast<int>(threadIdx.x) % kPieces * Width;
  const int rows = bin + column < s.bins ? s.pairs - pair : 0;
  const GlobalPointer<const float> cosines = table + (std::int64_t{pair} * s.bins + bin);
  const GlobalPointer<const float> sines = cosines + std::int64_t{s.pairs} * s.bins;
  SERENADE_UNROLL_BY(Width == 1 ? 1 : 4) for (int more = 0; more < kDepth; more += kRowsAtOnce) {
    const bool inside = row + more < rows;
    const int from = inside ? (row + more) * s.bins + column : 0;
    const int to = (row + more) * kBins + column;
    copy_async<4 * Width>(stage + to, cosines + from, inside);
    copy_async<4 * Width>(stage + (kSines + to), sines + from, inside);
  }
}

/// What a thread loads of the signal for one step: one pair of four frames. Indices count from the
/// block's first sample.
struct Mirrored {
  static constexpr int kCount = kFrames * kDepth / kThreads;

  float left[kCount], right[kCount];
  int pairs;              ///< left for this thread
  unsigned samples;       ///< up to the signal's end; more than any frame here needs will do
  int left_at, right_at;  ///< of the next pair of its first frame
  int apart;              ///< from one of its frames to the next

  __device__ __forceinline__ Mirrored(std::int64_t first_sample, const SpectrogramSizes& s) {
    const int pair = static_cast<int>(threadIdx.x) % kDepth;
    const int begin = static_cast<int>(threadIdx.x) / kDepth * s.hop_length;
    pairs = s.pairs - pair;
    const std::int64_t rest = s.samples - first_sample, most = kFrames * s.hop_length + s.window;
    samples = static_cast<unsigned>(rest < 0 ? 0 : rest < most ? rest : most);
    left_at = begin + pair + 1;
    right_at = begin + s.window - pair - 1;
    apart = kFrames / kCount * s.hop_length;
  }

  /// The next pair's samples; 0 past the last pair and past the signal's end.
  __device__ __forceinline__ void read(GlobalPointer<const float> from) {
    const unsigned end = pairs > 0 ? samples : 0;
    SERENADE_UNROLL for (int i = 0; i < kCount; ++i) {
      const int l = left_at + i * apart, r = right_at + i * apart;
      left[i] = right[i] = 0;
      if (static_cast<unsigned>(l) < end) left[i] = from[l];
      if (static_cast<unsigned>(r) < end) right[i] = from[r];
    }
    pairs -= kDepth;
    left_at += kDepth;
    right_at -= kDepth;
  }

  __device__ __forceinline__ void add_up(SharedPointer<float> stage) const {
    const int at =
        static_cast<int>(threadIdx.x) % kDepth * kFrameRow + static_cast<int>(threadIdx.x) / kDepth;
    SERENADE_UNROLL for (int i = 0; i < kCount; ++i) {
      stage[kSums + at + i * (kFrames / kCount)] = left[i] + right[i];
      stage[kDifferences + at + i * (kFrames / kCount)] = right[i] - left[i];
    }
  }
};

struct Spectra {
  float re[kOwn][kOwn] = {}, im[kOwn][kOwn] = {};

  __device__ __forceinline__ void add(SharedPointer<const float> stage, int bin_lane,
                                      int frame_lane) {
    SERENADE_UNROLL for (int k = 0; k < kDepth; ++k) {
      float factor[kOwn], term[kOwn];
      read_own<kBinLanes>(factor, stage + k * kBins, bin_lane);
      read_own<kFrameLanes>(term, stage + (kSums + k * kFrameRow), frame_lane);
      SERENADE_UNROLL for (int i = 0; i < kOwn; ++i) {
        SERENADE_UNROLL for (int j = 0; j < kOwn; ++j) re[i][j] += factor[i] * term[j];
      }
      read_own<kBinLanes>(factor, stage + (kSines + k * kBins), bin_lane);
      read_own<kFrameLanes>(term, stage + (kDifferences + k * kFrameRow), frame_lane);
      SERENADE_UNROLL for (int i = 0; i < kOwn; ++i) {
        SERENADE_UNROLL for (int j = 0; j < kOwn; ++j) im[i][j] += factor[i] * term[j];
      }
    }
  }

  /// tile [kBins] rows of kFrameRow.
  __device__ __forceinline__ void put_powers(SharedPointer<float> tile, int bin_lane,
                                             int frame_lane) const {
    SERENADE_UNROLL for (int i = 0; i < kOwn; ++i) {
      const SharedPointer<float> row = tile + own_index<kBinLanes>(bin_lane, i) * kFrameRow;
      SERENADE_UNROLL for (int j = 0; j < kOwn; j += 4) {
        Four power;
        SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
          power.v[e] = re[i][j + e] * re[i][j + e] + im[i][j + e] * im[i][j + e];
        }
        store_vector(row + own_index<kFrameLanes>(frame_lane, j), power);
      }
    }
  }
};

/// 128 registers of sums and two blocks on a multiprocessor leave 127 for everything else.
template <class Stored>
__global__ void __launch_bounds__(kThreads, 2)
    register_block(GlobalPointer<Stored> spectrogram, GlobalPointer<const float> samples,
                   GlobalPointer<const float> table, SpectrogramSizes s) {
  SERENADE_SHARED(float, memory, [kStages * kStage]);
  const SharedPointer<float> stages = memory;
  const int thread = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x);
  const int bin = block / s.frame_tiles * kBins, frame = block % s.frame_tiles * kFrames;
  const int bin_lane = thread / kFrameLanes, frame_lane = thread % kFrameLanes;
  const int steps = (s.pairs + kDepth - 1) / kDepth;
  const auto begin_copies = [&](int step) {
    const SharedPointer<float> stage = stages + step % kStages * kStage;
    if (step < steps) {
      if (s.table_vectors) {
        copy_factors<4>(stage, table, bin, step * kDepth, s);
      } else {
        copy_factors<1>(stage, table, bin, step * kDepth, s);
      }
    }
    commit_copies();  // an empty group keeps the count right
  };

  const std::int64_t first_sample = std::int64_t{frame} * s.hop_length;
  const GlobalPointer<const float> own_samples = samples + first_sample;
  Spectra spectra;
  Mirrored next(first_sample, s);
  begin_copies(0);
  begin_copies(1);
  next.read(own_samples);
  next.add_up(stages);
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step's operands are there, and no thread uses those of the step before
    begin_copies(step + 2);
    next.read(own_samples);
    spectra.add(stages + step % kStages * kStage, bin_lane, frame_lane);
    next.add_up(stages + (step + 1) % kStages * kStage);
  }
  wait_for_copies<0>();
  __syncthreads();
  spectra.put_powers(stages, bin_lane, frame_lane);
  __syncthreads();
  const int t = thread % 32;
  for (int row = thread / 32; row < kBins && bin + row < s.bins; row += kThreads / 32) {
    const GlobalPointer<Stored> to = spectrogram + (std::int64_t{bin + row} * s.frames + frame);
    SERENADE_UNROLL for (int e = 0; e < kFrames; e += 32) {
      if (frame + t + e >= s.frames) continue;
      const float power = stages[row * kFrameRow + t + e];
      to[t + e] = stored_as<Stored>(spectrum_value(power, s));
    }
  }
}

SpectrogramSizes sizes_of(const SpectrogramShape& shape, const float* table) {
  SpectrogramSizes s;
  s.samples = shape.samples;
  s.frames = static_cast<int>(shape.frames);
  s.frame_tiles = (s.frames + kFrames - 1) / kFrames;
  s.window = shape.window;
  s.hop_length = shape.hop_length;
  s.bins = shape.bins;
  s.pairs = shape.pairs();
  s.table_vectors = shape.bins % 4 == 0 && reinterpret_cast<std::uintptr_t>(table) % 16 == 0;
  s.value = shape.value;
  s.offset = static_cast<float>(shape.offset);
  s.loudest = 0.5f * static_cast<float>(shape.window);
  return s;
}

}  // namespace

void spectrogram_v0_plain(void* spectrogram, SpectrogramFormat format, const float* samples,
                          const float* table, const SpectrogramShape& shape) {
  const std::int64_t values = shape.bins * shape.frames;
  if (values == 0) return;
  with_stored(format, [&](auto* stored) {
    using Stored = std::remove_pointer_t<decltype(stored)>;
    SERENADE_LAUNCH(plain<Stored>, loop_grid(values), dim3(kLoopThreads), 0, current_stream(),
                    static_cast<Stored*>(spectrogram), samples, table, sizes_of(shape, table));
  });
}

void spectrogram_v1_register_block(void* spectrogram, SpectrogramFormat format,
                                   const float* samples, const float* table,
                                   const SpectrogramShape& shape) {
  if (shape.bins * shape.frames == 0) return;
  const SpectrogramSizes s = sizes_of(shape, table);
  const dim3 grid(blocks_for(shape.bins, kBins) * static_cast<unsigned>(s.frame_tiles));
  with_stored(format, [&](auto* stored) {
    using Stored = std::remove_pointer_t<decltype(stored)>;
    SERENADE_LAUNCH(register_block<Stored>, grid, dim3(kThreads), 0, current_stream(),
                    static_cast<Stored*>(spectrogram), samples, table, s);
  });
}

// A block of v1 works for all of its 128 x 64 values, however few are wanted, and counts samples
// within it in 32 bits.
void spectrogram(void* spectrogram, SpectrogramFormat format, const float* samples,
                 const float* table, const SpectrogramShape& shape) {
  if (shape.bins < 16 || shape.frames < 4 || shape.hop_length > 1 << 20) {
    spectrogram_v0_plain(spectrogram, format, samples, table, shape);
  } else {
    spectrogram_v1_register_block(spectrogram, format, samples, table, shape);
  }
}

}  // namespace serenade::cuda
