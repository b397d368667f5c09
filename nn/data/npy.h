#pragma once
// NumPy's files: one array (NPY) or several by name (NPZ). Formats: NumPy Enhancement Proposal 1
// and numpy.lib.format (versions 1.0, 2.0, 3.0); a ZIP archive of NPY files (PKWARE's APPNOTE).

#include <map>
#include <string>
#include <vector>

#include "nn/data/number_array.h"

namespace serenade {

/// Reads an .npy file, as it is or gzipped. Known are b1, u1, u2, u4, i1, i2, i4, i8, f2, f4 and
/// f8, in either byte order, the axes in C's or in Fortran's order; at most 8 of them. Throws
/// std::runtime_error, one line, naming the path and what is wrong. Python objects (pickles), texts
/// and structures are refused.
NumberArray read_npy(const std::string& path);

/// Reads all arrays of an .npz file, stored or deflated, by their names without ".npy". Throws as
/// read_npy() does, naming the member; archives in the zip64 form and encrypted ones are refused.
std::map<std::string, NumberArray> read_npz(const std::string& path);

/// Writes an .npy file (version 1.0) that numpy.load reads: f4 or f8, whatever `real` is, or i8. It
/// appears whole or not at all. Throws std::runtime_error where it cannot be written.
void write_npy(const std::string& path, const Tensor& tensor);
void write_npy(const std::string& path, const Shape& shape,
               const std::vector<std::int64_t>& values);

}  // namespace serenade
