#pragma once
// The recurrent weights of the GRU as its inner loops (kernels/cpu/gru_simd.h) read them.

#include <cstdint>
#include <vector>

#include "kernels/cpu/gru_simd.h"

namespace serenade::cpu {

/// Columns rounded up to whole panels: the least distance between rows of a product's output.
inline std::int64_t padded_columns(std::int64_t columns) {
  return (columns + kGruColumns - 1) / kGruColumns * kGruColumns;
}

/// A recurrent matrix [depth, columns], packed once for all steps into panels of kGruColumns
/// columns, the last one filled up with zeros.
class PackedPanels {
 public:
  /// Element (i, j) is source[i * stride_depth + j * stride_column].
  PackedPanels(const real* source, std::int64_t depth, std::int64_t columns,
               std::int64_t stride_depth, std::int64_t stride_column)
      : depth_(depth), width_(padded_columns(columns)), values_(depth * width_) {
    for (std::int64_t j = 0; j < columns; ++j) {
      real* panel = values_.data() + j / kGruColumns * depth * kGruColumns;
      for (std::int64_t i = 0; i < depth; ++i) {
        panel[i * kGruColumns + j % kGruColumns] = source[i * stride_depth + j * stride_column];
      }
    }
  }

  /// out [rows, padded columns] += a [rows, depth] * this. Adds zeros to the padding columns.
  void multiply_add(real* out, std::int64_t out_stride, const real* a, std::int64_t a_stride,
                    std::int64_t rows) const {
    simd_.multiply_add(out, out_stride, a, a_stride, values_.data(), depth_, width_, rows);
  }

 private:
  const GruSimd& simd_ = gru_simd();  // chosen here: not first inside a parallel region
  std::int64_t depth_, width_;
  std::vector<real> values_;
};

}  // namespace serenade::cpu
