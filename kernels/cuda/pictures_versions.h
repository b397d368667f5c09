#pragma once
// The ladder of the spectrogram. Both steps take any shape, and have the arguments of
// cuda::spectrogram (kernels/pictures.h).
//
//   v0 plain           one thread per value of the picture, the formula; in use where a tile of v1
//                      would stay nearly empty
//   v1 register block  two matrix products at once, [bins, pairs] by [pairs, frames], whose second
//                      operands are made of the signal on the way into shared memory

#include "kernels/pictures.h"

namespace serenade::cuda {

void spectrogram_v0_plain(void* picture, PictureFormat format, const float* samples,
                          const float* table, const SpectrogramShape& shape);
void spectrogram_v1_register_block(void* picture, PictureFormat format, const float* samples,
                                   const float* table, const SpectrogramShape& shape);

}  // namespace serenade::cuda
