// A network written once, as a supernet and as its children.

#include "nas/builder.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/derive.h"
#include "nn/conv.h"
#include "nn/linear.h"
#include "tests/golden.h"
#include "tests/nas/small_net.h"
#include "tests/nas/toy.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

SearchSpace net_space() {
  return {.choices = {{.name = "conv", .candidates = {"3x3", "5x5", "1x4"}, .kind = "conv"},
                      {.name = "dense", .candidates = {"6", "4", "5"}, .kind = "width"}},
          .system = "net"};
}

using Shapes = std::map<std::string, Shape>;

Shapes shapes_of(const Module& module) {
  Shapes shapes;
  for (const auto& [name, parameter] : module.named_parameters()) {
    shapes[name] = parameter.shape();
  }
  return shapes;
}

void randomize(Module& module) {
  std::uint64_t seed = 60;
  for (Variable& parameter : module.parameters()) {
    parameter.value().copy_(random_tensor(parameter.shape(), ++seed, real(0.5)));
  }
}

// The weights of a child inside its supernet: ops.<i> of the choices without their prefix. A width
// below the widest reads the first columns of what follows.
StateDict weights_of_child(const SearchSpace& space, const Genotype& genotype, SmallNet& supernet) {
  StateDict state;
  for (const auto& [name, tensor] : supernet.state_dict()) {
    const std::size_t dot = name.find('.');
    const std::string layer = name.substr(0, dot), rest = name.substr(dot + 1);
    if (layer == "out") {
      state[name] = tensor;
      continue;
    }
    const std::int64_t taken = space.choice(layer).index_of(genotype.candidate(layer));
    const std::string prefix = "ops." + std::to_string(taken) + ".";
    if (rest.starts_with(prefix)) state[layer + "." + rest.substr(prefix.size())] = tensor;
  }
  const std::int64_t width = parse_width(genotype.candidate("dense"));
  state["out.weight"] = state.at("out.weight").slice(1, 0, width).contiguous();
  return state;
}

// Two layers that are to be alike, with a third between them.
SearchSpace shared_space() {
  return {.choices = {{.name = "kernel", .candidates = {"3x3", "1x1", "1x3"}, .kind = "conv"},
                      {.name = "middle", .candidates = {"skip_connect", "none"}}}};
}

struct Shared : Module {
  std::unique_ptr<Layer> first, middle, second;

  explicit Shared(Builder& builder)
      : first(builder.choose("kernel", {.in_channels = 1, .out_channels = 2})),
        middle(builder.choose("middle", {.in_channels = 2, .out_channels = 2})),
        second(builder.choose("kernel", {.in_channels = 2, .out_channels = 3})) {
    register_module("first", *first);
    register_module("middle", *middle);
    register_module("second", *second);
  }
  Variable forward(const Variable& x) {
    return second->forward(middle->forward(relu(first->forward(x))));
  }
};

SupernetChoice& choice_of(Layer& layer) { return dynamic_cast<MixedLayer&>(layer).choice(); }

}  // namespace

TEST_CASE("builder: the same network as a supernet and as a child: names and shapes") {
  const SearchSpace space = net_space();
  Builder all(space), one(space, make_genotype(space, {2, 1}));
  CHECK(all.is_supernet());
  CHECK_FALSE(one.is_supernet());
  SmallNet supernet(all), child(one);
  CHECK(shapes_of(supernet) == Shapes{{"conv.alpha", {3}},
                                      {"conv.ops.0.weight", {2, 1, 3, 3}},
                                      {"conv.ops.0.bias", {2}},
                                      {"conv.ops.1.weight", {2, 1, 5, 5}},
                                      {"conv.ops.1.bias", {2}},
                                      {"conv.ops.2.weight", {2, 1, 1, 4}},
                                      {"conv.ops.2.bias", {2}},
                                      {"dense.alpha", {3}},
                                      {"dense.ops.0.weight", {6, 24}},
                                      {"dense.ops.0.bias", {6}},
                                      {"dense.ops.1.weight", {4, 24}},
                                      {"dense.ops.1.bias", {4}},
                                      {"dense.ops.2.weight", {5, 24}},
                                      {"dense.ops.2.bias", {5}},
                                      {"out.weight", {3, 6}},
                                      {"out.bias", {3}}});
  CHECK(shapes_of(child) == Shapes{{"conv.weight", {2, 1, 1, 4}},
                                   {"conv.bias", {2}},
                                   {"dense.weight", {4, 24}},
                                   {"dense.bias", {4}},
                                   {"out.weight", {3, 4}},
                                   {"out.bias", {3}}});
  CHECK(find_mixed_layers(supernet).size() == 2);
  CHECK(find_mixed_layers(child).empty());
  CHECK(dynamic_cast<Conv2d*>(child.conv.get()) != nullptr);  // the plain layer, in no wrapper
}

