#pragma once
// The header of an NPY file: a Python dictionary as text, of which only this form is read.

#include <string_view>

#include "nn/data/byte_source.h"
#include "nn/data/number_array.h"

namespace serenade {

struct NpyHeader {
  NumberType type = NumberType::f32;
  bool big_endian = false;
  bool fortran_order = false;  ///< the first axis runs fastest
  Shape shape;
};

/// "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }": each key once, in any order.
/// Throws by the source's fail().
NpyHeader parse_npy_header(std::string_view text, const ByteSource& source);

/// The next array of a source, up to its end.
NumberArray read_npy(ByteSource& source);

}  // namespace serenade
