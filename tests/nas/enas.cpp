// ENAS: the step of the policy, exactly, over all children of a supernet; who is trained when; the
// baseline, which is a part of the state; and the answer.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "nas/children.h"
#include "nas/diagnostics.h"
#include "nas/gumbel.h"
#include "nas/policy.h"
#include "nas/supernet_search.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

std::unique_ptr<OneShot> enas(const StrategyOptions& options = {}) {
  return make_one_shot("enas", toy_space(), options);
}

std::vector<std::shared_ptr<SupernetChoice>> choices_of(Toy& net) {
  std::vector<std::shared_ptr<SupernetChoice>> choices;
  for (const ChoiceLayers& here : find_choices(net, toy_space())) choices.push_back(here.choice);
  return choices;
}

// All 16 of the toy.
std::vector<Child> all_children() {
  std::vector<Child> all;
  for (const Genotype& genotype : enumerate_genotypes(toy_space())) {
    all.push_back(choice_indices(genotype, toy_space()));
  }
  return all;
}

double loss_of(Toy& net, const Child& child, const LossFunction& loss) {
  set_child(net, toy_space(), make_genotype(toy_space(), child));
  const double value = static_cast<double>(loss().item());
  set_full_paths(net);
  return value;
}

StateDict part(Toy& net, bool alphas) {
  StateDict some;
  for (const auto& [name, tensor] : net.state_dict()) {
    if (contains(name, "alpha") == alphas) some[name] = tensor.clone();
  }
  return some;
}

}  // namespace

TEST_CASE("enas: the expected step is pi_j (R_j - mean R) of the children that share the weights") {
  const auto method = enas();
  const std::unique_ptr<Toy> net = toy_supernet(*method, 2);
  const auto choices = choices_of(*net);
  Policy policy(toy_space());
  std::vector<Variable> weights, alphas;
  for (std::size_t l = 0; l < 2; ++l) {
    const Tensor alpha = random_tensor({4}, 5 + l);
    Variable(choices[l]->alpha()).value().copy_(alpha);
    alphas.push_back(choices[l]->alpha());
    policy.logits[l] = choices[l]->alpha_values();
  }
  std::reverse(alphas.begin(), alphas.end());  // gradients follow the alphas, not the choices
  const LossFunction validation = toy_validation_loss(*net, 0, 2);
  constexpr double kBaseline = 0.37;  // any: it must not matter to the sum
  Policy::Table step = Policy(toy_space()).logits, reward_of = step, weight_of = step;
  double reward = 0, spread = 0;
  for (const Child& child : all_children()) {
    const double r = -loss_of(*net, child, validation);
    double p = 1;
    for (std::size_t l = 0; l < 2; ++l) {
      p *= policy.probabilities(l)[static_cast<std::size_t>(child[l])];
      choices[l]->set_path(single_path(4, child[l]));
    }
    const StepGradient got =
        method->architecture_gradient({.validation_loss = validation,
                                       .train_loss = {},
                                       .weights = weights,
                                       .alphas = alphas,
                                       .learning_rate = 0.1,
                                       .choices = choices,
                                       .kept = Tensor::full({1}, static_cast<real>(-kBaseline))});
    CHECK(static_cast<double>(got.loss.item()) == -r);
    CHECK(static_cast<double>(got.kept.item()) ==
          doctest::Approx(-(0.9 * kBaseline + 0.1 * r)).epsilon(1e-5));
    const Policy::Table score = policy.log_gradient(child);
    for (std::size_t l = 0; l < 2; ++l) {
      for (std::size_t j = 0; j < 4; ++j) {
        const double uphill =
            -static_cast<double>(got.gradients[1 - l].value().at({static_cast<std::int64_t>(j)}));
        CHECK(uphill == doctest::Approx((r - kBaseline) * score[l][j]).epsilon(1e-4));
        step[l][j] += p * uphill;
      }
      reward_of[l][static_cast<std::size_t>(child[l])] += p * r;
      weight_of[l][static_cast<std::size_t>(child[l])] += p;
    }
    reward += p * r;
  }
  for (std::size_t l = 0; l < 2; ++l) {
    for (std::size_t j = 0; j < 4; ++j) {
      const double pi = policy.probabilities(l)[j];
      const double expected = pi * (reward_of[l][j] / weight_of[l][j] - reward);
      CHECK(step[l][j] == doctest::Approx(expected).epsilon(1e-3));
      spread = std::max(spread, std::abs(expected));
    }
  }
  CHECK(spread > 0.05);  // there is something to compare
  for (const Variable& parameter : net->parameters()) CHECK_FALSE(parameter.grad().defined());
}

