#pragma once
// The two speech emotion recognisers of Wu et al. (ICASSP 2022), each as a single architecture and
// as the supernet of its search space (Table 1 of the paper).
//
//   spectrogram [N, 1, F, T]
//     conv1 1->8 and conv2 1->8 in parallel, concatenated; ReLU; max-pool 2x1
//     conv3 16->16; ReLU; max-pool 2x2
//     conv4 16->16; ReLU; max-pool 2x2; max-pool 4x1             [N, 16, F / 32, T / 4]
//   CNN_GRU_att   bidirectional GRU of 64 cells per direction, attention pooling
//   CNN_SeqCap    capsules per window and per utterance, dense, ReLU, dense
//   class scores [N, 4], before the softmax
//
// Choices that the paper leaves open are options here, each with a default that the README's table
// "stated / inferred / our default" explains.

#include <memory>
#include <string>
#include <vector>

#include "nas/genotype.h"
#include "nas/path.h"
#include "nas/search_space.h"
#include "nn/capsule.h"
#include "nn/gru.h"
#include "nn/module.h"

namespace serenade::ser {

inline constexpr const char* kGruAtt = "CNN_GRU_att";
inline constexpr const char* kSeqCap = "CNN_SeqCap";

/// What the attention layer looks at: every GRU step, or only the final states of both directions.
enum class AttentionScope { sequence, final };
/// The candidates of conv2: conv1's transposed, or literally the same.
enum class Conv2Set { transposed, same };

struct SystemOptions {
  std::string name = kGruAtt;  ///< CNN_GRU_att or CNN_SeqCap
  std::int64_t bins = 4096;    ///< F, at least 32
  std::int64_t classes = 4;
  Conv2Set conv2_set = Conv2Set::transposed;
  double dropout = 0;  ///< on the features the classifier sees
  // CNN_GRU_att
  std::int64_t gru_cells = 64;
  GruBias gru_bias = GruBias::one;
  GruReset gru_reset = GruReset::after;
  AttentionScope attention_scope = AttentionScope::sequence;
  bool attention_relu = true;
  // CNN_SeqCap
  int routing_iterations = 3;
  RoutingGradient routing_gradient = RoutingGradient::full;
  UtteranceNorm utterance_norm = UtteranceNorm::none;
  double vote_gain = 1;
};

/// One number per capsule stage for the log: the mean lengths of the last forward.
struct CapsuleNorms {
  double window = 0;
  double utterance = 0;
};

/// A recogniser: spectrograms in, class scores out.
class System : public Module {
 public:
  /// x: [N, 1, F, T] normalised spectrograms, any T >= 1; result [N, classes], before the softmax.
  virtual Variable forward(const Variable& x) = 0;
  /// Mean capsule lengths of the last forward; zeros for a system without capsules.
  virtual CapsuleNorms capsule_norms() const { return {}; }
};

/// The search space of a system: conv1, conv2, conv3, conv4 and "attention" (channels) or "dense"
/// (width). 5,184 architectures.
SearchSpace search_space(const SystemOptions& options);

/// The hand-made architecture of the paper: 2x8, 8x2, 5x5, 5x5, 64.
Genotype baseline_genotype(const SystemOptions& options);

/// One architecture, freshly initialised from the default generator (manual_seed). Throws
/// std::invalid_argument on an unknown system, too few bins, or a genotype of another space.
std::unique_ptr<System> make_system(const SystemOptions& options, const Genotype& genotype);

/// All candidates at once. `mode` sets the gain of the initial weights (supernet_gain).
/// `equal_gain` keeps it at 1.
std::unique_ptr<System> make_supernet(const SystemOptions& options, Mode mode,
                                      bool equal_gain = false);

/// Parameters of a part of a system: "cnn" 13,104.
struct PartCount {
  std::string name;
  std::int64_t parameters = 0;
};
std::vector<PartCount> part_counts(const Module& system);

/// Number of parameters of an architecture without training it.
std::int64_t count_parameters(const SystemOptions& options, const Genotype& genotype);

/// "sequence" / "final" and so on; the parsers throw InputError naming the words there are.
std::string to_string(AttentionScope scope);
std::string to_string(Conv2Set set);
AttentionScope attention_scope(const std::string& word);
Conv2Set conv2_set(const std::string& word);

}  // namespace serenade::ser
