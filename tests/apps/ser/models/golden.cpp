// Whole systems against an independent implementation: one forward and backward pass, five training
// steps, supernets in the three modes, and three bi-level steps, both by the strategies of nas/.
// Each is given seeds with which it draws what the file has.

#include "tests/golden.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "apps/ser/models/recognizer.h"
#include "autograd/engine.h"
#include "nas/mixed_layer.h"
#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "nn/optim.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

// Our systems by the names of the golden files.
const std::map<std::string, std::string> kSystems = {{"gru", kGruAtt}, {"seqcap", kSeqCap}};
constexpr double kTolerance = sizeof(real) == 8 ? 1e-10 : 1e-5;
constexpr double kLearningRate = 1e-3;

// Compares what Adam made of a parameter, or of the loss. Adam divides each gradient by its own
// size: where a gradient is nothing but float rounding, its parameter may go the other way, by up
// to one learning rate per step, and from then on the loss differs too. So float asks for a small
// difference of the whole tensor and allows a single entry one such step; double is strict. How
// much is rounding depends on the compiler: of CNN_SeqCap's conv3 the difference is 3.4e-4 of its
// size with clang 19 at -O1, less than 3e-4 with g++ 12.
void check_trained(const Tensor& actual, const Tensor& expected, const std::string& what) {
  if (sizeof(real) == 8) return check_close(actual, expected, what, kTolerance);
  INFO(what);
  REQUIRE(to_string(actual.shape()) == to_string(expected.shape()));
  const std::vector<real> got = actual.to_vector(), wanted = expected.to_vector();
  double worst = 0, difference = 0, size = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = static_cast<double>(got[i]) - static_cast<double>(wanted[i]);
    worst = std::max(worst, std::isnan(error) ? INFINITY : std::abs(error));
    difference += error * error;
    size += static_cast<double>(wanted[i]) * static_cast<double>(wanted[i]);
  }
  CHECK(worst <= kLearningRate);
  CHECK(std::sqrt(difference) <= 1e-3 * std::sqrt(size));
}

// A parameter's name in the golden files.
std::string golden_name(const std::string& system, std::string name) {
  const auto replace = [&](const std::string& from, const std::string& to) {
    const std::size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, from.size(), to);
  };
  replace("capsules.primary.weight", "prim_w");
  replace("capsules.primary.bias", "prim_b");
  replace("capsules.window_caps", "window_caps");
  replace("capsules.utterance_caps", "utt_caps");
  replace(system == "gru" ? "attention." : "dense.", "head.");
  if (name.rfind("gru.", 0) == 0) {
    const std::size_t reverse = name.find("_reverse");
    name.insert(reverse == std::string::npos ? name.size() : reverse, "_l0");
  }
  return name;
}

void load_parameters(Recognizer& system, const std::string& tag, const Golden& file) {
  StateDict state;
  for (const auto& [name, parameter] : system.named_parameters()) {
    state[name] = file.tensor("param/" + golden_name(tag, name));
  }
  system.load_state_dict(state);
}

RecognizerOptions options_of(const std::string& tag) {
  return {.name = kSystems.at(tag), .bins = 64};
}

// Runs one batch backward and compares logits, loss, input gradient and every parameter gradient.
// Parameters that the file leaves out must have no gradient.
void check_forward_backward(Recognizer& system, const std::string& tag, const std::string& label,
                            const Golden& expected, const Tensor& input, const Indices& labels) {
  const Variable x(input, true);
  const Variable logits = system.forward(x);
  const Variable loss = cross_entropy(logits, labels);
  check_close(logits.value(), expected.tensor("logits"), label + ": logits", kTolerance);
  check_close(loss.value(), expected.tensor("loss"), label + ": loss", kTolerance);
  backward(loss);
  // In float, rounding may decide which of two nearly equal elements wins a pool, or on which side
  // of zero a ReLU sees one, and the gradient then takes another way. It does so once in these
  // files: two pre-pooling values of conv2 lie 1.8e-9 apart in the GRU supernet under dropout.
  const double tolerance = sizeof(real) == 8 ? kTolerance : 1e-2;
  check_close(x.grad(), expected.tensor("d_x"), label + ": d_x", tolerance);
  for (const auto& [name, parameter] : system.named_parameters()) {
    const std::string key = "grad/" + golden_name(tag, name);
    if (expected.has(key)) {
      REQUIRE(parameter.grad().defined());
      check_close(parameter.grad(), expected.tensor(key), label + ": " + key, tolerance);
    } else if (parameter.grad().defined()) {
      check_close(parameter.grad(), Tensor(parameter.shape()), label + ": no " + key, 1e-12);
    }
  }
}

Indices labels_of(const Golden& file, const std::string& name = "labels") {
  return file.integer(name).values;
}

// Which candidates take part where a golden file says which one is drawn, per choice.
void check_paths(const std::vector<Path>& paths, const std::string& mode,
                 const std::vector<std::int64_t>& picks) {
  REQUIRE(paths.size() == 5);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    std::string digits(paths[i].active.size(), mode == "sampling" ? '0' : '1');
    if (mode != "joint") digits.at(static_cast<std::size_t>(picks.at(i))) ^= '0' ^ '1';
    CHECK(paths[i].to_string() == digits);
  }
}

// Dropout, but that each weight step has a seed of its own.
class SeededDropout : public OneShot {
 public:
  SeededDropout(const SearchSpace& space, std::vector<std::uint64_t> seeds)
      : OneShot(space, {}), dropout_(make_one_shot("dropout", space, {})), seeds_(seeds) {}

