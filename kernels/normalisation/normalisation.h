#pragma once
// Normalisation: y = (x - mean) / sqrt(variance + epsilon) * weight + bias, mean and variance those
// of the set of elements that x belongs to; the variance is the mean of the squared differences.
//
// Planes. x is [N, C, inner], row-major; the `inner` elements of one channel of one sample are a
// plane, and weight and bias [C] belong to channels. A set is one channel of all samples (group 0:
// batch normalisation, Ioffe & Szegedy 2015) or `group` neighbouring channels of one sample (group
// normalisation, Wu & He 2018; group 1 is instance normalisation, Ulyanov et al. 2016).
//
// Rows. x is [rows, size]; a set is a row, and weight and bias [size] belong to places in it (layer
// normalisation, Ba et al. 2016; without the mean, RMS normalisation, Zhang & Sennrich 2019).
//
// weight and bias may be null: 1 and 0. Sums are formed around a value near the mean and added up
// in double over blocks in a fixed order, so that no digits are lost where the mean is large.

#include <cstdint>

#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/host_device.h"
#include "kernels/runtime/write.h"

namespace serenade {

struct PlaneNorm {
  std::int64_t N, C, inner;
  std::int64_t group;  ///< divides C; 0: a set is a channel of all samples
  real epsilon;

  SERENADE_HOST_DEVICE std::int64_t sets() const { return group == 0 ? C : N * (C / group); }
  SERENADE_HOST_DEVICE std::int64_t planes_of_set() const { return group == 0 ? N : group; }
  /// The k-th plane of a set, and the set of a plane; a plane is numbered sample * C + channel.
  SERENADE_HOST_DEVICE std::int64_t plane(std::int64_t set, std::int64_t k) const {
    return group == 0 ? k * C + set : set * group + k;
  }
  SERENADE_HOST_DEVICE std::int64_t set(std::int64_t plane) const {
    return group == 0 ? plane % C : plane / group;
  }
};

/// Writes y, and mean and variance [sets]. Every set has an element.
DECLARE_KERNEL(void plane_norm_forward(real* y, real* mean, real* variance, const real* x,
                                       const real* weight, const real* bias,
                                       const PlaneNorm& shape));
/// The same with a mean and a variance [sets] that are given and do not depend on x.
DECLARE_KERNEL(void plane_norm_apply(real* y, const real* x, const real* mean, const real* variance,
                                     const real* weight, const real* bias, const PlaneNorm& shape));
/// Adds to dx, dweight and dbias, each of which may be null, with g = dy weight,
/// r = 1 / sqrt(variance + epsilon), z = (x - mean) r and means over the set:
///   dx += r (g - mean(g) - z mean(g z)),  dweight += sum dy z,  dbias += sum dy
/// or with Write::set, dx = that.
/// given: as in plane_norm_apply, so that dx += r g.
DECLARE_KERNEL(void plane_norm_backward(real* dx, real* dweight, real* dbias, const real* dy,
                                        const real* x, const real* mean, const real* variance,
                                        const real* weight, const PlaneNorm& shape, bool given,
                                        Write write));

struct RowNorm {
  std::int64_t rows, size;
  bool centred;  ///< false: mean is 0 and the variance is the mean of x^2 (RMS normalisation)
  real epsilon;
};

/// Writes y, and mean and variance [rows]. size >= 1.
DECLARE_KERNEL(void row_norm_forward(real* y, real* mean, real* variance, const real* x,
                                     const real* weight, const real* bias, const RowNorm& shape));
/// Adds to dx, dweight and dbias as plane_norm_backward does; without the term mean(g) where
/// shape.centred is false.
DECLARE_KERNEL(void row_norm_backward(real* dx, real* dweight, real* dbias, const real* dy,
                                      const real* x, const real* mean, const real* variance,
                                      const real* weight, const RowNorm& shape, Write write));

namespace cpu {

/// The definition, in double and in two passes. Same arguments. The oracle of the tests.
void plane_norm_forward_v0_plain(real* y, real* mean, real* variance, const real* x,
                                 const real* weight, const real* bias, const PlaneNorm& shape);
void row_norm_forward_v0_plain(real* y, real* mean, real* variance, const real* x,
                               const real* weight, const real* bias, const RowNorm& shape);

}  // namespace cpu
}  // namespace serenade