TEST_CASE("builder: every child inside the supernet computes what the child alone computes") {
  const SearchSpace space = net_space();
  Builder all(space);
  SmallNet supernet(all);
  randomize(supernet);
  const Tensor x = random_tensor({4, 1, 3, 4}, 3);
  std::set<real> distinct;
  for (const Genotype& genotype : enumerate_genotypes(space)) {
    INFO(genotype.summary());
    Builder one(space, genotype);
    SmallNet child(one);
    child.load_state_dict(weights_of_child(space, genotype, supernet));
    set_child(supernet, space, genotype);
    const Variable inside = supernet.forward(x), alone = child.forward(x);
    check_close(inside.value(), alone.value(), "y");
    distinct.insert(alone.value().at({0, 0}));
    // Gradients: the same for the weights of the child, none for the others.
    supernet.zero_grad();
    backward(sum(mul(inside, inside)));
    backward(sum(mul(alone, alone)));
    auto& mixed = dynamic_cast<MixedLayer&>(*supernet.conv);
    const std::int64_t taken = mixed.choice().path().first_active();
    for (std::int64_t i = 0; i < 3; ++i) {
      const Variable& weight = dynamic_cast<Conv2d&>(mixed.candidate(i)).weight;
      CHECK(weight.grad().defined() == (i == taken));
      if (i != taken) continue;
      check_close(weight.grad(), dynamic_cast<Conv2d&>(*child.conv).weight.grad(), "d_weight");
    }
    CHECK_FALSE(mixed.choice().alpha().grad().defined());
  }
  CHECK(distinct.size() == 9);
}

TEST_CASE("builder: widths are the child's, or the widest") {
  const SearchSpace space = net_space();
  CHECK(Builder(space).width("dense") == 6);
  CHECK(Builder(space, make_genotype(space, {0, 2})).width("dense") == 5);
  CHECK(contains(message_of([&] { Builder(space).width("dens"); }), "the nearest is 'dense'"));
  CHECK(contains(message_of([&] { Builder(space).width("conv"); }), "got '3x3'"));
}

