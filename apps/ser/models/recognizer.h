#pragma once
// A speech emotion recogniser: a spectrogram in, class scores out. The systems there are, each a
// file of systems/, and each as a single architecture or as the supernet of its search space (Wu et
// al., ICASSP 2022, Table 1). A system writes its network once; a Builder (nas/builder.h) makes it
// either.
//
// Choices that the paper leaves open are options here, each with a default that the README's table
// "stated / inferred / our default" explains.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/ser/models/sequential_capsules.h"
#include "nas/builder.h"
#include "nas/genotype.h"
#include "nas/one_shot.h"
#include "nas/search_space.h"
#include "nn/gru.h"
#include "nn/layer.h"
#include "tensor/enum_names.h"

namespace serenade::ser {

inline constexpr const char* kGruAtt = "CNN_GRU_att";
inline constexpr const char* kSeqCap = "CNN_SeqCap";

/// What the attention layer looks at: every GRU step, or only the final states of both directions.
enum class AttentionScope { sequence, final };
inline EnumNames<AttentionScope> enum_names(AttentionScope) {
  return {{AttentionScope::sequence, "sequence"}, {AttentionScope::final, "final"}};
}
/// The candidates of conv2: conv1's transposed, or literally the same.
enum class Conv2Set { transposed, same };
inline EnumNames<Conv2Set> enum_names(Conv2Set) {
  return {{Conv2Set::transposed, "transposed"}, {Conv2Set::same, "same"}};
}

struct RecognizerOptions {
  std::string name = kGruAtt;  ///< of a row of systems()
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

/// One number per capsule stage for the log: the mean norms of the last forward.
struct CapsuleNorms {
  double window = 0;
  double utterance = 0;
};

class Recognizer : public Layer {
 public:
  /// x: [N, 1, F, T] normalised spectrograms, any T >= 1; result [N, classes], before the softmax.
  Variable forward(const Variable& x) override = 0;
  /// Mean capsule norms of the last forward; zeros for a system without capsules.
  virtual CapsuleNorms capsule_norms() const { return {}; }
  /// Multiply-accumulates of a forward of one utterance of so many frames, to compare what
  /// architectures cost; work per element is left out. 0 where a system does not say.
  virtual std::int64_t macs(std::int64_t /*frames*/) { return 0; }
};

/// A system is a file of systems/ that defines its row, `SystemRow <file>_system()`.
struct SystemRow {
  std::string name;     ///< "CNN_GRU_att"
  std::string summary;  ///< one line
  std::function<SearchSpace(const RecognizerOptions&)> search_space;
  /// The hand-made architecture of the paper, one candidate per choice.
  std::function<Genotype(const RecognizerOptions&)> baseline;
  std::function<std::unique_ptr<Recognizer>(const RecognizerOptions&, Builder&)> make;
};

/// All of them, in the order of the file names.
const std::vector<SystemRow>& systems();
/// The row of a name; throws InputError naming the ones there are.
const SystemRow& find_system(const std::string& name);

// What follows throws InputError on an unknown system and std::invalid_argument on options that
// make no sense (too few bins).

/// The search space of a system; 5,184 architectures in the two of the paper.
SearchSpace search_space(const RecognizerOptions& options);
/// The hand-made architecture; 2x8, 8x2, 5x5, 5x5, 64 in the two of the paper.
Genotype baseline_genotype(const RecognizerOptions& options);

/// One architecture, freshly initialised from the default generator (manual_seed). Throws
/// std::invalid_argument on a genotype of another space.
std::unique_ptr<Recognizer> make_recognizer(const RecognizerOptions& options,
                                            const Genotype& genotype);
/// All candidates at once, with the initial weights they would have alone, or times the gain of a
/// method (OneShot::initial_gain).
std::unique_ptr<Recognizer> make_supernet(const RecognizerOptions& options);
std::unique_ptr<Recognizer> make_supernet(const RecognizerOptions& options, const OneShot& method);

/// Parameters of a part of a system: "cnn" 13,104.
struct PartCount {
  std::string name;
  std::int64_t parameters = 0;
};
std::vector<PartCount> part_counts(const Module& recognizer);

/// Number of parameters of an architecture without training it.
std::int64_t count_parameters(const RecognizerOptions& options, const Genotype& genotype);

/// Recognizer::macs() of an architecture, likewise.
std::int64_t count_macs(const RecognizerOptions& options, const Genotype& genotype,
                        std::int64_t frames);
/// Weights of a module, biases left out: its multiplications at each place where it is applied.
std::int64_t weight_count(const Module& module);

}  // namespace serenade::ser
