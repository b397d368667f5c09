#include "nas/path.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "autograd/functions.h"
#include "tensor/check.h"
#include "tensor/random.h"

namespace serenade {

namespace {

constexpr std::array<Mode, 5> kModes = {Mode::none, Mode::random, Mode::joint, Mode::sampling,
                                        Mode::dropout};

// The first `count` places of a random order of 0 .. n-1: a uniformly random subset (the first
// steps of Fisher-Yates). Each layer has its own range of 65,536 elements of the step's stream.
std::vector<std::int64_t> draw_subset(std::int64_t count, std::int64_t n, const RandomKey& key,
                                      std::uint64_t layer) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint64_t element = layer << 16 | static_cast<std::uint64_t>(i);
    const std::int64_t j = i + random_integer(key, element, n - i);
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]);
  }
  order.resize(static_cast<std::size_t>(count));
  return order;
}

}  // namespace

const char* to_string(Mode mode) {
  switch (mode) {
    case Mode::none:
      return "none";
    case Mode::random:
      return "random";
    case Mode::joint:
      return "joint";
    case Mode::sampling:
      return "sampling";
    case Mode::dropout:
      return "dropout";
  }
  return "unknown";
}

Mode parse_mode(const std::string& name) {
  for (const Mode mode : kModes) {
    if (name == to_string(mode)) return mode;
  }
  check(false, "mode", "must be none, random, joint, sampling or dropout; got '", name, "'");
  return Mode::none;
}

const char* to_string(Phase phase) { return phase == Phase::weights ? "weights" : "architecture"; }

std::int64_t Path::active_count() const { return std::count(active.begin(), active.end(), true); }

std::int64_t Path::first_active() const {
  return std::find(active.begin(), active.end(), true) - active.begin();
}

std::string Path::to_string() const {
  std::string digits;
  for (const bool takes_part : active) digits += takes_part ? '1' : '0';
  return digits;
}

Path full_path(std::int64_t n) {
  return {.active = std::vector<bool>(static_cast<std::size_t>(n), true)};
}

Path single_path(std::int64_t n, std::int64_t i) {
  check(0 <= i && i < n, "single_path", "the candidate must be one of 0 .. ", n - 1, "; got ", i);
  Path path{.active = std::vector<bool>(static_cast<std::size_t>(n), false), .uses_alpha = false};
  path.active[static_cast<std::size_t>(i)] = true;
  return path;
}

Path draw_path(const PathOptions& options, Phase phase, std::int64_t n, std::uint64_t seed,
               std::uint64_t step, std::uint64_t layer) {
  const Mode mode = options.mode;
  check(mode != Mode::none && mode != Mode::random, "draw_path",
        "mode must be joint, sampling or dropout; got ", to_string(mode),
        ", which trains single architectures");
  check(1 <= n && n < 65536, "draw_path", "a layer must have 1 to 65535 candidates; got ", n);
  if (phase == Phase::architecture || mode == Mode::joint) return full_path(n);

  const RandomKey key{seed, Purpose::path, step};
  if (mode == Mode::sampling) return single_path(n, draw_subset(1, n, key, layer)[0]);

  const std::int64_t masked = options.masked;
  check(0 <= masked && masked < n, "draw_path",
        "at least one candidate must survive: masked must be 0 .. ", n - 1, " of ", n, "; got ",
        masked);
  Path path = full_path(n);
  for (const std::int64_t i : draw_subset(masked, n, key, layer)) {
    path.active[static_cast<std::size_t>(i)] = false;
  }
  path.scale = static_cast<real>(n) / static_cast<real>(n - masked);
  path.renormalize = options.renormalize;
  return path;
}

Variable coefficients(const Path& path, const Variable& alpha) {
  check(alpha.dim() == 1 && alpha.size(0) == static_cast<std::int64_t>(path.active.size()),
        "coefficients", "alpha must have one entry per candidate; got ", alpha.shape(), " for ",
        path.active.size());
  check(path.active_count() >= 1, "coefficients", "at least one candidate must take part; got ",
        path.to_string());
  // The factor of each candidate: 0 if masked, else the path's scale.
  const real scale = path.uses_alpha && !path.renormalize ? path.scale : real(1);
  std::vector<real> factors;
  for (const bool takes_part : path.active) factors.push_back(takes_part ? scale : real(0));
  const Tensor factor = Tensor::from(factors, alpha.shape()).to(alpha.device());
  if (!path.uses_alpha) return factor;

  const Variable a = softmax(alpha, 0);
  const bool plain = scale == 1 && path.active_count() == alpha.size(0);
  const Variable c = plain ? a : mul(a, factor);
  return path.renormalize ? div(c, sum(c, 0, /*keepdim=*/true)) : c;
}

}  // namespace serenade
