// The published sizes of the two systems, and their behaviour on odd inputs.

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "apps/ser/models/recognizer.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/mixed_layer.h"
#include "tests/op_case.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

RecognizerOptions options_of(const std::string& name, std::int64_t bins) {
  return {.name = name, .bins = bins};
}

std::map<std::string, std::int64_t> parts_of(const RecognizerOptions& options) {
  std::map<std::string, std::int64_t> parts;
  for (const PartCount& part : part_counts(*make_recognizer(options, baseline_genotype(options)))) {
    parts[part.name] = part.parameters;
  }
  return parts;
}

}  // namespace

TEST_CASE("CNN_GRU_att has exactly 833,076 parameters at 4,096 bins") {
  const RecognizerOptions options = options_of(kGruAtt, 4096);
  CHECK(count_parameters(options, baseline_genotype(options)) == 833076);
  const auto parts = parts_of(options);
  CHECK(parts.size() == 3);
  CHECK(parts.at("cnn") == 13104);
  CHECK(parts.at("gru") == 811392);
  CHECK(parts.at("attention") == 8580);
  RecognizerOptions two_biases = options;
  two_biases.gru_bias = GruBias::two;
  CHECK(count_parameters(two_biases, baseline_genotype(two_biases)) == 833460);
}

TEST_CASE("CNN_SeqCap has exactly 703,540 parameters at 4,096 bins") {
  const RecognizerOptions options = options_of(kSeqCap, 4096);
  CHECK(count_parameters(options, baseline_genotype(options)) == 703540);
  const auto parts = parts_of(options);
  CHECK(parts.size() == 6);
  CHECK(parts.at("cnn") == 13104);
  CHECK(parts.at("capsules.primary") == 25664);
  CHECK(parts.at("capsules.window_caps") == 655424);
  CHECK(parts.at("capsules.utterance_caps") == 4672);
  CHECK(parts.at("dense") == 4416);
  CHECK(parts.at("out") == 260);
}

TEST_CASE("sizes of the other presets and of the supernets") {
  const std::map<std::string, std::array<std::int64_t, 4>> expected = {
      // system: 200 bins, its supernet, 1024 bins, its supernet
      {kGruAtt, {83508, 159436, 243252, 319180}},
      {kSeqCap, {89140, 154720, 212020, 277600}},
  };
  for (const auto& [name, counts] : expected) {
    for (const int large : {0, 1}) {
      const RecognizerOptions options = options_of(name, large ? 1024 : 200);
      CHECK(count_parameters(options, baseline_genotype(options)) ==
            counts[static_cast<std::size_t>(2 * large)]);
      std::int64_t alphas = 0;
      const auto supernet = make_supernet(options);
      for (const auto& named : find_mixed_layers(*supernet)) {
        alphas += named.layer->choice().alpha().numel();
      }
      CHECK(alphas == 28);
      CHECK(supernet->parameter_count() - alphas + 28 ==
            counts[static_cast<std::size_t>(2 * large + 1)]);
    }
  }
}

