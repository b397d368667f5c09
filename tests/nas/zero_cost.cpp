// Scores before training: by hand, and by what they must be of networks that are simple enough.

#include "nas/zero_cost.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/engine.h"
#include "nn/conv.h"
#include "nn/linear.h"
#include "tests/nas/score_table.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

// Two convolutions and a dense layer; ReLUs between them, or not.
struct Net : Module {
  Conv2d first{{.in_channels = 2, .out_channels = 5, .kernel_size = {3, 3}}};
  Conv2d second{{.in_channels = 5, .out_channels = 3, .kernel_size = {2, 4}}};
  Linear last{{.in_features = 3, .out_features = 4}};
  bool with_relu;
  explicit Net(bool relus) : with_relu(relus) {
    register_module("first", first);
    register_module("second", second);
    register_module("last", last);
  }
  Variable forward(const Variable& x) {
    const auto act = [this](const Variable& y) { return with_relu ? relu(y) : y; };
    const Variable y = act(second.forward(act(first.forward(x))));
    return last.forward(mean(y, {2, 3}));
  }
};

// Square dense layers in a row, without biases.
struct Deep : Module {
  ModuleList<Linear> layers;
  Deep(int depth, std::int64_t width) {
    for (int i = 0; i < depth; ++i) {
      layers.add({.in_features = width, .out_features = width, .bias = false});
    }
    register_module("layers", layers);
  }
  Variable forward(const Variable& x) {
    Variable y = x;
    for (std::size_t i = 0; i < layers.size(); ++i) y = layers[i].forward(y);
    return y;
  }
};

std::vector<double> weight_flows(const Module& net, const Synflow& synflow) {
  std::vector<double> flows;
  const NamedParameters parameters = net.named_parameters();
  REQUIRE(parameters.size() == synflow.flows.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (contains(parameters[i].first, "bias")) {
      CHECK(synflow.flows[i] == 0);
    } else {
      flows.push_back(synflow.flows[i]);
    }
  }
  return flows;
}

}  // namespace

TEST_CASE("synflow: its sum is equal for every layer of a sequence, which is conserved") {
  for (const bool relus : {false, true}) {  // of positive numbers, a ReLU is the identity
    manual_seed(3);
    Net net(relus);
    const StateDict before = net.state_dict();
    const Variable ones = Tensor::ones({1, 2, 9, 8});
    const Synflow synflow_of = synflow(net, [&] { return net.forward(ones); });
    const std::vector<double> flows = weight_flows(net, synflow_of);
    REQUIRE(flows.size() == 3);
    CHECK(flows[0] > 0);
    for (const double flow : flows) CHECK(flow == doctest::Approx(flows[0]).epsilon(1e-5));
    CHECK(same_numbers(net.state_dict(), before));
    // R itself: the sum of the outputs of the positive network, which is small enough here.
    for (auto [name, parameter] : net.named_parameters()) {
      std::vector<real> values = parameter.value().to_vector();
      for (real& value : values) value = contains(name, "bias") ? real(0) : std::abs(value);
      parameter.value().copy_(Tensor::from(values, parameter.shape()));
    }
    const double r = static_cast<double>(sum(net.forward(ones)).item());
    CHECK(synflow_of.log_score == doctest::Approx(std::log(3 * r)).epsilon(1e-5));
  }
}

TEST_CASE("synflow: a deep network does not overflow") {
  constexpr int kDepth = 80, kWidth = 20;
  Deep net(kDepth, kWidth);
  for (auto [name, parameter] : net.named_parameters()) parameter.value().fill_(real(-7));
  const Synflow deep = synflow(net, [&] { return net.forward(Tensor::ones({1, kWidth})); });
  // Every layer multiplies by 20 * 7: R = 20 * 140^80, more than 1e172, and 80 layers have it.
  const double expected = std::log(80) + std::log(20) + kDepth * std::log(140);
  CHECK(deep.log_score == doctest::Approx(expected).epsilon(1e-6));
  for (const double flow : deep.flows) CHECK(flow == doctest::Approx(20).epsilon(1e-5));
  for (auto [name, parameter] : net.named_parameters()) {
    CHECK(parameter.value().at({0, 0}) == real(-7));
    parameter.value().zero_();
  }
  CHECK(std::isinf(synflow(net, [&] { return net.forward(Tensor::ones({1, kWidth})); }).log_score));
  // What throws leaves the parameters as they were.
  net.named_parameters()[0].second.value().fill_(real(-3));
  CHECK_THROWS_AS(synflow(net, []() -> Variable { throw std::invalid_argument("no"); }),
                  std::invalid_argument);
  CHECK(net.named_parameters()[0].second.value().at({0, 0}) == real(-3));
}

