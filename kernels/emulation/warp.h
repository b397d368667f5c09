#pragma once
// Operations of a warp: shuffles, votes, reductions and the tensor core product. Each lane passes
// its value; the last one to arrive does the work of all (see block.h). All lanes of a mask have to
// be at the same source location, as on the device, and lanes outside the mask take no part.

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

#include "kernels/emulation/block.h"
#include "kernels/emulation/source_location.h"

namespace serenade::emulation {

/// The lane of the running thread.
inline unsigned lane() { return now.thread % kWarp; }

template <class T>
struct Shuffle {
  T value, result;
  unsigned source;  // the lane to read from
};

template <class T>
T shuffle(const char* operation, std::uint32_t mask, T value, unsigned source,
          const SourceLocation& where) {
  Shuffle<T> data{value, value, source};
  WarpRequest request{operation, mask, where, &data};
  request.complete = [](WarpRequest* const* requests, std::uint32_t lanes) {
    for (std::uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
      const WarpRequest& mine = *requests[std::countr_zero(rest)];
      auto& own = *static_cast<Shuffle<T>*>(mine.data);
      if (!(lanes >> own.source & 1)) {
        now.thread += std::countr_zero(rest) - lane();  // report the lane that asked
        fail(Fault::warp, mine.where,
             std::string("reads by ") + mine.operation + " from lane " +
                 std::to_string(own.source) + ", which takes no part");
      }
      own.result = static_cast<Shuffle<T>*>(requests[own.source]->data)->value;
    }
  };
  meet_warp(request);
  return data.result;
}

/// Combines the values of all lanes of the mask, in order of their lanes; all get the result.
template <class T, class Combine>
T reduce(const char* operation, std::uint32_t mask, T value, Combine, const SourceLocation& where) {
  WarpRequest request{operation, mask, where, &value};
  request.complete = [](WarpRequest* const* requests, std::uint32_t lanes) {
    const auto at = [&](std::uint32_t rest) -> T& {
      return *static_cast<T*>(requests[std::countr_zero(rest)]->data);
    };
    T total = at(lanes);
    for (std::uint32_t rest = lanes & (lanes - 1); rest != 0; rest &= rest - 1) {
      total = Combine{}(total, at(rest));
    }
    for (std::uint32_t rest = lanes; rest != 0; rest &= rest - 1) at(rest) = total;
  };
  meet_warp(request);
  return value;
}

/// The 19 bits of a float that a tensor core reads in TF32 mode; it ignores the other 13.
inline float tf32_value(std::uint32_t bits) { return std::bit_cast<float>(bits & 0xFFFFE000u); }

struct MmaFragments {
  float* d;                // [4]
  const std::uint32_t* a;  // [4]
  const std::uint32_t* b;  // [2]
};

// Where a lane's registers lie in the matrices of mma.m16n8k8 with TF32 operands (PTX ISA, "Matrix
// fragments for mma.m16n8k8"): group = lane / 4, member = lane % 4;
//   A [16, 8]: a0 (group, member), a1 (group + 8, member), a2 (group, member + 4),
//              a3 (group + 8, member + 4)
//   B [8, 8]:  b0 (member, group), b1 (member + 4, group)
//   D [16, 8]: d0, d1 (group, 2 member + 0, 1), d2, d3 (group + 8, 2 member + 0, 1)
inline void mma_m16n8k8_warp(WarpRequest* const* requests, std::uint32_t lanes) {
  if (lanes != ~0u) {
    fail(Fault::warp, requests[std::countr_zero(lanes)]->where,
         "multiplies without all 32 lanes of its warp");
  }
  float a[16][8], b[8][8];
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    const auto& own = *static_cast<const MmaFragments*>(requests[lane]->data);
    const unsigned group = lane / 4, member = lane % 4;
    for (unsigned i = 0; i < 4; ++i) {
      a[group + i % 2 * 8][member + i / 2 * 4] = tf32_value(own.a[i]);
    }
    for (unsigned i = 0; i < 2; ++i) b[member + i * 4][group] = tf32_value(own.b[i]);
  }
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    const auto& own = *static_cast<const MmaFragments*>(requests[lane]->data);
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      float sum = own.d[i];
      for (unsigned k = 0; k < 8; ++k) sum += a[row][k] * b[k][column];
      own.d[i] = sum;
    }
  }
}

}  // namespace serenade::emulation
