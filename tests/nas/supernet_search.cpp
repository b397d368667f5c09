// The search driver on a problem whose answer is known, for every mode; and stopping and resuming.

#include "nas/search.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "autograd/functions.h"
#include "nas/derive.h"
#include "nas/diagnostics.h"
#include "nn/optim.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

const std::vector<std::string> kKernels = {"5x1", "1x1", "1x5", "2x2"};

SearchSpace toy_space() { return {{{"across", kKernels}, {"down", kKernels}}}; }

// Two convolutions side by side. The first has to imitate a filter of one row and five columns, the
// second one of five rows and one column, so the right answer is across=1x5 down=5x1.
struct Toy : Module {
  MixedConv2d across, down;

  explicit Toy(Mode mode)
      : across({.in_channels = 1,
                .out_channels = 1,
                .kernels = kKernels,
                .gain = supernet_gain(mode, 4)}),
        down({.in_channels = 1,
              .out_channels = 1,
              .kernels = kKernels,
              .gain = supernet_gain(mode, 4)}) {
    register_module("across", across);
    register_module("down", down);
  }

  Variable loss(std::uint64_t batch) const {
    const Variable x = random_tensor({4, 1, 9, 9}, 1000 + batch);
    const Tensor filter = Tensor::from({1, -1, real(0.5), 1, -2}, {1, 1, 1, 5});
    const Variable row = conv2d(x, filter, {}, {.padding = same_padding({1, 5})});
    const Variable column =
        conv2d(x, filter.reshape({1, 1, 5, 1}), {}, {.padding = same_padding({5, 1})});
    const Variable first = across.forward(x) - row, second = down.forward(x) - column;
    return mean(first * first) + mean(second * second);
  }
};

constexpr std::int64_t kStepsPerEpoch = 6;

void run_step(SupernetSearch& search, const Toy& net, std::int64_t step) {
  const auto batch = static_cast<std::uint64_t>(search.epoch() * kStepsPerEpoch + step);
  if (search.trains_architecture()) {
    search.architecture_step([&] { return net.loss(500 + batch % 7); });
  }
  if (search.trains_weights()) search.weight_step([&] { return net.loss(batch % 11); });
}

void run(SupernetSearch& search, const Toy& net) {
  while (!search.finished()) {
    for (std::int64_t step = 0; step < kStepsPerEpoch; ++step) run_step(search, net, step);
    search.end_epoch();
  }
}

SearchOptions options_for(Mode mode, Bilevel bilevel) {
  return {.mode = mode,
          .bilevel = bilevel,
          .epochs = 40,
          .architecture_epochs = 15,
          .learning_rate = 0.02,
          .alpha_learning_rate = 0.02,
          .seed = 4};
}

