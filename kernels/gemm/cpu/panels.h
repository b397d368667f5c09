#pragma once
// A matrix that is packed once and multiplied by a few rows many times: the recurrent weights of a
// layer, at every step.

#include <algorithm>
#include <cstdint>

#include "kernels/gemm/cpu/packed_simd.h"
#include "kernels/gemm/cpu/panels_simd.h"

namespace serenade::cpu {

/// Columns rounded up to whole panels: the least distance between rows of a product's output.
inline std::int64_t padded_columns(std::int64_t columns) {
  const std::int64_t panel = gemm_simd().tile_columns;
  return (columns + panel - 1) / panel * panel;
}

/// A matrix [depth, columns], packed into memory of the caller.
class PackedPanels {
 public:
  /// Reals of memory that it takes.
  static std::int64_t size(std::int64_t depth, std::int64_t columns) {
    return depth * padded_columns(columns);
  }

  PackedPanels() = default;
  /// source: [depth, columns], or [columns, depth] where `transposed`.
  PackedPanels(real* memory, const real* source, bool transposed, std::int64_t depth,
               std::int64_t columns)
      : values_(memory), depth_(depth), columns_(columns) {
    const GemmSimd& simd = gemm_simd();
    for (std::int64_t j = 0; j < columns; j += simd.tile_columns) {
      simd.pack_columns(memory + j * depth, source + (transposed ? j * depth : j),
                        transposed ? depth : columns, transposed, depth,
                        std::min(simd.tile_columns, columns - j));
    }
  }

  /// out [rows, padded columns] = start + a [rows, depth] * this (PanelsSimd::multiply).
  void multiply(real* out, std::int64_t out_stride, const real* start, std::int64_t start_stride,
                const real* const* a, std::int64_t rows) const {
    simd_->multiply(out, out_stride, start, start_stride, a, values_, depth_, columns_, rows);
  }

 private:
  const PanelsSimd* simd_ = &panels_simd();
  const real* values_ = nullptr;
  std::int64_t depth_ = 0, columns_ = 0;
};

}  // namespace serenade::cpu
