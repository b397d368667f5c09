#pragma once
// CIFAR-10 and CIFAR-100 in the binary form of their authors (Krizhevsky 2009; the page of the set,
// section "Binary version"): records of a label (CIFAR-100: two) and 3 x 32 x 32 bytes, one colour
// after the other, row by row.

#include <string>
#include <vector>

#include "nn/data/dataset.h"
#include "nn/data/idx.h"

namespace serenade {

/// Whole files, as they are or gzipped, in the order given. Pictures are [3, 32, 32], labels 0 ..
/// 9. Throws std::runtime_error, one line: a path that cannot be opened, a file that ends within a
/// record, holds none, or has a label beyond 9.
ImageDataset read_cifar10(const std::vector<std::string>& paths);

/// From a folder: the test pictures are test_batch.bin; the training pictures data_batch_1.bin and
/// those of data_batch_2.bin .. data_batch_5.bin that are there, without a hole; each may end in
/// .gz.
ImageDataset read_cifar10(const std::string& folder, Split split);

/// CIFAR-100 names each picture twice.
enum class Cifar100Labels { fine, coarse };  // 100 classes or 20

ImageDataset read_cifar100(const std::vector<std::string>& paths,
                           Cifar100Labels labels = Cifar100Labels::fine);
/// From a folder: train.bin or test.bin, which may end in .gz.
ImageDataset read_cifar100(const std::string& folder, Split split,
                           Cifar100Labels labels = Cifar100Labels::fine);

}  // namespace serenade
