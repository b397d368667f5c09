#pragma once
// Mixed operations: y = sum_i c_i op_i(x; W_i), Eq. 1 of Wu et al. (ICASSP 2022), after DARTS (Liu,
// Simonyan & Yang, ICLR 2019). The coefficients c come from the current Path and alpha; see path.h.
//
// Each candidate has weights of its own and is the very layer the child would have. Where
// candidates are linear in their weights, the mixture is ONE layer with merged weights
// (nas/README.md):
//   sum_i c_i conv(x; W_i, b_i) = conv(x; sum_i c_i pad(W_i), sum_i c_i b_i)
// `naive` runs every candidate and adds the results: the definition, kept as the oracle.
//
// A candidate that the path leaves out receives no gradient at all (its .grad stays undefined), so
// optimisers leave its weights and moments alone.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/functions.h"
#include "nas/path.h"
#include "nn/module.h"

namespace serenade {

class Conv2d;
class Linear;
class AttentionPooling;

/// The factor on the initial weights of n candidates: sqrt(n) in joint and dropout mode, where the
/// mean of n independent outputs would otherwise have 1/n of the variance of one; 1 in other modes.
real supernet_gain(Mode mode, std::int64_t n);

class MixedOp : public Module {
 public:
  std::int64_t candidate_count() const { return static_cast<std::int64_t>(candidates_.size()); }
  /// "2x8" or "64", in the order of alpha.
  const std::vector<std::string>& candidates() const { return candidates_; }

  /// [n], starts at zero: all candidates alike.
  const Variable& alpha() const { return alpha_; }
  /// softmax(alpha).
  std::vector<double> probabilities() const;
  /// argmax alpha; the first on ties.
  std::int64_t choice() const;

  /// Which candidates take part from now on; starts as full_path.
  void set_path(Path path);
  const Path& path() const { return path_; }

  /// How many weight steps each candidate has taken part in.
  const std::vector<std::int64_t>& update_counts() const { return update_counts_; }
  void set_update_counts(std::vector<std::int64_t> counts);
  /// Counts one weight step for the active candidates.
  void count_update();

  /// The weights of candidate i.
  std::vector<Variable> candidate_parameters(std::int64_t i) const;

  /// While on, forward keeps its output, for activation_rms().
  void watch(bool on) { watching_ = on; }
  bool watching() const { return watching_; }
  /// Root mean square of the last output that was kept, which may then go; 0 before any.
  double activation_rms() const;

 protected:
  explicit MixedOp(std::vector<std::string> candidates);
  Variable coefficients() const { return serenade::coefficients(path_, alpha_); }
  /// Registers the next candidate as "ops.<i>"; it must live as long as this (a member).
  void register_candidate(Module& op) { ops_.append(op); }
  /// Returns y, having kept it if watched.
  Variable observed(const Variable& y) const;

 private:
  struct CandidateList : Module {
    void append(Module& op) { register_module(std::to_string(children().size()), op); }
  };

  std::vector<std::string> candidates_;
  Variable alpha_;
  Path path_;
  std::vector<std::int64_t> update_counts_;
  CandidateList ops_;
  bool watching_ = false;
  mutable Variable watched_;
  mutable double activation_rms_ = 0;
};

/// Stride-1 'same' convolutions of different kernel sizes. Parameters: alpha [n],
/// ops.<i>.weight [out, in, KH_i, KW_i], ops.<i>.bias [out].
class MixedConv2d : public MixedOp {
 public:
  struct Options {
    std::int64_t in_channels = 0;
    std::int64_t out_channels = 0;
    std::vector<std::string> kernels = {};  ///< "2x8", ..
    real gain = 1;                          ///< on the initial weights; see supernet_gain
    bool naive = false;                     ///< run every candidate
  };

  explicit MixedConv2d(const Options& options);
  ~MixedConv2d() override;

  /// x: [N, in, H, W]; result [N, out, H, W].
  Variable forward(const Variable& x) const;
  /// max_pool2d(relu(forward(x)), window), fused unless naive.
  Variable forward_relu_maxpool(const Variable& x, std::array<std::int64_t, 2> window) const;
  /// The one convolution that forward amounts to along the current path, naive or not: for those
  /// who run it together with others. They hand the layer's output to observe().
  ConvBranch merged() const;
  /// Keeps the layer's output if watched.
  void observe(const Variable& y) const { observed(y); }
  void set_naive(bool naive) { naive_ = naive; }

 private:
  std::vector<std::unique_ptr<Conv2d>> layers_;
  std::vector<Variable> weights_, biases_;
  bool naive_;
};

/// Dense layers of different widths, outputs zero-padded to the widest and mixed. Parameters:
/// alpha [n], ops.<i>.weight [d_i, in], ops.<i>.bias [d_i].
class MixedLinear : public MixedOp {
 public:
  struct Options {
    std::int64_t in_features = 0;
    std::vector<std::string> widths = {};  ///< "32", ..
    real gain = 1;
    bool naive = false;
  };

  explicit MixedLinear(const Options& options);
  ~MixedLinear() override;

  /// x: [.., in]; result [.., widest].
  Variable forward(const Variable& x) const;
  std::int64_t widest() const { return widest_; }
  void set_naive(bool naive) { naive_ = naive; }

 private:
  std::vector<std::unique_ptr<Linear>> layers_;
  std::vector<Variable> weights_, biases_;
  std::int64_t in_features_;
  std::int64_t widest_ = 0;
  bool naive_;
};

/// Whole attention layers of different widths, class scores mixed. (A ReLU and a softmax stand
/// between input and scores, so there is no merged form.) Parameters: alpha [n],
/// ops.<i>.proj.weight, ops.<i>.proj.bias, ops.<i>.bottom_up, ops.<i>.top_down.weight,
/// ops.<i>.top_down.bias.
class MixedAttention : public MixedOp {
 public:
  struct Options {
    std::int64_t input_size = 0;
    std::vector<std::string> channels = {};  ///< "32", ..
    std::int64_t classes = 0;
    bool relu = true;
    real gain = 1;  ///< on the class-specific maps, the part that the scores are linear in
  };

  explicit MixedAttention(const Options& options);
  ~MixedAttention() override;

  /// h: [N, T, input_size]; lengths: one per sequence or empty; result [N, classes].
  Variable forward(const Variable& h, const Indices& lengths = {}) const;

 private:
  std::vector<std::unique_ptr<AttentionPooling>> layers_;
};

struct NamedMixedOp {
  std::string name;  ///< dotted path inside the module
  MixedOp* op;
};

/// The mixed operations of a network, in order of registration.
std::vector<NamedMixedOp> find_mixed_ops(Module& module);

}  // namespace serenade