TEST_CASE("multiply-accumulates of the two systems, by hand") {
  // 64 bins, 200 frames: conv1 and conv2 at 64 x 200 places, conv3 at 32 x 200, conv4 at 16 x 100.
  const auto cnn = [](std::int64_t taps1, std::int64_t taps2, std::int64_t taps3,
                      std::int64_t taps4) {
    return (taps1 + taps2) * 8 * 64 * 200 + taps3 * 16 * 16 * 32 * 200 + taps4 * 16 * 16 * 16 * 100;
  };
  const RecognizerOptions gru = options_of(kGruAtt, 64), capsules = options_of(kSeqCap, 64);
  const Genotype first = baseline_genotype(gru);
  // 50 steps: two directions of three gates on 32 inputs and 64 states; attention of 64 channels.
  const std::int64_t of_gru = 50 * 2 * 3 * 64 * (32 + 64);
  const auto of_attention = [](std::int64_t channels) { return channels * (128 + 1 + 4); };
  CHECK(count_macs(gru, first, 200) == cnn(16, 16, 25, 25) + of_gru + 50 * of_attention(64));
  const Genotype other = make_genotype(search_space(gru), {3, 4, 3, 1, 0});  // 1x9 10x1 4x4 5x4 32
  CHECK(count_macs(gru, other, 200) == cnn(9, 10, 16, 20) + of_gru + 50 * of_attention(32));
  RecognizerOptions last = gru;
  last.attention_scope = AttentionScope::final;
  CHECK(count_macs(last, first, 200) == cnn(16, 16, 25, 25) + of_gru + of_attention(64));
  CHECK(count_macs(gru, first, 1) == count_macs(gru, first, 4));  // brought to one step
  // 9 windows of 10 steps; 2 bins x 10 steps become 1 x 5 places of 8 capsules. Three iterations
  // take three weighted sums and two agreements.
  const std::int64_t window = 64 * 16 * 25 * 5 + 40 * 8 * 8 * 8 + 5 * (40 * 8 * 8);
  const std::int64_t utterance = 9 * 4 * 72 * 16 + 5 * (9 * 4 * 16);
  CHECK(count_macs(capsules, baseline_genotype(capsules), 200) ==
        cnn(16, 16, 25, 25) + 9 * window + utterance + 64 * 4 * 17 + 4 * 64);
}

TEST_CASE("the search space has 5,184 architectures") {
  for (const char* name : {kGruAtt, kSeqCap}) {
    CHECK(search_space(options_of(name, 200)).size() == 5184);
  }
}

TEST_CASE("any number of frames gives finite class scores, one row per utterance") {
  manual_seed(3);
  for (const char* name : {kGruAtt, kSeqCap}) {
    const RecognizerOptions options = options_of(name, 64);
    const auto system = make_recognizer(options, baseline_genotype(options));
    for (const std::int64_t frames : {1, 3, 4, 39, 57, 200, 333}) {
      const NoGrad no_grad;
      const Variable scores = system->forward(random_tensor({2, 1, 64, frames}, 4));
      CHECK(scores.shape() == Shape{2, 4});
      for (const real score : scores.value().to_vector()) CHECK(std::isfinite(score));
    }
  }
}

TEST_CASE("gradients reach conv1 of every supernet from the first step") {
  manual_seed(5);
  for (const char* name : {kGruAtt, kSeqCap}) {
    for (const char* mode : {"joint", "dropout", "sampling"}) {
      const RecognizerOptions options = options_of(name, 64);
      const auto method = make_one_shot(mode, search_space(options), {});
      const auto supernet = make_supernet(options, *method);
      for (const NamedMixedLayer& mixed : find_mixed_layers(*supernet)) {
        SupernetChoice& choice = mixed.layer->choice();
        choice.set_path(method->draw({.candidates = choice.candidate_count(), .seed = 5}));
      }
      backward(cross_entropy(supernet->forward(random_tensor({4, 1, 64, 100}, 6)), {0, 1, 2, 3}));
      double norm = 0;
      for (const auto& [path, parameter] : supernet->named_parameters()) {
        if (path.find("conv1.ops") == std::string::npos || !parameter.grad().defined()) continue;
        for (const real g : parameter.grad().to_vector()) norm += static_cast<double>(g) * g;
      }
      INFO(std::string(name), " ", std::string(mode), " ", std::sqrt(norm));
      CHECK(std::sqrt(norm) > 1e-8);
    }
  }
}

TEST_CASE("bad input is refused in one line") {
  const RecognizerOptions options = options_of(kGruAtt, 64);
  const auto system = make_recognizer(options, baseline_genotype(options));
  CHECK_THROWS_WITH(system->forward(random_tensor({1, 1, 60, 100})),
                    "system: spectrograms must be [N, 1, 64, T]; got [1, 1, 60, 100]");
  CHECK_THROWS_WITH(search_space(options_of("CNN_GRU", 64)),
                    "unknown system 'CNN_GRU'; there are CNN_GRU_att, CNN_SeqCap");
  CHECK_THROWS_AS(make_recognizer(options_of(kSeqCap, 64), baseline_genotype(options)),
                  std::invalid_argument);
  CHECK_THROWS_AS(make_supernet(options_of(kGruAtt, 16)), std::invalid_argument);
}
