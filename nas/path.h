#pragma once
// Path: which candidates of a mixed layer take part in one step, and with what coefficients.
//
// A mixed layer computes y = sum_i c_i op_i(x; W_i). The search modes differ in c and in nothing
// else; with a = softmax(alpha) over all N candidates (Wu et al., ICASSP 2022, Eq. 1-4):
//   joint, and the architecture phase of all modes   c_i = a_i
//   sampling, weights phase                          c_i = 1 for one uniformly drawn i, else 0
//   dropout, weights phase                           c_i = a_i N / (N - m), 0 for m masked
//   candidates
// Of the N candidates a uniformly drawn set of exactly m is masked, so P(i survives) = (N - m) / N
// and E[c_i] = a_i: the mixture keeps its scale on average, and no layer is ever empty.
//
// Draws are a pure function of (seed, step, layer): the same on every device, for every number of
// threads, and after a resume.

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace serenade {

/// How an architecture is found. `none` and `random` train single architectures and draw no paths.
enum class Mode { none, random, joint, sampling, dropout };
/// What a step trains: the weights W or the architecture parameters alpha.
enum class Phase { weights, architecture };

/// "none", "random", "joint", "sampling", "dropout".
const char* to_string(Mode mode);
/// The inverse; throws std::invalid_argument listing the modes there are.
Mode parse_mode(const std::string& name);
const char* to_string(Phase phase);

struct Path {
  std::vector<bool> active;  ///< per candidate: takes part
  bool uses_alpha = true;    ///< false: the only active candidate has coefficient 1
  real scale = 1;            ///< multiplies softmax(alpha)
  bool renormalize = false;  ///< divide by the sum over the active candidates instead

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

struct PathOptions {
  Mode mode = Mode::dropout;
  std::int64_t masked = 1;  ///< m, in dropout mode: 0 .. n - 1
  bool renormalize =
      false;  ///< dropout: c_i = a_i / (sum of the survivors' a), not a_i N / (N - m)
};

/// The path of layer number `layer` (of n candidates) in step number `step`. Throws
/// std::invalid_argument for modes that draw no path and where no candidate would survive.
Path draw_path(const PathOptions& options, Phase phase, std::int64_t n, std::uint64_t seed,
               std::uint64_t step, std::uint64_t layer);

/// c, zero for candidates that take no part. alpha: [n]; result [n], differentiable by alpha where
/// the path uses it.
Variable coefficients(const Path& path, const Variable& alpha);

}  // namespace serenade
