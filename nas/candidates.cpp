#include "nas/candidates.h"

#include <cctype>
#include <optional>
#include <utility>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "kernels/runtime/ceil_div.h"
#include "nn/conv.h"
#include "nn/linear.h"
#include "tensor/check.h"
#include "tensor/text.h"

namespace serenade {

namespace {

using Numbers = std::vector<std::int64_t>;

// Reads the digits at text[position..]; nothing unless they are a number of at most 7 digits.
std::optional<std::int64_t> read_number(const std::string& text, std::size_t& position) {
  const std::size_t start = position;
  std::int64_t number = 0;
  while (position < text.size() && std::isdigit(static_cast<unsigned char>(text[position])) != 0) {
    if (position - start == 7) return std::nullopt;
    number = 10 * number + (text[position++] - '0');
  }
  if (position == start) return std::nullopt;
  return number;
}

// The numbers that stand for the '*' of a pattern; nothing where the name does not match.
std::optional<Numbers> match(const std::string& pattern, const std::string& name) {
  Numbers numbers;
  std::size_t position = 0;
  for (const char letter : pattern) {
    if (letter == '*') {
      const std::optional<std::int64_t> number = read_number(name, position);
      if (!number || *number < 1 || *number > 1'000'000) return std::nullopt;
      numbers.push_back(*number);
    } else if (position == name.size() || name[position++] != letter) {
      return std::nullopt;
    }
  }
  if (position != name.size()) return std::nullopt;
  return numbers;
}

// y = 0, of the shape that a layer of this site has.
class Zero : public Layer {
 public:
  explicit Zero(const Site& site) : site_(site) {}

  Variable forward(const Variable& x) override {
    Shape shape = x.shape();
    if (x.dim() == 4) {
      for (const std::size_t axis : {std::size_t{0}, std::size_t{1}}) {
        shape[2 + axis] = ceil_div(shape[2 + axis], site_.stride[axis]);
      }
    }
    // Channels of an image, features of anything else.
    if (site_.out_channels > 0) shape[x.dim() == 4 ? 1 : shape.size() - 1] = site_.out_channels;
    return Tensor(shape, x.device());
  }

 private:
  Site site_;
};

std::unique_ptr<Layer> make_convolution(const Site& site, const Numbers& kernel) {
  // At stride 1 padding is 'same'; at others it is that of stride 1, which does not depend on the
  // size of the input, so that kernels of different sizes can be merged.
  const std::array<std::int64_t, 2> size = {kernel[0], kernel[1]};
  check(size[0] <= 999 && size[1] <= 999, "conv",
        "a kernel must have at most 999 rows and columns; ", "got ", size[0], " x ", size[1]);
  const bool dense = site.stride == std::array<std::int64_t, 2>{1, 1};
  auto layer = std::make_unique<Conv2d>(Conv2d::Options{
      .in_channels = site.in_channels,
      .out_channels = site.out_channels,
      .kernel_size = size,
      .stride = site.stride,
      .padding = dense ? std::nullopt : std::optional<Padding>(same_padding(size))});
  scale_weight(layer->weight, site.gain);
  return layer;
}

std::unique_ptr<Layer> make_dense(const Site& site, const Numbers& width) {
  auto layer = std::make_unique<Linear>(
      Linear::Options{.in_features = site.in_channels, .out_features = width[0]});
  scale_weight(layer->weight, site.gain);
  return layer;
}

std::unique_ptr<Layer> make_max_pool(const Site& site, const Numbers& window) {
  check(site.stride == std::array<std::int64_t, 2>{window[0], window[1]}, "max_pool",
        "windows do not overlap, so the stride must be the window, ", window[0], " x ", window[1],
        "; got ", site.stride[0], " x ", site.stride[1]);
  check(site.in_channels == site.out_channels, "max_pool",
        "pooling keeps the number of channels; got ", site.in_channels, " to ", site.out_channels);
  return std::make_unique<MaxPool2d>(MaxPool2d::Options{.window = {window[0], window[1]}});
}

std::unique_ptr<Layer> make_skip(const Site& site, const Numbers&) {
  check(site.in_channels == site.out_channels && site.stride == std::array<std::int64_t, 2>{1, 1},
        "skip_connect", "what is skipped must keep its shape; got ", site.in_channels, " to ",
        site.out_channels, " channels, stride ", site.stride[0], " x ", site.stride[1]);
  return std::make_unique<Identity>();
}

}  // namespace

void CandidateTable::add(Row row) {
  check(row.make != nullptr, "candidate", "a row must say how its layer is made; '", row.pattern,
        "' does not");
  for (const Row& known : rows_) {
    check(known.pattern != row.pattern, "candidate", "patterns must differ; got '", row.pattern,
          "' twice");
  }
  rows_.push_back(std::move(row));
}

std::unique_ptr<Layer> CandidateTable::make(const std::string& name, const Site& site) const {
  std::vector<std::string> patterns;
  for (const Row& row : rows_) {
    if (row.pattern == name) return row.make(site, {});
  }
  for (const Row& row : rows_) {
    if (const std::optional<Numbers> numbers = match(row.pattern, name)) {
      return row.make(site, *numbers);
    }
    patterns.push_back(row.pattern);
  }
  check(false, "candidate", "no row of the table is named '", name, "'; the nearest is '",
        nearest_word(name, patterns), "', where * stands for a number");
  return nullptr;
}

const CandidateTable& standard_candidates() {
  static const CandidateTable table({
      {"conv_*x*", "convolution, bias, 'same' padding", make_convolution},
      {"width_*", "dense layer of that many outputs", make_dense},
      {"max_pool_*x*", "largest value of each window", make_max_pool},
      {"skip_connect", "the input itself", make_skip},
      {"none", "zero: the connection is cut",
       [](const Site& site, const Numbers&) { return std::make_unique<Zero>(site); }},
  });
  return table;
}

void scale_weight(const Variable& weight, real gain) {
  if (gain == 1) return;
  const NoGrad no_graph;
  Variable(weight).value().copy_(affine(weight, gain).value());
}

std::int64_t parse_width(const std::string& candidate) {
  const std::optional<Numbers> width = match("*", candidate);
  check(width.has_value(), "width", "must be a whole number from 1 to 1000000, like 64; got '",
        candidate, "'");
  return (*width)[0];
}

}  // namespace serenade
