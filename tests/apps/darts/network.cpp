// Cells and networks of them: parameters counted by hand, shapes, shared alphas, and a supernet
// along one path against the child.

#include "apps/darts/network.h"

#include <doctest/doctest.h>

#include <fstream>
#include <set>

#include "apps/darts/genotype.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/cell_candidates.h"
#include "nas/cell_text.h"
#include "nas/one_shot.h"
#include "tests/golden.h"
#include "tests/op_case.h"
#include "tests/temporary_folder.h"

using namespace serenade;
using namespace serenade::darts;

namespace {

std::unique_ptr<CellNetwork> child_of(const Cells& cells, const CellNetwork::Options& options) {
  const CandidateTable candidates = cell_candidates(!options.affine);
  Builder builder(cell_space().space(), cell_space().to_genotype(cells), candidates);
  return std::make_unique<CellNetwork>(builder, options);
}

std::unique_ptr<CellNetwork> supernet_of(const CellNetwork::Options& options) {
  const CandidateTable candidates = cell_candidates(true);
  Builder builder(cell_space().space(), Builder::InitialGain(), candidates);
  return std::make_unique<CellNetwork>(builder, options);
}

std::int64_t parameters_of(Module& network, const std::string& part) {
  for (const auto& [name, module] : network.named_modules()) {
    if (name == part) return module->parameter_count();
  }
  FAIL("no part " << part);
  return 0;
}

}  // namespace

TEST_CASE("darts: parameters of the published cells at 36 channels and 20 layers, by hand") {
  const CellNetwork::Options options = {.channels = 36, .cells = 20};
  const auto v1 = child_of(find_cells("DARTS_V1", 0), options);
  const auto v2 = child_of(find_cells("DARTS_V2", 0), options);
  // A depthwise k x k has k^2 C, a 1x1 C^2, a normalisation 2 C.
  const auto sep3 = [](std::int64_t c) { return 2 * (9 * c + c * c + 2 * c); };
  const auto dil3 = [](std::int64_t c) { return 9 * c + c * c + 2 * c; };
  const auto fit = [](std::int64_t from, std::int64_t c) { return from * c + 2 * c; };
  for (const auto& net : {&v1, &v2}) {
    CHECK(parameters_of(**net, "stem") == 3 * 108 * 9 + 2 * 108);
    CHECK(parameters_of(**net, "out") == 4 * 144 * 10 + 10);
    // The first reduction: no operation of its own has weights.
    CHECK(parameters_of(**net, "cell6") == 2 * fit(4 * 36, 72));
    CHECK(parameters_of(**net, "cell13") == 2 * fit(4 * 72, 144));
  }
  CHECK(parameters_of(*v2, "cell0") == 2 * fit(108, 36) + 5 * sep3(36) + dil3(36));
  CHECK(parameters_of(*v2, "cell1") == fit(108, 36) + fit(144, 36) + 5 * sep3(36) + dil3(36));
  CHECK(parameters_of(*v1, "cell0") == 2 * fit(108, 36) + 5 * sep3(36));
  // The cell after a reduction takes the one before it at half its size: as many weights.
  CHECK(parameters_of(*v2, "cell7") == fit(4 * 36, 72) + fit(4 * 72, 72) + 5 * sep3(72) + dil3(72));
  CHECK(parameters_of(*v2, "cell19") == 2 * fit(4 * 144, 144) + 5 * sep3(144) + dil3(144));
  // 3.3 M in the paper's table 1; the same sums over all 20 cells.
  CHECK(v2->parameter_count() == 3'349'342);
  CHECK(v1->parameter_count() == 3'169'414);

  CellNetwork::Options with_head = options;
  with_head.auxiliary = true;
  const auto headed = child_of(find_cells("DARTS_V2", 0), with_head);
  CHECK(headed->parameter_count() - v2->parameter_count() ==
        576 * 128 + 2 * 128 + 128 * 768 * 4 + 2 * 768 + 768 * 10 + 10);
}

TEST_CASE("darts: scores of children, with the second head in training only") {
  const auto net =
      child_of(find_cells("DARTS_V1", 0),
               {.channels = 4, .cells = 4, .classes = 3, .side = 16, .auxiliary = true});
  const Tensor x = random_tensor({2, 3, 16, 16}, 1);
  const Scores training = net->forward(x);
  CHECK(training.classes.shape() == Shape{2, 3});
  CHECK(training.auxiliary.shape() == Shape{2, 3});
  net->eval();
  CHECK_FALSE(net->forward(x).auxiliary.defined());
  CHECK_THROWS_AS(child_of(find_cells("DARTS_V1", 0), {.channels = 4, .cells = 2}),
                  std::invalid_argument);
  CHECK_THROWS_AS(child_of(find_cells("DARTS_V1", 0), {.channels = 3}), std::invalid_argument);
  CHECK_THROWS_AS(child_of(find_cells("DARTS_V1", 0), {.side = 12, .auxiliary = true}),
                  std::invalid_argument);
  // The head has the paper's shape on CIFAR-10's 32 x 32.
  const auto large = child_of(find_cells("DARTS_V2", 0),
                              {.channels = 2, .cells = 3, .classes = 3, .auxiliary = true});
  CHECK(large->forward(random_tensor({2, 3, 32, 32}, 1)).auxiliary.shape() == Shape{2, 3});
}

