#pragma once
// A vector for each word of a vocabulary.

#include <optional>

#include "autograd/functions.h"
#include "nn/module.h"

namespace serenade {

/// Rows of a table. Indices 0 .. num_embeddings-1; result [shape, embedding_dim].
/// Parameters: weight [num_embeddings, embedding_dim], normal with deviation 1; the row of
/// padding_index begins as zeros and gets no gradient.
class Embedding : public Module {
 public:
  struct Options {
    std::int64_t num_embeddings = 0;
    std::int64_t embedding_dim = 0;
    std::optional<std::int64_t> padding_index = {};
  };

  explicit Embedding(const Options& options);
  /// shape: that of the indices, [N, T] for one; not given, [indices].
  Variable forward(const Indices& indices, const Shape& shape = {}) const;

  const Options options;
  Parameter weight;
};

}  // namespace serenade