  std::string name() const override { return dropout_->name(); }
  Path draw(const Draw& draw) const override {
    Draw here = draw;
    if (draw.phase == Phase::weights) here.seed = seeds_.at(static_cast<std::size_t>(draw.step));
    return dropout_->draw(here);
  }

 private:
  std::unique_ptr<OneShot> dropout_;
  std::vector<std::uint64_t> seeds_;
};

}  // namespace

TEST_CASE("one forward and backward pass of each system, and a longer utterance") {
  for (const auto& [tag, name] : kSystems) {
    if (!has_golden("model_" + tag)) continue;
    const Golden file = golden("model_" + tag);
    const auto system = make_recognizer(options_of(tag), baseline_genotype(options_of(tag)));
    load_parameters(*system, tag, file);
    check_forward_backward(*system, tag, tag, file, file.tensor("x"), labels_of(file));
  }
}

TEST_CASE("five training steps of each system") {
  for (const auto& [tag, name] : kSystems) {
    if (!has_golden("train_" + tag)) continue;
    const Golden model = golden("model_" + tag), file = golden("train_" + tag);
    const auto system = make_recognizer(options_of(tag), baseline_genotype(options_of(tag)));
    load_parameters(*system, tag, model);
    check_close(system->forward(file.tensor("long_x")).value(), file.tensor("long_logits"),
                tag + ": 125 frames", kTolerance);
    Adam adam(system->named_parameters(), {.lr = kLearningRate});
    const Tensor losses = file.tensor("losses");
    for (std::int64_t step = 0; step < losses.numel(); ++step) {
      adam.zero_grad();
      const Variable loss = cross_entropy(system->forward(model.tensor("x")), labels_of(model));
      const double tolerance = sizeof(real) == 8 || step == 0 ? kTolerance : 1e-4;
      check_close(loss.value(), losses.slice(0, step, 1).reshape({}),
                  tag + ": loss of step " + std::to_string(step), tolerance);
      backward(loss);
      adam.step();
    }
    const Variable after = cross_entropy(system->forward(model.tensor("x")), labels_of(model));
    check_trained(after.value(), file.tensor("loss_after"), tag + ": loss after");
    for (const auto& [path, parameter] : system->named_parameters()) {
      check_trained(parameter.value(), file.tensor("trained/" + golden_name(tag, path)),
                    tag + ": trained " + path);
    }
  }
}

TEST_CASE("supernets in joint, sampling and dropout mode") {
  const std::map<std::string, std::vector<std::int64_t>> picks = {
      {"joint", {}}, {"sampling", {1, 4, 3, 5, 3}}, {"dropout", {0, 2, 5, 1, 2}}};
  const std::map<std::string, std::uint64_t> seeds = {
      {"joint", 0}, {"sampling", 257}, {"dropout", 161}};
  for (const auto& [tag, name] : kSystems) {
    if (!has_golden("supernet_" + tag + "_params")) continue;
    const Golden params = golden("supernet_" + tag + "_params");
    for (const auto& [mode, pick] : picks) {
      const Golden file = golden("supernet_" + tag + "_" + mode);
      const auto supernet = make_supernet(options_of(tag));
      load_parameters(*supernet, tag, params);
      const SearchSpace space = search_space(options_of(tag));
      const auto method = make_one_shot(mode, space, {});
      std::vector<Path> paths;
      for (const ChoiceLayers& here : find_choices(*supernet, space)) {
        paths.push_back(method->draw({.candidates = here.choice->candidate_count(),
                                      .choice = paths.size(),
                                      .seed = seeds.at(mode)}));
        here.choice->set_path(paths.back());
      }
      check_paths(paths, mode, pick);
      check_forward_backward(*supernet, tag, tag + " " + mode, file, params.tensor("x"),
                             labels_of(params));
    }
  }
}

TEST_CASE("three alternating bi-level steps: dropout on the weights, all paths on the alphas") {
  for (const auto& [tag, name] : kSystems) {
    if (!has_golden("supernet_" + tag + "_params")) continue;
    const Golden params = golden("supernet_" + tag + "_params"), file = golden("bilevel_" + tag);
    const auto supernet = make_supernet(options_of(tag));
    load_parameters(*supernet, tag, params);
    const SeededDropout method(search_space(options_of(tag)), {503, 11209, 17958});
    SupernetSearch search(*supernet, method);
    const std::vector<std::int64_t> masks = file.integer("masks").values;
    const auto loss_on = [&](const Tensor& x, const Indices& labels) {
      return [&supernet, x, labels] { return cross_entropy(supernet->forward(x), labels); };
    };
    const auto check_loss = [&](const StepRecord& step, const Tensor& expected) {
      check_close(Tensor::full({}, static_cast<real>(step.loss.get())), expected.reshape({}),
                  "bi-level loss", kTolerance);
    };
    for (std::int64_t i = 0; i < 3; ++i) {
      const StepRecord weights = search.weight_step(loss_on(params.tensor("x"), labels_of(params)));
      check_paths(weights.paths, "dropout", {masks.begin() + 5 * i, masks.begin() + 5 * i + 5});
      check_loss(weights, file.tensor("weight_losses").slice(0, i, 1));
      const StepRecord alphas =
          search.architecture_step(loss_on(file.tensor("x_val"), labels_of(file, "labels_val")));
      check_paths(alphas.paths, "joint", {});
      check_loss(alphas, file.tensor("alpha_losses").slice(0, i, 1));
      std::vector<real> now;
      for (const std::vector<double>& choice : search.alphas()) {
        for (const double alpha : choice) now.push_back(static_cast<real>(alpha));
      }
      check_close(Tensor::from(now, {28}), file.tensor("alphas").slice(0, i, 1).reshape({28}),
                  tag + ": alphas", kTolerance);
    }
  }
}