TEST_CASE("enas: in both phases one candidate, drawn with probability softmax(alpha)") {
  const auto method = enas({.seed = 4});
  const Variable alpha(Tensor::from({real(0.3), real(-1), real(0.8), 0}, {4}), true);
  constexpr std::uint64_t kDraws = 20000;
  Policy policy({.choices = {{.name = "one", .candidates = {"a", "b", "c", "d"}}}});
  policy.logits = {{0.3, -1, 0.8, 0}};
  const auto drawn = [&](Phase phase, std::uint64_t step, std::uint64_t choice) {
    const Path path = method->draw({.phase = phase,
                                    .candidates = 4,
                                    .choice = choice,
                                    .step = step,
                                    .seed = 4,
                                    .alpha = alpha});
    CHECK(path.active_count() == 1);
    CHECK_FALSE(path.uses_alpha());
    return static_cast<std::size_t>(path.first_active());
  };
  std::uint64_t same_phase = 0, same_choice = 0;
  for (const Phase phase : {Phase::weights, Phase::architecture}) {
    std::vector<double> counts(4, 0);
    for (std::uint64_t step = 0; step < kDraws; ++step) ++counts[drawn(phase, step, 0)];
    double statistic = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const double mean = policy.probabilities(0)[j] * kDraws;
      statistic += (counts[j] - mean) * (counts[j] - mean) / mean;
    }
    CHECK(chi_square_tail(statistic, 3) > 0.001);
  }
  for (std::uint64_t step = 0; step < 1000; ++step) {
    const std::size_t one = drawn(Phase::weights, step, 0);
    CHECK(one == drawn(Phase::weights, step, 0));
    same_phase += one == drawn(Phase::architecture, step, 0);
    same_choice += one == drawn(Phase::weights, step, 1);
  }
  // Independent draws agree with probability sum pi^2 = 0.33.
  CHECK(same_phase < 400);
  CHECK(same_choice < 400);
  CHECK(method->initial_gain(4) == 1);
}

TEST_CASE("enas: weights move along the child alone, the policy by its reward alone") {
  const auto method = enas({.seed = 3, .learning_rate = 0.02, .alpha_learning_rate = 0.1});
  const std::unique_ptr<Toy> net = toy_supernet(*method, 2);
  SupernetSearch search(*net, *method);
  double baseline = 0;
  for (std::int64_t step = 0; step < 12; ++step) {
    const StateDict alphas = part(*net, true), weights = part(*net, false);
    const StepRecord record = search.architecture_step(toy_validation_loss(*net, 0, step));
    CHECK(same_numbers(part(*net, false), weights));
    // The first reward is the first baseline, and teaches nothing.
    CHECK(same_numbers(part(*net, true), alphas) == (step == 0));
    const Child child = {record.paths[0].first_active(), record.paths[1].first_active()};
    CHECK(record.loss.get() == loss_of(*net, child, toy_validation_loss(*net, 0, step)));
    baseline = step == 0 ? record.loss.get() : 0.9 * baseline + 0.1 * record.loss.get();
    const Tensor kept = search.save_state().tensors.at("search.kept");
    CHECK(static_cast<double>(kept.to_vector()[0]) == doctest::Approx(baseline).epsilon(1e-5));

    const StateDict moved = part(*net, true);
    const StepRecord trained = search.weight_step(toy_train_loss(*net, 0, step));
    CHECK(same_numbers(part(*net, true), moved));
    for (const auto& [name, tensor] : part(*net, false)) {
      const std::size_t choice = name.starts_with("across") ? 0 : 1;
      const auto i = static_cast<std::size_t>(name[name.find("ops.") + 4] - '0');
      const bool changed = tensor.to_vector() != weights.at(name).to_vector();
      CHECK(changed == trained.paths[choice].active[i]);
    }
  }
}

