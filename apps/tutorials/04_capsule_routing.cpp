// Tutorial 4: what routing by agreement does.
//
// Four input capsules have seen parts of a thing and vote, each with one small vector, on what the
// whole looks like: a vote for output capsule A and one for output capsule B. Routing decides which
// of the two each input capsule belongs to, without any weights of its own (Sabour, Frosst & Hinton
// 2017): it believes the output capsule on which many votes agree.
//
//   run it: build/tutorial_04_capsule_routing

#include <cstdio>

#include "autograd/functions.h"

using namespace serenade;

namespace {

// Votes are [samples, input capsules, output capsules, size]; here 1 x 4 x 2 x 2. On A the first
// three capsules agree, their vectors point the same way, and the fourth points the opposite way.
// On B every vote points somewhere else, so whatever they mean, it is not the same thing.
Tensor make_votes() {
  return Tensor::from({1.0, 0.9, 0.8, 0.0,      // capsule 0: for A, for B
                       0.9, 1.0, -0.8, 0.1,     // capsule 1
                       1.1, 1.0, 0.0, 0.8,      // capsule 2
                       -1.0, -0.9, 0.1, -0.8},  // capsule 3: against the others on A
                      {1, 4, 2, 2});
}

void print_table(const Tensor& c, int iterations) {
  std::printf("How much of its vote each input capsule gives to A (the rest goes to B):\n\n");
  std::printf("  iteration   capsule 0   capsule 1   capsule 2   capsule 3\n");
  for (int t = 0; t < iterations; ++t) {
    std::printf("  %9d", t + 1);
    for (int i = 0; i < 4; ++i) std::printf("   %9.3f", static_cast<double>(c.at({t, 0, i, 0})));
    std::printf("\n");
  }
}

}  // namespace

int main() {
  const int iterations = 4;
  const Tensor u_hat = make_votes();

  // The coefficients c of every iteration: [iterations, samples, input capsules, output capsules].
  const Tensor c = routing_coefficients(u_hat, {}, {.iterations = iterations});
  print_table(c, iterations);

  // What is seen:
  //   * Iteration 1: nothing is known yet, so every capsule splits its vote evenly, 0.5 and 0.5.
  //   * Then A, the sum of three votes that agree and one that does not, points where the three
  //     point. A vote's agreement with it (a dot product) is added to its logit, and the softmax
  //     over the OUTPUT capsules turns that into a larger share: 0, 1 and 2 move towards A.
  //   * Capsule 3 disagrees with A, so its share of A falls and its vote counts less and less.
  //   * On B the votes contradict and cancel each other: B stays much shorter. Only capsule 3,
  //     which A has turned away, ends up there.

  // The output capsules themselves. A capsule's length, below 1, says how sure it is.
  const Variable v = capsule_routing(Variable(u_hat), {}, {.iterations = iterations});
  const Tensor lengths = capsule_norm(v).value();
  const Tensor once = capsule_norm(capsule_routing(Variable(u_hat), {}, {.iterations = 1})).value();
  std::printf("\nLength of A: %.3f after 1 iteration, %.3f after %d. Length of B: %.3f.\n",
              static_cast<double>(once.at({0, 0})), static_cast<double>(lengths.at({0, 0})),
              iterations, static_cast<double>(lengths.at({0, 1})));

  // The claims above, checked: a tutorial that is wrong fails its test.
  const int last = iterations - 1;
  for (int i = 0; i < 3; ++i) {
    if (c.at({last, 0, i, 0}) <= c.at({0, 0, i, 0})) {
      std::fprintf(stderr, "capsule %d agrees, but its coefficient did not grow\n", i);
      return 1;
    }
  }
  if (c.at({last, 0, 3, 0}) >= c.at({0, 0, 3, 0})) {
    std::fprintf(stderr, "capsule 3 disagrees, but its coefficient did not fall\n");
    return 1;
  }
  if (lengths.at({0, 0}) <= once.at({0, 0}) || lengths.at({0, 1}) >= lengths.at({0, 0})) {
    std::fprintf(stderr, "agreement did not make capsule A the longer one\n");
    return 1;
  }
  return 0;
}
