#include "nn/embedding.h"

#include "tensor/check.h"
#include "tensor/random.h"

namespace serenade {

Embedding::Embedding(const Options& chosen) : options(chosen) {
  check(options.num_embeddings > 0 && options.embedding_dim > 0, "Embedding",
        "num_embeddings and embedding_dim must be positive; got ", options.num_embeddings, " and ",
        options.embedding_dim);
  Tensor table = randn({options.num_embeddings, options.embedding_dim});
  if (options.padding_index) {
    check(*options.padding_index >= 0 && *options.padding_index < options.num_embeddings,
          "Embedding", "padding_index must be 0 .. ", options.num_embeddings - 1, "; got ",
          *options.padding_index);
    table.slice(0, *options.padding_index, 1).copy_(Tensor({1, options.embedding_dim}));
  }
  weight = register_parameter("weight", table);
}

Variable Embedding::forward(const Indices& indices, const Shape& shape) const {
  return embedding(weight, indices, shape, options.padding_index);
}

}  // namespace serenade
