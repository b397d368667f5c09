#pragma once
// IDX, the format of MNIST (LeCun, Cortes, Burges: "The MNIST database of handwritten digits",
// section "File formats"): two zero bytes, a byte for the type, one for the number of axes, their
// sizes as 32-bit numbers, the values; all big-endian.

#include <string>

#include "nn/data/dataset.h"
#include "nn/data/number_array.h"

namespace serenade {

/// Reads an IDX file, as it is or gzipped. Throws std::runtime_error, one line, naming the path and
/// what is wrong: another magic number, a header that claims more than the file can hold, a file
/// that is cut short, bytes behind its end, damaged compression.
NumberArray read_idx(const std::string& path);

enum class Split { train, test };

/// The digits of MNIST from a folder with its four files, gzipped or not, under their usual names
/// ("train-images-idx3-ubyte.gz", ..): [1, 28, 28], labels 0 .. 9. Other sets in the same files,
/// like Fashion-MNIST, are read as well, whatever the size of their pictures. Throws
/// std::runtime_error as read_idx() does, and where the files do not belong together or a label is
/// beyond 9.
ImageDataset read_mnist(const std::string& folder, Split split);

}  // namespace serenade
