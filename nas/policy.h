#pragma once
// Policy: a probability for every architecture of a space, from a table of logits.
//
//   pi(x) = prod_l softmax(theta_l)[x_l]
//
// Choices are independent of each other. ENAS (Pham et al., ICML 2018) has an LSTM in place of the
// table, whose choices are not.

#include <cstdint>
#include <vector>

#include "nas/search_space.h"
#include "tensor/random.h"

namespace serenade {

class Policy {
 public:
  using Table = std::vector<std::vector<double>>;  ///< per choice, a number per candidate

  /// All logits 0: the uniform distribution.
  explicit Policy(const SearchSpace& space);

  /// softmax(theta_l), stable for logits of any size.
  std::vector<double> probabilities(std::size_t choice) const;

  /// The indices of an architecture's candidates, a function of the key.
  std::vector<std::int64_t> draw(const RandomKey& key) const;

  /// d log pi(x) / d theta: [j = x_l] - pi_j of every choice l and candidate j.
  Table log_gradient(const std::vector<std::int64_t>& x) const;

  /// theta += amount * direction.
  void add(const Table& direction, double amount);

  Table logits;
};

}  // namespace serenade