bool same_numbers(const StateDict& a, const StateDict& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a) {
    if (tensor.to_vector() != b.at(name).to_vector()) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("search: every mode finds the filter's shape") {
  for (const auto& [mode, bilevel] : {std::pair{Mode::joint, Bilevel::alternating},
                                      {Mode::sampling, Bilevel::alternating},
                                      {Mode::sampling, Bilevel::two_stage},
                                      {Mode::dropout, Bilevel::alternating},
                                      {Mode::dropout, Bilevel::two_stage}}) {
    INFO(to_string(mode) << " " << to_string(bilevel));
    manual_seed(2);
    Toy net(mode);
    SupernetSearch search(net, toy_space(), options_for(mode, bilevel));
    run(search, net);
    const Genotype best = derive_genotype(toy_space(), search.alphas());
    CHECK(best.summary() == "across=1x5 down=5x1");
    CHECK(derive_genotype(toy_space(), net) == best);
    const SearchRecord &first = search.history().front(), &last = search.history().back();
    // Sampling runs single candidates, and those of the wrong shape never fit: the mixture tells.
    if (mode == Mode::joint) CHECK(last.weight_loss < first.weight_loss / 2);
    if (mode != Mode::joint && bilevel == Bilevel::alternating) {
      CHECK(last.architecture_loss < first.architecture_loss / 2);
    }
    CHECK(last.layers[0].entropy < std::log(4.0) - 0.01);
    CHECK(last.layers[0].gradient_norm >= 0);
    CHECK(first.layers[0].gradient_norm > 0);
    CHECK(first.layers[0].activation_rms > 0);
  }
}

TEST_CASE("search: who is trained when") {
  Toy net(Mode::dropout);
  const StateDict start = net.state_dict();
  const auto changed = [&](const std::string& part) {
    for (const auto& [name, tensor] : net.state_dict()) {
      const bool alpha = name.find("alpha") != std::string::npos;
      if (alpha == (part == "alpha") && tensor.to_vector() != start.at(name).to_vector()) {
        return true;
      }
    }
    return false;
  };
  SUBCASE("an architecture step moves alpha alone and leaves no gradient behind") {
    SupernetSearch search(net, toy_space(), {.mode = Mode::dropout});
    const StepRecord record = search.architecture_step([&] { return net.loss(0); });
    CHECK(record.paths[0].to_string() == "1111");
    CHECK(changed("alpha"));
    CHECK_FALSE(changed("weights"));
    for (const Variable& parameter : net.parameters()) CHECK_FALSE(parameter.grad().defined());
    CHECK(net.across.update_counts() == std::vector<std::int64_t>(4, 0));
  }
  SUBCASE("a weight step moves weights alone") {
    SupernetSearch search(net, toy_space(), {.mode = Mode::dropout});
    const StepRecord record = search.weight_step([&] { return net.loss(0); });
    CHECK(record.paths[0].active_count() == 3);
    CHECK_FALSE(changed("alpha"));
    CHECK(changed("weights"));
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(net.across.update_counts()[i] == (record.paths[0].active[i] ? 1 : 0));
      const std::string name = "across.ops." + std::to_string(i) + ".weight";
      const bool moved = net.state_dict().at(name).to_vector() != start.at(name).to_vector();
      CHECK(moved == record.paths[0].active[i]);
    }
    CHECK(net.across.path().to_string() == "1111");  // between steps: the full mixture
  }
  SUBCASE("in joint mode one step moves both, and there is no architecture step") {
    SupernetSearch search(net, toy_space(), {.mode = Mode::joint});
    CHECK_FALSE(search.trains_architecture());
    search.weight_step([&] { return net.loss(0); });
    CHECK(changed("alpha"));
    CHECK(changed("weights"));
    CHECK_THROWS_AS(search.architecture_step([&] { return net.loss(0); }), std::invalid_argument);
  }
  SUBCASE("two stages") {
    SupernetSearch search(net, toy_space(),
                          {.mode = Mode::sampling,
                           .bilevel = Bilevel::two_stage,
                           .epochs = 2,
                           .architecture_epochs = 1});
    CHECK(search.total_epochs() == 3);
    std::string course;
    for (; !search.finished(); search.end_epoch()) {
      course += search.trains_weights() ? 'w' : '-';
      course += search.trains_architecture() ? 'a' : '-';
    }
    CHECK(course == "w-w--a");
    CHECK_FALSE(search.trains_weights());
    CHECK_FALSE(search.trains_architecture());
  }
}

TEST_CASE("search: a loss that is not finite stops before anything changes") {
  Toy net(Mode::dropout);
  SupernetSearch search(net, toy_space(), {.mode = Mode::dropout});
  const StateDict before = net.state_dict();
  const auto infinite = [&] { return affine(net.loss(0), std::numeric_limits<real>::infinity()); };
  CHECK_THROWS_AS(search.weight_step(infinite), NonFiniteLoss);
  CHECK_THROWS_AS(search.architecture_step(infinite), NonFiniteLoss);
  CHECK_THROWS_AS(search.weight_step([] { return Variable(Tensor({2})); }), std::invalid_argument);
  CHECK_THROWS_AS(search.weight_step([] { return Variable(); }), std::invalid_argument);
  CHECK(same_numbers(net.state_dict(), before));
  CHECK(net.across.update_counts() == std::vector<std::int64_t>(4, 0));
  CHECK(net.across.path().to_string() == "1111");
}

TEST_CASE("search: a space that does not fit the supernet is refused") {
  Toy net(Mode::dropout);
  SearchSpace space = toy_space();
  space.choices.pop_back();
  CHECK_THROWS_AS(SupernetSearch(net, space, {}), std::invalid_argument);
  space = toy_space();
  space.choices[1].candidates[0] = "5x2";
  CHECK_THROWS_AS(SupernetSearch(net, space, {}), std::invalid_argument);
  CHECK_THROWS_AS(SupernetSearch(net, toy_space(), {.mode = Mode::random}), std::invalid_argument);
  CHECK_THROWS_AS(SupernetSearch(net, toy_space(), {.masked = 4}), std::invalid_argument);
  CHECK_THROWS_AS(
      SupernetSearch(net, toy_space(), {.mode = Mode::joint, .bilevel = Bilevel::two_stage}),
      std::invalid_argument);
  CHECK_THROWS_AS(parse_bilevel("both"), std::invalid_argument);
  CHECK(parse_bilevel(to_string(Bilevel::two_stage)) == Bilevel::two_stage);
}