TEST_CASE("enas: stopped after any step and resumed, gives the same bits") {
  const StrategyOptions options{.seed = 6,
                                .epochs = 2,
                                .learning_rate = 0.02,
                                .alpha_learning_rate = 0.1,
                                .child_population = 3};
  const auto method = enas(options);
  const auto go_on = [&](SupernetSearch& search, Toy& net) {
    while (!search.finished()) {
      for (std::int64_t step = search.epoch_steps(); step < kToySteps; ++step) {
        search.architecture_step(toy_validation_loss(net, search.epoch(), step));
        search.weight_step(toy_train_loss(net, search.epoch(), step));
      }
      search.end_epoch([&](std::int64_t at_most) { return toy_validation_losses(net, at_most); });
    }
  };
  const std::unique_ptr<Toy> whole = toy_supernet(*method, 8);
  SupernetSearch uninterrupted(*whole, *method);
  go_on(uninterrupted, *whole);
  const SafetensorsFile expected = uninterrupted.save_state();
  for (std::int64_t stop = 0; stop <= kToySteps; ++stop) {
    const std::unique_ptr<Toy> first = toy_supernet(*method, 8), other = toy_supernet(*method, 9);
    SupernetSearch begun(*first, *method), resumed(*other, *method);
    for (std::int64_t step = 0; step < stop; ++step) {
      begun.architecture_step(toy_validation_loss(*first, 0, step));
      begun.weight_step(toy_train_loss(*first, 0, step));
    }
    resumed.load_state(begun.save_state());
    go_on(resumed, *other);
    const SafetensorsFile state = resumed.save_state();
    CHECK(same_numbers(state.tensors, expected.tensors));
    CHECK(state.metadata == expected.metadata);
  }
  // Without the baseline the course is another: it is a part of the state.
  const std::unique_ptr<Toy> net = toy_supernet(*method, 8);
  SupernetSearch search(*net, *method);
  for (std::int64_t step = 0; step < 3; ++step) {
    search.architecture_step(toy_validation_loss(*net, 0, step));
    search.weight_step(toy_train_loss(*net, 0, step));
  }
  SafetensorsFile state = search.save_state();
  REQUIRE(state.tensors.erase("search.kept") == 1);
  search.load_state(state);
  go_on(search, *net);
  CHECK_FALSE(same_numbers(search.save_state().tensors, expected.tensors));
  state.tensors["search.kept"] = Tensor({2});
  CHECK(message_of([&] { search.load_state(state); }) ==
        "SupernetSearch::load_state: 'search.kept' must be one number");
}

