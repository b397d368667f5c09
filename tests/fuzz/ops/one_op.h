#pragma once
// One function of autograd/functions.h with its gradients, in numbers that both builds of the
// library understand: one_op.cpp is compiled once for float and once for double.

#include <cstdint>
#include <string>
#include <vector>

namespace serenade::fuzz {

struct Array {
  std::vector<std::int64_t> shape;
  std::vector<double> values;
};

struct OpCall {
  std::size_t op = 0;                 ///< below op_count()
  std::vector<Array> inputs;          ///< as many as max_inputs; an op takes the first it needs
  std::vector<std::int64_t> numbers;  ///< as many as max_numbers: sizes, axes, seeds
};
inline constexpr std::size_t kMaxInputs = 2, kMaxNumbers = 8;

struct OpAnswer {
  std::string name;
  std::string refusal;  ///< what std::invalid_argument said; empty: it worked
  Array value;
  std::vector<Array> gradients;  ///< of the sum of `value`; empty where they are not comparable
};

#define SERENADE_EXPORT __attribute__((visibility("default")))
SERENADE_EXPORT OpAnswer answer_in_float(const OpCall& call);
SERENADE_EXPORT OpAnswer answer_in_double(const OpCall& call);
SERENADE_EXPORT std::size_t op_count();  ///< of the double build

}  // namespace serenade::fuzz