TEST_CASE("builder: layers that share a choice share its alpha and its path, and are alike") {
  const SearchSpace space = shared_space();
  Builder all(space);
  Shared net(all);
  randomize(net);
  // One alpha, listed once; the weights are each layer's own.
  CHECK(choice_of(*net.first).alpha().identity() == choice_of(*net.second).alpha().identity());
  Shapes shapes = shapes_of(net);
  CHECK(shapes.count("first.alpha") == 1);
  CHECK(shapes.count("middle.alpha") == 1);
  CHECK(shapes.count("second.alpha") == 0);
  CHECK(shapes.at("first.ops.0.weight") == Shape{2, 1, 3, 3});
  CHECK(shapes.at("second.ops.0.weight") == Shape{3, 2, 3, 3});
  const std::vector<ChoiceLayers> choices = find_choices(net, space);
  REQUIRE(choices.size() == 2);
  CHECK(choices[0].layers.size() == 2);
  CHECK(choices[1].layers.size() == 1);

  // Its gradient is the sum over both layers: the same network with two alphas.
  const SearchSpace two_choices{.choices = {{"one", space.choices[0].candidates, {}, "conv"},
                                            {"two", space.choices[0].candidates, {}, "conv"}}};
  Builder apart(two_choices);
  const std::unique_ptr<Layer> one = apart.choose("one", {.in_channels = 1, .out_channels = 2});
  const std::unique_ptr<Layer> two = apart.choose("two", {.in_channels = 2, .out_channels = 3});
  StateDict own = net.first->state_dict();
  one->load_state_dict(own);
  own = net.second->state_dict();  // alone, this layer lists the shared alpha as its own
  two->load_state_dict(own);
  const Tensor x = random_tensor({2, 1, 4, 5}, 3);
  const std::vector<double> middle = choice_of(*net.middle).probabilities();  // none gives zero
  const Variable half = affine(relu(one->forward(x)), static_cast<real>(middle[0]));
  const Variable expected = two->forward(half), y = net.forward(x);
  check_close(y.value(), expected.value(), "y");
  const Tensor dy = random_tensor(y.shape(), 4);
  backward(sum(mul(y, dy)));
  backward(sum(mul(expected, dy)));
  check_close(choice_of(*net.first).alpha().grad(),
              add(choice_of(*one).alpha().grad(), choice_of(*two).alpha().grad()).value(),
              "d_alpha");

  // One path for both.
  choice_of(*net.first).set_path(single_path(3, 2));
  CHECK(choice_of(*net.second).path().to_string() == "001");
  set_full_paths(net);
  CHECK(choice_of(*net.second).path().to_string() == "111");
  CHECK(choice_of(*net.second).path().uses_alpha());

  // One decision for both.
  Variable alpha = choice_of(*net.second).alpha();
  alpha.value().copy_(Tensor::from({0, 1, 2}, {3}));
  const Genotype best = derive_genotype(space, net);
  CHECK(best.candidate("kernel") == "1x3");
  CHECK(best.decisions.size() == 2);
  Builder builder(space, best);
  Shared child(builder);
  shapes = shapes_of(child);
  CHECK(shapes.at("first.weight") == Shape{2, 1, 1, 3});
  CHECK(shapes.at("second.weight") == Shape{3, 2, 1, 3});
}

TEST_CASE("builder: a shared choice is one choice to the search: drawn once, updated once") {
  const SearchSpace space = shared_space();
  for (const std::string& name : supernet_strategies()) {
    INFO(name);
    const std::unique_ptr<OneShot> method = make_one_shot(name, space, {.learning_rate = 0.1});
    manual_seed(5);
    Builder all(*method);
    Shared net(all);
    SupernetSearch search(net, *method);
    CHECK(search.alpha_optimizer().parameters().size() == 2);
    const Tensor x = random_tensor({2, 1, 4, 5}, 3);
    const LossFunction loss = [&] {
      const Variable y = net.forward(x);
      return mean(y * y);
    };
    const StepRecord record = search.weight_step(loss);
    CHECK(record.paths.size() == 2);
    const std::vector<std::int64_t>& updates = choice_of(*net.second).update_counts();
    for (std::size_t i = 0; i < 3; ++i) CHECK(updates[i] == (record.paths[0].active[i] ? 1 : 0));
    if (method->has_architecture_steps()) search.architecture_step(loss);
    CHECK(search.alphas().size() == 2);
    // Adam's first step has the size of the rate: had there been two, it would be twice that.
    const std::vector<std::vector<double>> alphas = search.alphas();
    for (const double alpha : alphas[0]) {
      if (name == "joint") CHECK(std::abs(alpha) == doctest::Approx(0.1).epsilon(1e-3));
    }
    search.end_epoch();
    CHECK(search.history()[0].choices.size() == 2);
    CHECK(search.history()[0].choices[0].activation_rms > 0);
  }
}