TEST_CASE("gradient norm: the norms of every parameter's gradient, added up") {
  manual_seed(4);
  Net net(true);
  const Variable x = random_tensor({3, 2, 9, 8}, 1);
  const auto loss = [&] { return cross_entropy(net.forward(x), {0, 1, 3}); };
  const double score = gradient_norm(net, loss);
  for (const Variable& parameter : net.parameters()) CHECK_FALSE(parameter.grad().defined());
  backward(loss());
  double expected = 0;
  for (const Variable& parameter : net.parameters()) {
    double square = 0;
    for (const real value : parameter.grad().to_vector()) {
      square += static_cast<double>(value) * static_cast<double>(value);
    }
    expected += std::sqrt(square);
  }
  CHECK(score == doctest::Approx(expected).epsilon(1e-6));
  CHECK(score > 0.01);
  // A layer that the loss does not see adds nothing: here the bias, 1 / 5 per channel, is left:
  // the input is zero.
  const auto bias_alone = [&] { return mean(net.first.forward(Tensor({1, 2, 9, 8}))); };
  CHECK(gradient_norm(net, bias_alone) == doctest::Approx(std::sqrt(5) / 5).epsilon(1e-6));
}

TEST_CASE("naswot: by hand") {
  // Codes 1101, 0101, 0010 over two layers of two units.
  const Tensor first = Tensor::from({2, 1, 0, 3, 0, 0}, {3, 2});
  const Tensor second = Tensor::from({0, 1, 0, real(0.5), 4, 0}, {3, 2, 1});
  // K = [4 3 0; 3 4 1; 0 1 4]: det = 4 * 15 - 3 * 12 = 24.
  CHECK(naswot({first, second}) == doctest::Approx(std::log(24)).epsilon(1e-12));
  // Codes 11, 01, 00: K = [2 1 0; 1 2 1; 0 1 2].
  CHECK(naswot({first}) == doctest::Approx(std::log(4)).epsilon(1e-12));
  const Tensor alike = Tensor::from({1, 0, 2, 0}, {2, 2});
  CHECK(naswot({alike}) == -std::numeric_limits<double>::infinity());
  CHECK_THROWS_AS(naswot({}), std::invalid_argument);
  CHECK(contains(message_of([&] {
                   naswot({first, alike});
                 }),
                 "naswot: activations must be of one batch; got [2, 2] beside [3, 2]"));
}

TEST_CASE("macs: of one example, by hand") {
  Conv2d conv({.in_channels = 2, .out_channels = 5, .kernel_size = {3, 4}});
  const std::int64_t same = 9 * 8 * 5 * (2 * 3 * 4);
  CHECK(macs(*conv.linear_form(), Tensor({7, 2, 9, 8})) == same);
  Conv2d strided({.in_channels = 2,
                  .out_channels = 5,
                  .kernel_size = {3, 3},
                  .stride = {2, 2},
                  .padding = Padding{}});
  CHECK(macs(*strided.linear_form(), Tensor({1, 2, 9, 8})) == 4 * 3 * 5 * (2 * 9));
  Linear linear({.in_features = 6, .out_features = 4});
  CHECK(macs(*linear.linear_form(), Tensor({3, 6})) == 24);
  CHECK(macs(*linear.linear_form(), Tensor({3, 10, 6})) == 240);
}

// The strategy ------------------------------------------------------------------------------------

namespace {

// Untrained scores beside the others; the fourth architecture lets nothing through.
struct Scored : Table {
  std::vector<double> untrained;
  int asked = 0;
  explicit Scored(std::vector<double> scores) : Table(kScores), untrained(std::move(scores)) {
    untrained[3] = -std::numeric_limits<double>::infinity();
  }
  double untrained_score(const Genotype& genotype) override {
    ++asked;
    return untrained[static_cast<std::size_t>(genotype_index(genotype, searched))];
  }
};

std::unique_ptr<Strategy> zero_cost(std::int64_t trials, std::int64_t scored = 8,
                                    std::uint64_t seed = 3) {
  return make_strategy("zero_cost", table_space(),
                       {.seed = seed, .trials = trials, .scored = scored});
}

}  // namespace