TEST_CASE("darts: drop-path changes training by its key, and spares identities") {
  Cells skips = {{{"skip_connect", 0}, {"skip_connect", 1}}, {}};
  for (int i = 0; i < 3; ++i) {
    skips[0].insert(skips[0].end(), {{"skip_connect", 0}, {"skip_connect", 1}});
  }
  skips[1] = find_cells("DARTS_V2", 0)[1];
  const Tensor x = random_tensor({4, 3, 8, 8}, 1);
  const auto scores = [&](CellNetwork& net, double p, std::uint64_t seed) {
    return net.forward(x, {.p = p, .key = {.seed = seed}}).classes.value().to_vector();
  };
  const auto net = child_of(find_cells("DARTS_V2", 0), {.channels = 2, .cells = 3, .side = 8});
  CHECK(scores(*net, 0.5, 1) == scores(*net, 0.5, 1));
  CHECK(scores(*net, 0.5, 1) != scores(*net, 0.5, 2));
  CHECK(scores(*net, 0, 1) == scores(*net, 0, 2));
  const CandidateTable candidates = cell_candidates(false);
  Builder builder(cell_space().space(), cell_space().to_genotype(skips), candidates);
  Cell cell(builder, {.before = 3, .last = 3, .channels = 2});
  DropPath drop{.p = 0.9, .key = {.seed = 1}}, none;
  const Variable in = random_tensor({4, 3, 8, 8}, 2);
  CHECK(cell.forward(in, in, drop).value().to_vector() ==
        cell.forward(in, in, none).value().to_vector());
  CHECK(drop.drawn == 0);
}

TEST_CASE("darts: all cells of a kind share their alphas, whose gradients add up") {
  const auto net = supernet_of({.channels = 2, .cells = 5, .classes = 3, .side = 8});
  const std::vector<ChoiceLayers> choices = find_choices(*net, cell_space().space());
  REQUIRE(choices.size() == 28);
  for (std::size_t i = 0; i < 28; ++i) CHECK(choices[i].layers.size() == (i < 14 ? 3 : 2));
  std::int64_t alphas = 0;
  for (const auto& [name, parameter] : net->named_parameters()) {
    if (name.ends_with(".alpha")) alphas += parameter.numel();
  }
  CHECK(alphas == 28 * 8);

  // The gradient through two cells is the sum of those through each.
  const CandidateTable candidates = cell_candidates(true);
  Builder builder(cell_space().space(), Builder::InitialGain(), candidates);
  const Cell::Options options = {.before = 3, .last = 3, .channels = 2, .affine = false};
  Cell first(builder, options), second(builder, options);
  const Variable x = random_tensor({3, 3, 4, 4}, 1);
  const auto loss = [&](Cell& cell) {
    DropPath none;
    const Variable y = cell.forward(x, x, none);
    return sum(mul(y, random_tensor(y.shape(), 2)));
  };
  const Variable alpha = find_mixed_layers(first)[5].layer->choice().alpha();
  const Tensor one = grad(loss(first), {alpha})[0].value(),
               other = grad(loss(second), {alpha})[0].value();
  check_close(grad(add(loss(first), loss(second)), {alpha})[0].value(), add(one, other).value(),
              "alpha", 1e-4);
  CHECK(one.to_vector() != other.to_vector());
}

TEST_CASE("darts: the supernet along one path computes what the child computes") {
  const CellNetwork::Options options = {
      .channels = 2, .cells = 4, .classes = 3, .side = 8, .affine = false};
  manual_seed(5);
  const auto supernet = supernet_of(options);
  const SearchSpace space = cell_space().space();
  const Tensor x = random_tensor({3, 3, 8, 8}, 1);
  for (const std::string name : {"DARTS_V1", "DARTS_V2", "random"}) {
    INFO(name);
    const Genotype genotype = cell_space().to_genotype(find_cells(name, 3));
    const auto child = child_of(find_cells(name, 3), options);
    // "cell0.normal_0_2.ops.4.2.weight" is the child's "cell0.normal_0_2.2.weight".
    StateDict weights = child->state_dict();
    const StateDict all = supernet->state_dict();
    for (auto& [path, tensor] : weights) {
      std::string there = path;
      for (std::size_t i = 0; i < space.choices.size(); ++i) {
        const std::string edge = "." + space.choices[i].name + ".";
        const std::size_t at = path.find(edge);
        if (at == std::string::npos) continue;
        const std::int64_t op = choice_indices(genotype, space)[i];
        there.insert(at + edge.size(), "ops." + std::to_string(op) + ".");
      }
      REQUIRE(all.contains(there));
      tensor = all.at(there);
    }
    child->load_state_dict(weights);
    set_child(*supernet, space, genotype);
    check_close(supernet->forward(x).classes.value(), child->forward(x).classes.value(), "scores");
  }
}

TEST_CASE("darts: cells by name, from a file, at random") {
  CHECK(to_text(cell_space(), find_cells("DARTS_V2", 0)) ==
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
        "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
        "('dil_conv_3x3', 2)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), "
        "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
        "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
        "reduce_concat=range(2, 6))");
  const TemporaryFolder folder;
  std::ofstream(folder / "cells.txt") << to_text(cell_space(), find_cells("DARTS_V1", 0)) << "\n";
  CHECK(find_cells(folder / "cells.txt", 0) == find_cells("DARTS_V1", 0));
  CHECK(find_cells("random", 1) == find_cells("random", 1));
  CHECK(find_cells("random", 1) != find_cells("random", 2));
  CHECK_THROWS_AS(find_cells("DARTS_V3", 0), std::invalid_argument);
}