TEST_CASE("builder: layers and choices find each other by name, not by position") {
  // The supernet makes its layers in another order than the space has its choices.
  const SearchSpace space = net_space();
  SearchSpace turned = space;
  std::swap(turned.choices[0], turned.choices[1]);
  Builder all(turned);
  SmallNet net(all);
  const std::vector<ChoiceLayers> choices = find_choices(net, turned);
  REQUIRE(choices.size() == 2);
  CHECK(choices[0].choice->name() == "dense");
  CHECK(choices[1].choice->name() == "conv");

  Variable conv = choice_of(*net.conv).alpha(), dense = choice_of(*net.dense).alpha();
  conv.value().copy_(Tensor::from({0, 0, 3}, {3}));
  dense.value().copy_(Tensor::from({0, 4, 0}, {3}));
  const Genotype best = derive_genotype(turned, net);
  CHECK(best.summary() == "dense=4 conv=1x4");
  set_child(net, turned, best);
  CHECK(choice_of(*net.conv).path().to_string() == "001");
  CHECK(choice_of(*net.dense).path().to_string() == "010");
  set_full_paths(net);

  const std::unique_ptr<OneShot> method = make_one_shot("sampling", turned, {.seed = 3});
  SupernetSearch search(net, *method);
  CHECK(search.alphas() == std::vector<std::vector<double>>{{0, 4, 0}, {0, 0, 3}});
  CHECK(method->derive(search.alphas()) == best);
  const Tensor x = random_tensor({2, 1, 3, 4}, 3);
  const StepRecord record = search.weight_step([&] { return sum(net.forward(x)); });
  const std::vector<std::int64_t>& updates = choice_of(*net.dense).update_counts();
  for (std::size_t i = 0; i < 3; ++i) CHECK(updates[i] == (record.paths[0].active[i] ? 1 : 0));
}

TEST_CASE("builder: what does not fit is refused") {
  const SearchSpace space = net_space();
  Genotype other = make_genotype(space, {0, 0});
  other.space_hash = "0123456789abcdef";
  CHECK(contains(message_of([&] { Builder(space, other); }), "another search space"));
  other = make_genotype(space, {0, 0});
  other.decisions[0].candidate = "9x9";
  CHECK(contains(message_of([&] { Builder(space, other); }), "has no candidate '9x9'"));
  CHECK_THROWS_AS(Builder(SearchSpace{}), std::invalid_argument);

  Builder all(space), one(space, make_genotype(space, {0, 0}));
  for (Builder* builder : {&all, &one}) {
    CHECK(contains(message_of([&] { builder->choose("convs", Site{.in_channels = 1}); }),
                   "no choice is named 'convs'; the nearest is 'conv'"));
  }
}

TEST_CASE("builder: a factory that makes nothing is named") {
  const SearchSpace space{{{"op", {"a", "b"}}}};
  const auto nothing = [](const std::string&, real) { return std::unique_ptr<Layer>(); };
  Builder all(space), one(space, genotype_at(space, 1));
  CHECK_THROWS_WITH_AS(all.choose("op", nothing), doctest::Contains("'a' of choice 'op'"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(one.choose("op", nothing), doctest::Contains("'b' of choice 'op'"),
                       std::invalid_argument);
}

TEST_CASE("builder: candidates with a factory of their own, names as the space has them") {
  const SearchSpace space = net_space();
  std::vector<std::string> asked;
  std::vector<real> gains;
  const Builder::MakeCandidate make = [&](const std::string& candidate, real gain) {
    asked.push_back(candidate);
    gains.push_back(gain);
    return std::make_unique<Identity>();
  };
  Builder all(space, [](std::int64_t n) { return static_cast<real>(n); });
  const std::unique_ptr<Layer> mixed = all.choose("conv", make);
  CHECK(asked == std::vector<std::string>{"3x3", "5x5", "1x4"});
  CHECK(gains == std::vector<real>{3, 3, 3});
  CHECK(choice_of(*mixed).candidate_count() == 3);
  asked.clear();
  gains.clear();
  Builder one(space, make_genotype(space, {1, 0}));
  const std::unique_ptr<Layer> single = one.choose("conv", make);
  CHECK(dynamic_cast<Identity*>(single.get()) != nullptr);
  CHECK(asked == std::vector<std::string>{"5x5"});
  CHECK(gains == std::vector<real>{1});  // a child starts with the weights that it has alone
}

TEST_CASE("builder: what a child has decided, and that a supernet has decided nothing") {
  const Genotype genotype = make_genotype(net_space(), {1, 2});
  CHECK(Builder(net_space(), genotype).decided("conv") == "5x5");
  CHECK(Builder(net_space(), genotype).decided("dense") == "5");
  CHECK_FALSE(Builder(net_space()).decided("conv"));
  CHECK_THROWS_AS(Builder(net_space()).decided("cnv"), std::invalid_argument);
}
