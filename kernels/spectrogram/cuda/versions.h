#pragma once
// The ladder of the spectrogram. Both steps take any shape, and have the arguments of
// cuda::spectrogram (kernels/spectrogram/spectrogram.h).
//
//   v0 plain           one thread per value of the spectrogram, the formula; in use where a tile of
//                      v1 would stay nearly empty
//   v1 register block  two matrix products at once, [bins, pairs] by [pairs, frames], whose second
//                      operands are made of the signal on the way into shared memory

#include "kernels/spectrogram/spectrogram.h"

namespace serenade::cuda {

void spectrogram_v0_plain(void* spectrogram, SpectrogramFormat format, const float* samples,
                          const float* table, const SpectrogramShape& shape);
void spectrogram_v1_register_block(void* spectrogram, SpectrogramFormat format,
                                   const float* samples, const float* table,
                                   const SpectrogramShape& shape);

}  // namespace serenade::cuda
