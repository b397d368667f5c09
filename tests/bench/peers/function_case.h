#pragma once
// Functions of autograd beside PyTorch's: a row is a line of a table, which says how either writes
// it. Both get the same numbers, and their values and gradients are compared before they are timed.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "autograd/functions/indices.h"
#include "autograd/variable.h"
#include "tests/bench/peers/items.h"

namespace serenade::bench {

/// The inputs of a row by the names that they have on both sides.
struct Named {
  Variable x, w, b, c, d, e;
};

struct CaseOptions {
  double asked = 0;                       ///< the ratio of the values with their gradients
  bool images = false;                    ///< PyTorch may have them in channels_last
  std::array<double, 2> range = {-2, 2};  ///< of the inputs
  bool random = false;                    ///< each side draws its own numbers
};

struct Case {
  std::string name;
  std::vector<Shape> shapes;  ///< of the inputs x, w, b, c, d, e
  Variable (*ours)(const Named& in);
  std::string pytorch;  ///< an expression of them with what pytorch_functions.py has
  CaseOptions options = {};
};

/// `ours` of a row, from an expression of the inputs.
#define OURS(...)                                         \
  [](const Named& in) -> Variable {                       \
    [[maybe_unused]] const auto& [x, w, b, c, d, e] = in; \
    return __VA_ARGS__;                                   \
  }

/// `count` numbers in 0 .. bound - 1, and ones and zeros, made once; pytorch_functions.py has the
/// same.
const Indices& spread(std::int64_t count, std::int64_t bound);
const Tensor& mask(const Shape& shape);

/// The table of these rows: values, and values with all gradients of their sum. A row whose results
/// differ is not timed and named in a line.
void run_cases(const Setting& setting, const std::string& title, const std::vector<Case>& cases);

}  // namespace serenade::bench