TEST_CASE("enas: the answer is the best of the children that the policy draws") {
  const auto summed = [](Toy& net, const Child& child) {
    double total = 0;
    for (const LossFunction& loss : toy_validation_losses(net, INT64_MAX)) {
      total += loss_of(net, child, loss);
    }
    return total;
  };
  int other_than_largest = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    StrategyOptions options{.seed = seed,
                            .epochs = 2,
                            .learning_rate = 0.02,
                            .alpha_learning_rate = 1e-3,
                            .child_population = 1000};
    // The policy is nearly uniform: it draws all 16, and the best of them is the answer ..
    const auto many = enas(options);
    ToyProblem problem;
    while (many->advance(problem)) {
    }
    Child best;
    double lowest = std::numeric_limits<double>::infinity();
    for (const Child& child : all_children()) {
      const double total = summed(*problem.net, child);
      if (total < lowest) {
        lowest = total;
        best = child;
      }
    }
    CHECK(choice_indices(many->recommend(), toy_space()) == best);
    const std::map<std::string, double>& told = many->search()->history().back().values;
    CHECK(told.at("children compared") == 1000);
    CHECK(told.at("lowest loss of a child") == doctest::Approx(lowest / kToySteps));
    CHECK(many->search()->alphas()[0][static_cast<std::size_t>(best[0])] == 1);
    // .. and of one draw it is this one, whatever the alphas.
    options.child_population = 1;
    const auto one = enas(options);
    ToyProblem same;
    CHECK(one->advance(same));
    one->advance(same);
    ToyProblem before;  // the alphas that the answer was drawn from
    const auto undecided = enas(options);
    const std::unique_ptr<Toy> net = toy_supernet(*undecided, 2);
    SupernetSearch search(*net, *undecided);
    for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
      for (std::int64_t step = 0; step < kToySteps; ++step) {
        search.architecture_step(toy_validation_loss(*net, epoch, step));
        search.weight_step(toy_train_loss(*net, epoch, step));
      }
      search.end_epoch();
    }
    Child drawn;
    for (std::uint64_t l = 0; l < 2; ++l) {
      std::vector<double> score = search.alphas()[l];
      const std::vector<double> noise =
          gumbel_noise(4, {seed, Purpose::architecture, UINT64_MAX}, l);
      for (std::size_t i = 0; i < 4; ++i) score[i] += noise[i];
      drawn.push_back(std::max_element(score.begin(), score.end()) - score.begin());
    }
    CHECK(choice_indices(one->recommend(), toy_space()) == drawn);
    other_than_largest += undecided->derive(search.alphas()) != one->recommend() ? 1 : 0;
  }
  CHECK(other_than_largest > 0);
}

TEST_CASE("enas: the policy learns which children share the weights best") {
  // Where it draws what is trained, what it came to like first is trained most: its own favourite
  // is right for some seeds, and the best of its draws for all; with weights of uniform paths both
  // are.
  for (const Bilevel bilevel : {Bilevel::alternating, Bilevel::two_stage}) {
    int favourite = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto method = enas({.seed = seed,
                                .epochs = 40,
                                .bilevel = bilevel,
                                .architecture_epochs = 40,
                                .learning_rate = 0.02,
                                .alpha_learning_rate = 0.02});
      ToyProblem problem(seed);
      while (method->advance(problem)) {
      }
      const std::vector<SearchRecord>& history = method->search()->history();
      // Of the last epoch but one: the last holds the answer.
      const std::vector<ChoiceRecord>& choices = history[history.size() - 2].choices;
      const Genotype likeliest = make_genotype(toy_space(), {choices[0].best, choices[1].best});
      favourite += likeliest.summary() == kToyAnswer ? 1 : 0;
      CHECK(method->recommend().summary() == kToyAnswer);
    }
    MESSAGE(to_string(bilevel), ": the favourite is right for ", favourite, " of 20 seeds");
    if (bilevel == Bilevel::two_stage) {
      CHECK(favourite == 20);
    } else {
      CHECK((10 <= favourite && favourite < 20));
    }
  }
}

TEST_CASE("enas: options that make no sense are refused") {
  const auto message = [](const StrategyOptions& wrong) {
    return message_of([&] { enas(wrong); });
  };
  CHECK(contains(message({.child_population = 0}), "enas: there must be children to choose from"));
  CHECK(contains(message({.baseline_decay = 1.5}), "enas: the decay of the baseline must be"));
  CHECK(contains(message({.baseline_decay = -0.1}), "enas: the decay of the baseline must be"));
}
