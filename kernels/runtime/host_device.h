#pragma once
// SERENADE_HOST_DEVICE marks a function that kernels of both sides call: the formula is then
// written once.

#ifdef __CUDACC__
#define SERENADE_HOST_DEVICE __host__ __device__
#else
#define SERENADE_HOST_DEVICE
#endif
