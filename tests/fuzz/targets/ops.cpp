// Functions of the library in a random order, each on what those before it have given: in float
// they must say what they say in double, up to rounding, with their gradients, and refuse the same.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/fuzz/ops/one_op.h"
#include "tests/fuzz/target.h"

namespace serenade::fuzz {

namespace {

constexpr std::size_t kMostElements = 2000;  // of an array that is used again
constexpr double kLargest = 8;               // so that sums of products keep their digits
constexpr double kTolerance = 2e-3;

// The fuzzer's bytes, then zeros.
class Bytes {
 public:
  explicit Bytes(const std::string& text) : text_(text) {}
  bool left() const { return next_ < text_.size(); }
  unsigned get() { return left() ? static_cast<unsigned char>(text_[next_++]) : 0; }
  // Mostly a small number, sometimes one that no size can be.
  std::int64_t number() {
    static constexpr std::int64_t kExtremes[] = {
        INT64_MIN, INT64_MAX, std::int64_t{1} << 62, std::int64_t{1} << 45, -1000, 1000, 63, 64};
    const unsigned byte = get();
    return byte < 224 ? static_cast<std::int64_t>(byte % 11) - 2 : kExtremes[byte % 8];
  }

 private:
  const std::string& text_;
  std::size_t next_ = 0;
};

Array first_array(Bytes& bytes) {
  Array array;
  std::size_t count = 1;
  const unsigned dimensions = bytes.get() % 5;
  for (unsigned i = 0; i < dimensions; ++i) {
    array.shape.push_back(bytes.get() % 6);
    count *= static_cast<std::size_t>(array.shape.back());
  }
  // What is empty may have an axis beyond any memory.
  if (count == 0 && dimensions > 1) {
    const unsigned byte = bytes.get();
    std::int64_t& size = array.shape[byte / 8 % dimensions];
    if (byte % 8 == 7 && (size > 0 || std::count(array.shape.begin(), array.shape.end(), 0) > 1)) {
      size = std::int64_t{1} << 45;
    }
  }
  const unsigned start = bytes.get();
  for (std::size_t i = 0; i < count; ++i) {
    array.values.push_back((static_cast<double>((start + 37 * i) % 129) - 64) / 32);
  }
  return array;
}

bool usable(const Array& array) {
  return array.values.size() <= kMostElements && array.shape.size() <= 6 &&
         std::all_of(array.values.begin(), array.values.end(),
                     [](double x) { return std::abs(x) <= kLargest; });
}

void compare(const std::string& what, const Array& single, const Array& twice) {
  if (single.shape != twice.shape) fault(what + ": other shapes in float and double");
  double largest = 1;
  for (const double x : twice.values) {
    if (std::isfinite(x)) largest = std::max(largest, std::abs(x));
  }
  for (std::size_t i = 0; i < twice.values.size(); ++i) {
    const double a = single.values[i], b = twice.values[i];
    if (!std::isfinite(b) || std::abs(b) > 1e30) continue;
    if (!(std::abs(a - b) <= kTolerance * largest) && largest < 1e6) {
      fault(what + ": element " + std::to_string(i) + " is " + std::to_string(a) +
            " in float and " + std::to_string(b) + " in double");
    }
  }
}

void check(const OpCall& call, const OpAnswer& single, const OpAnswer& twice) {
  const std::string name = single.name;
  if (single.refusal != twice.refusal) {
    fault(name + ": float says '" + single.refusal + "', double '" + twice.refusal + "'");
  }
  if (!single.refusal.empty()) return;
  compare(name, single.value, twice.value);
  if (single.gradients.size() != twice.gradients.size()) fault(name + ": other gradients");
  for (std::size_t i = 0; i < single.gradients.size(); ++i) {
    compare(name + ": gradient " + std::to_string(i) + " of " + std::to_string(call.inputs.size()),
            single.gradients[i], twice.gradients[i]);
  }
}

void run(const std::string& input) {
  Bytes bytes(input);
  std::vector<Array> arrays;
  for (std::size_t i = 0; i < 3; ++i) arrays.push_back(first_array(bytes));
  for (int step = 0; step < 8 && bytes.left(); ++step) {
    OpCall call;
    call.op = bytes.get() % op_count();
    for (std::size_t i = 0; i < kMaxInputs; ++i) {
      call.inputs.push_back(arrays[bytes.get() % arrays.size()]);
    }
    for (std::size_t i = 0; i < kMaxNumbers; ++i) call.numbers.push_back(bytes.number());
    OpAnswer single = answer_in_float(call);
    check(call, single, answer_in_double(call));
    if (single.refusal.empty() && usable(single.value)) arrays.push_back(std::move(single.value));
  }
}

// An empty array of ones and one axis beyond any memory, as first_array reads it.
std::string long_and_empty(std::size_t dimensions, std::size_t empty, std::size_t beyond) {
  std::string text(1, static_cast<char>(dimensions));
  for (std::size_t axis = 0; axis < dimensions; ++axis) text += static_cast<char>(axis != empty);
  return text + static_cast<char>(8 * beyond + 7) + '\0';
}

// Every op on a few shapes, and on every empty array of a long axis, which must take no time.
std::vector<std::string> seeds() {
  // As Bytes reads them: 0 to 6 and -1; ones; a two in two places.
  constexpr const char* kNumbers[] = {"\2\3\4\5\6\7\10\1", "\3\3\3\3\3\3\3\3", "\2\3\4\3\3\4\3\3"};
  std::vector<std::string> all;
  for (std::size_t op = 0; op < op_count(); ++op) {
    const std::string call = {static_cast<char>(op), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    all.push_back(std::string{4, 2, 1, 4, 5, 40, 2, 4, 5, 10, 2, 5, 3, 90} + call);
    for (std::size_t dimensions = 2; dimensions <= 4; ++dimensions) {
      for (std::size_t i = 0; i < dimensions * dimensions; ++i) {
        if (i / dimensions == i % dimensions) continue;
        std::string text;
        for (int k = 0; k < 3; ++k)
          text += long_and_empty(dimensions, i / dimensions, i % dimensions);
        for (const char* numbers : kNumbers)
          text += std::string{static_cast<char>(op), 0, 1} + numbers;
        all.push_back(text);
      }
    }
  }
  return all;
}

}  // namespace

Target ops_target() { return {.name = "ops", .seeds = seeds, .run = run}; }

}  // namespace serenade::fuzz
