#include "nas/path.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "autograd/functions.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// `factor` for the active candidates and 0 for the others, [n], where alpha is.
Variable factors(const std::vector<bool>& active, real factor, const Variable& alpha) {
  std::vector<real> values;
  for (const bool takes_part : active) values.push_back(takes_part ? factor : real(0));
  return Tensor::from(values, alpha.shape()).to(alpha.device());
}

bool all_active(const std::vector<bool>& active) {
  return std::find(active.begin(), active.end(), false) == active.end();
}

}  // namespace

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
  return {.active = std::vector<bool>(static_cast<std::size_t>(n), true),
          .relax = [](const Variable& alpha) { return softmax(alpha, 0); }};
}

Path single_path(std::int64_t n, std::int64_t i) {
  check(0 <= i && i < n, "single_path", "the candidate must be one of 0 .. ", n - 1, "; got ", i);
  Path path{.active = std::vector<bool>(static_cast<std::size_t>(n), false), .relax = {}};
  path.active[static_cast<std::size_t>(i)] = true;
  return path;
}

Path scaled_path(std::vector<bool> active, real scale) {
  const auto relax = [active, scale](const Variable& alpha) {
    const Variable a = softmax(alpha, 0);
    return scale == 1 && all_active(active) ? a : mul(a, factors(active, scale, alpha));
  };
  return {.active = std::move(active), .relax = relax};
}

Path renormalized_path(std::vector<bool> active) {
  const auto relax = [active](const Variable& alpha) {
    const Variable a = softmax(alpha, 0);
    const Variable c = all_active(active) ? a : mul(a, factors(active, 1, alpha));
    return div(c, sum(c, 0, /*keepdim=*/true));
  };
  return {.active = std::move(active), .relax = relax};
}

Path straight_through_path(std::int64_t n, std::int64_t i,
                           std::function<Variable(const Variable&)> soft) {
  const std::vector<bool> chosen = single_path(n, i).active;
  return {.active = std::vector<bool>(chosen.size(), true),
          .relax = [chosen, soft = std::move(soft)](const Variable& alpha) {
            // What is added is exactly 0. (1 + p) - p would not be 1 for a quarter of all p.
            const Variable p = soft(alpha);
            return add(factors(chosen, 1, alpha), sub(p, p.detach()));
          }};
}

Variable coefficients(const Path& path, const Variable& alpha) {
  check(alpha.dim() == 1 && alpha.size(0) == static_cast<std::int64_t>(path.active.size()),
        "coefficients", "alpha must have one entry per candidate; got ", alpha.shape(), " for ",
        path.active.size());
  check(path.uses_alpha() || path.active_count() >= 1, "coefficients",
        "at least one candidate must take part; got ", path.to_string());
  return path.uses_alpha() ? path.relax(alpha) : factors(path.active, 1, alpha);
}

std::vector<std::int64_t> draw_subset(std::int64_t count, std::int64_t n, const RandomKey& key,
                                      std::uint64_t choice) {
  check(0 <= count && count <= n && n < 65536, "draw_subset",
        "a choice must have at most 65535 candidates, of which some are drawn; got ", count, " of ",
        n);
  // The first steps of Fisher-Yates. Each choice has 65,536 elements of the step's stream.
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint64_t element = choice << 16 | static_cast<std::uint64_t>(i);
    const std::int64_t j = i + random_integer(key, element, n - i);
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]);
  }
  order.resize(static_cast<std::size_t>(count));
  return order;
}

}  // namespace serenade
