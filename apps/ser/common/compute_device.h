#pragma once
// The device that this process trains and evaluates on.

#include <string>
#include <vector>

#include "kernels/runtime/device.h"

namespace serenade::ser {

/// The device that systems are made on; the CPU until choose_compute_device() says otherwise.
Device compute_device();

/// The words of `--device`: "auto" (the GPU if there is one that works, else the CPU), "cpu",
/// "cuda", and "cudnn" (the GPU with cuDNN's convolutions).
const std::vector<std::string>& device_words();

/// Chooses by one of them. Throws InputError if the word is none of them, or names a device that
/// this machine or build does not have, with the reason. `tf32`: products on the GPU with factors
/// of 10 bits (Float32Math::tf32).
void choose_compute_device(const std::string& word, bool tf32 = false);

/// "cpu" or "NVIDIA H200 (float32)".
std::string compute_device_name();

}  // namespace serenade::ser
