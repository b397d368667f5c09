#pragma once
// Path: which candidates of a choice take part in one step, and with what coefficients.
//
// A mixed layer computes y = sum_i c_i op_i(x; W_i). Search strategies differ in c, and the path is
// how they say it: nas/strategies/ has a file for each.
//
// Draws are a pure function of (seed, step, choice): the same on every device, for every number of
// threads, and after a resume.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "tensor/enum_names.h"
#include "tensor/random.h"

namespace serenade {

/// What a step trains: the weights W or the architecture parameters alpha.
enum class Phase { weights, architecture };
inline EnumNames<Phase> enum_names(Phase) {
  return {{Phase::weights, "weights"}, {Phase::architecture, "architecture"}};
}

struct Path {
  /// Per candidate: takes part. All false, of a path with coefficients: the layer gives zeros.
  std::vector<bool> active;
  /// c, [n], from alpha, [n], by functions of autograd; entries of candidates that take no part are
  /// not read. Empty: the only active candidate has coefficient 1, and alpha plays no part.
  std::function<Variable(const Variable& alpha)> relax;

  bool uses_alpha() const { return relax != nullptr; }
  std::int64_t active_count() const;
  /// The first active candidate.
  std::int64_t first_active() const;
  /// One digit per candidate: "110111".
  std::string to_string() const;
};

/// All n candidates, c = softmax(alpha).
Path full_path(std::int64_t n);
/// Candidate i alone with coefficient 1: the child inside the supernet.
Path single_path(std::int64_t n, std::int64_t i);
/// Some candidates, c_i = scale softmax(alpha)_i.
Path scaled_path(std::vector<bool> active, real scale);
/// Some candidates, c_i = softmax(alpha)_i divided by the sum over the active ones.
Path renormalized_path(std::vector<bool> active);

/// All candidates; c is 1 for candidate i and 0 for the others, with the gradient that soft(alpha),
/// [n], has (straight-through: Bengio, Leonard & Courville 2013).
Path straight_through_path(std::int64_t n, std::int64_t i,
                           std::function<Variable(const Variable& alpha)> soft);

/// c of a path. alpha: [n]; result [n], differentiable by alpha where the path uses it. Throws
/// std::invalid_argument where it does not, and no candidate takes part.
Variable coefficients(const Path& path, const Variable& alpha);

/// `count` of 0 .. n - 1, a uniformly random subset in random order. `choice`: number of the
/// choice, which has a range of the step's stream to itself.
std::vector<std::int64_t> draw_subset(std::int64_t count, std::int64_t n, const RandomKey& key,
                                      std::uint64_t choice);

}  // namespace serenade