TEST_CASE("zero_cost: the best by the score are trained, the best of them is the answer") {
  std::vector<double> reversed;  // the score says the opposite
  for (const double score : kScores) reversed.push_back(-score);
  for (const bool helpful : {true, false}) {
    Scored problem(helpful ? kScores : reversed);
    const auto strategy = zero_cost(3, 50);  // all twelve
    CHECK_FALSE(strategy->needs_supernet());
    CHECK_FALSE(strategy->shares_training());
    CHECK(strategy->planned_steps() == 3);
    run(*strategy, problem);
    CHECK(problem.asked == 12);
    REQUIRE(problem.trials.size() == 3);
    const std::vector<double> expected =
        helpful ? std::vector<double>{0.9, 0.8, 0.7} : std::vector<double>{0.1, 0.2, 0.3};
    for (std::size_t i = 0; i < 3; ++i) CHECK(problem.score_of(problem.trials[i]) == expected[i]);
    CHECK(strategy->recommend() == problem.trials[helpful ? 0 : 2].genotype);
  }
  // Without anything to tell them apart: as they were drawn.
  Scored flat(std::vector<double>(12, 1));
  run(*zero_cost(7), flat);
  const std::vector<Genotype> drawn =
      random_genotypes(table_space(), 8, {3, Purpose::architecture, 0});
  std::size_t at = 0;
  for (const Genotype& genotype : drawn) {
    if (genotype_index(genotype, table_space()) == 3) continue;  // the last of the ranking
    if (at < 7) CHECK(flat.trials[at++].genotype == genotype);
  }
}

TEST_CASE("zero_cost: stopped after any step and resumed; what does not fit is refused") {
  Scored whole(kScores);
  const auto uninterrupted = zero_cost(8);
  run(*uninterrupted, whole);
  for (std::size_t stop = 0; stop <= 8; ++stop) {
    Scored problem(kScores);
    const auto first = zero_cost(8), second = zero_cost(8);
    for (std::size_t i = 0; i < stop; ++i) CHECK(first->advance(problem));
    second->load_state(first->save_state());
    CHECK(second->recommend() == first->recommend());
    run(*second, problem);
    CHECK(problem.asked == 8);  // the scores are part of the state
    REQUIRE(problem.trials.size() == 8);
    for (std::size_t i = 0; i < 8; ++i) {
      CHECK(problem.trials[i].genotype == whole.trials[i].genotype);
    }
    CHECK(second->save_state().metadata == uninterrupted->save_state().metadata);
  }
  const auto strategy = zero_cost(8);
  Scored problem(kScores);
  CHECK(strategy->advance(problem));
  const SafetensorsFile before = strategy->save_state();
  std::vector<SafetensorsFile> states = {SafetensorsFile(), zero_cost(8, 9)->save_state(),
                                         zero_cost(7)->save_state(),
                                         zero_cost(8, 8, 4)->save_state()};
  for (const char* scores : {"{", "[1]", "[\"a\",1,1,1,1,1,1,1]"}) {
    states.push_back(before);
    states.back().metadata["untrained_scores"] = scores;
  }
  for (const SafetensorsFile& state : states) {
    CHECK_THROWS_AS(strategy->load_state(state), std::invalid_argument);
  }
  CHECK(strategy->save_state().metadata == before.metadata);
  CHECK(message_of([] { zero_cost(9, 8); }) ==
        "zero_cost: at least as many must be scored as are trained; got 8 and 9");
  CHECK_THROWS_AS(zero_cost(0), std::invalid_argument);
  Scored wrong(std::vector<double>(12, std::numeric_limits<double>::quiet_NaN()));
  for (int twice = 0; twice < 2; ++twice) {
    CHECK(contains(message_of([&] { zero_cost(2)->advance(wrong); }), "a score must be a number"));
  }
  Table untold(kScores);
  CHECK(message_of<std::logic_error>([&] { zero_cost(2)->advance(untold); }) ==
        "problem: offers no untrained scores");
}
