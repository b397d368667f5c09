#include "nas/search_space.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <set>

#include "tensor/check.h"

namespace serenade {

namespace {

// Reads digits at text[place..]; -1 unless there is a number of at most 7 digits.
std::int64_t read_number(const std::string& text, std::size_t& place) {
  const std::size_t start = place;
  std::int64_t number = 0;
  while (place < text.size() && std::isdigit(static_cast<unsigned char>(text[place])) != 0) {
    if (place - start == 7) return -1;
    number = 10 * number + (text[place++] - '0');
  }
  return place == start ? -1 : number;
}

std::int64_t edit_distance(const std::string& a, const std::string& b) {
  // One row of the dynamic programme: row[j] = changes that turn the first i letters of a into the
  // first j of b.
  std::vector<std::int64_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::int64_t diagonal = row[0];
    row[0] = static_cast<std::int64_t>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::int64_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::int64_t SearchSpace::size() const {
  std::int64_t product = 1;
  for (const MixedLayer& layer : layers) {
    const auto n = static_cast<std::int64_t>(layer.candidates.size());
    check(n == 0 || product <= INT64_MAX / n, "SearchSpace",
          "the number of architectures must fit in 63 bits; it does not with layer '", layer.name,
          "'");
    product *= n;
  }
  return product;
}

std::string SearchSpace::hash() const {
  // FNV-1a (Fowler, Noll & Vo). Separators that no name holds keep {"ab"} and {"a", "b"} apart.
  std::uint64_t state = 0xcbf29ce484222325;
  const auto feed = [&state](const std::string& text, char separator) {
    for (const char letter : text + separator) {
      state = (state ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
    }
  };
  for (const MixedLayer& layer : layers) {
    feed(layer.name, '\x1d');
    for (const std::string& candidate : layer.candidates) feed(candidate, '\x1f');
    feed("", '\x1e');
  }
  std::string digits(16, '0');
  for (std::size_t i = 0; i < 16; ++i) digits[15 - i] = "0123456789abcdef"[state >> (4 * i) & 15];
  return digits;
}

void SearchSpace::validate() const {
  check(!layers.empty(), "SearchSpace", "there must be at least one layer; got none");
  std::set<std::string> earlier = {"input"};
  for (const MixedLayer& layer : layers) {
    check(!layer.name.empty(), "SearchSpace", "layers must have names; got an empty one");
    check(!layer.candidates.empty(), "SearchSpace", "every layer must have a candidate; layer '",
          layer.name, "' has none");
    std::set<std::string> seen;
    for (const std::string& candidate : layer.candidates) {
      check(!candidate.empty() && seen.insert(candidate).second, "SearchSpace",
            "candidates of a layer must differ and not be empty; layer '", layer.name, "' has '",
            candidate, "'", candidate.empty() ? "" : " twice");
    }
    for (const std::string& input : layer.inputs) {
      check(earlier.count(input) != 0, "SearchSpace", "layer '", layer.name,
            "' must read earlier layers or 'input'; got '", input, "'");
    }
    check(earlier.insert(layer.name).second, "SearchSpace",
          "names of layers must differ, and from 'input'; got '", layer.name, "' again");
  }
}

std::size_t SearchSpace::layer_index(const std::string& name) const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].name == name) return i;
    names.push_back(layers[i].name);
  }
  check(false, "SearchSpace", "no layer is named '", name, "'; the nearest is '",
        nearest_name(name, names), "'");
  return 0;
}

std::int64_t candidate_index(const MixedLayer& layer, const std::string& candidate) {
  const auto found = std::find(layer.candidates.begin(), layer.candidates.end(), candidate);
  check(found != layer.candidates.end(), "SearchSpace", "layer '", layer.name,
        "' has no candidate '", candidate, "'; the nearest is '",
        nearest_name(candidate, layer.candidates), "'");
  return found - layer.candidates.begin();
}

std::array<std::int64_t, 2> parse_kernel(const std::string& candidate) {
  std::size_t place = 0;
  const std::int64_t rows = read_number(candidate, place);
  const bool cross = place < candidate.size() && candidate[place] == 'x';
  if (cross) ++place;
  const std::int64_t columns = read_number(candidate, place);
  check(rows >= 0 && cross && columns >= 0 && place == candidate.size(), "kernel",
        "must be written rows x columns without spaces, like 2x8; got '", candidate, "'");
  check(rows >= 1 && rows <= 999 && columns >= 1 && columns <= 999, "kernel",
        "rows and columns must be 1 to 999; got '", candidate, "'");
  return {rows, columns};
}

std::int64_t parse_width(const std::string& candidate) {
  std::size_t place = 0;
  const std::int64_t width = read_number(candidate, place);
  check(place == candidate.size() && width >= 1 && width <= 1'000'000, "width",
        "must be a whole number from 1 to 1000000, like 64; got '", candidate, "'");
  return width;
}

std::string kernel_name(const std::array<std::int64_t, 2>& kernel) {
  return std::to_string(kernel[0]) + "x" + std::to_string(kernel[1]);
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& known) {
  if (known.empty()) return "";
  const auto closer = [&name](const std::string& a, const std::string& b) {
    return edit_distance(name, a) < edit_distance(name, b);
  };
  return *std::min_element(known.begin(), known.end(), closer);
}

}  // namespace serenade