TEST_CASE("search: stopped and resumed equals never stopped, bit for bit") {
  const auto path =
      (std::filesystem::temp_directory_path() / "serenade_search_test.safetensors").string();
  for (const Mode mode : {Mode::joint, Mode::sampling, Mode::dropout}) {
    INFO(to_string(mode));
    SearchOptions options = options_for(mode, Bilevel::alternating);
    options.epochs = 3;
    manual_seed(8);
    Toy whole(mode);
    SupernetSearch uninterrupted(whole, toy_space(), options);
    run(uninterrupted, whole);

    // The same again, stopped in the middle of the second epoch ..
    manual_seed(8);
    {
      Toy net(mode);
      SupernetSearch search(net, toy_space(), options);
      for (std::int64_t step = 0; step < kStepsPerEpoch; ++step) run_step(search, net, step);
      search.end_epoch();
      for (std::int64_t step = 0; step < 2; ++step) run_step(search, net, step);
      search.weight_optimizer().set_learning_rate(0.02);
      write_safetensors(path, search.save_state());
    }
    // .. and taken up by a supernet with other initial weights.
    Toy net(mode);
    SupernetSearch search(net, toy_space(), options);
    search.load_state(read_safetensors(path));
    CHECK(search.epoch() == 1);
    for (std::int64_t step = 2; step < kStepsPerEpoch; ++step) run_step(search, net, step);
    search.end_epoch();
    run(search, net);

    CHECK(same_numbers(net.state_dict(), whole.state_dict()));
    CHECK(history_json(search.history()) == history_json(uninterrupted.history()));
    const SafetensorsFile a = search.save_state(), b = uninterrupted.save_state();
    CHECK(same_numbers(a.tensors, b.tensors));
    CHECK(a.metadata == b.metadata);
  }
  std::filesystem::remove(path);
}

TEST_CASE("search: a state that does not fit changes nothing") {
  Toy net(Mode::dropout);
  SupernetSearch search(net, toy_space(), {.mode = Mode::dropout});
  search.weight_step([&] { return net.loss(0); });
  search.end_epoch();
  const SafetensorsFile good = search.save_state();
  search.weight_step([&] { return net.loss(1); });
  const SafetensorsFile before = search.save_state();
  const auto refused = [&](const SafetensorsFile& state) {
    CHECK_THROWS_AS(search.load_state(state), std::invalid_argument);
    CHECK(same_numbers(search.save_state().tensors, before.tensors));
    CHECK(search.save_state().metadata == before.metadata);
  };
  refused({});
  SafetensorsFile bad = good;
  bad.tensors.erase("search.supernet.down.alpha");
  refused(bad);
  bad = good;
  bad.metadata.at("search.progress") = "{";
  refused(bad);
  bad = good;
  bad.metadata.at("search.history") = "[{}]";
  refused(bad);
  bad = good;
  bad.metadata.at("search.alpha_optimizer.numbers") = R"({"learning_rate": "fast"})";
  refused(bad);
  Toy other_net(Mode::dropout);
  SupernetSearch other(other_net, toy_space(), {.mode = Mode::dropout, .seed = 1});
  CHECK_THROWS_AS(other.load_state(good), std::invalid_argument);
  CHECK_NOTHROW(search.load_state(good));
  CHECK(same_numbers(search.save_state().tensors, good.tensors));
}

TEST_CASE("search: the history as CSV and JSON") {
  Toy net(Mode::sampling);
  SupernetSearch search(net, toy_space(), {.mode = Mode::sampling, .epochs = 2});
  run(search, net);
  const std::string csv = history_csv(search.history());
  CHECK(csv.substr(0, csv.find('\n')) ==
        "epoch,layer,candidate,alpha,probability,entropy,chosen,updates");
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 1 + 2 * 2 * 4);
  const std::string json = history_json(search.history());
  CHECK(history_json(history_from_json(json)) == json);
  CHECK(history_from_json("[]").empty());
  for (const char* bad : {"", "{}", "[1]", "[{\"epoch\": 1}]"}) {
    CHECK_THROWS_AS(history_from_json(bad), std::invalid_argument);
  }
}
