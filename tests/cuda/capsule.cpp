// Every step of the capsule ladder on the device against the CPU's definition.

#include "kernels/capsule/capsule.h"

#include <cmath>

#include "kernels/capsule/cuda/versions.h"
#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

using Lengths = std::vector<std::int64_t>;

/// What a layer is given.
struct Inputs {
  Values u, weight, bias, dv;

  explicit Inputs(const CapsuleShape& p)
      : u(random_values(p.N * p.I * p.D, 1)),
        weight(random_values(p.weights(), 2)),
        bias(random_values(p.J * p.O, 3)),
        dv(random_values(p.N * p.J * p.O, 4)) {
    for (real& x : u) x *= real(0.5);
    for (real& x : weight) x *= real(0.5);
  }
};

/// What it makes of that: gradients begin at 1, since kernels add to them.
struct Results {
  Values v, s, du, dweight, dbias;

  explicit Results(const CapsuleShape& p)
      : v(static_cast<std::size_t>(p.N * p.J * p.O)),
        s(static_cast<std::size_t>(p.N * p.iterations * p.J * p.O)),
        du(static_cast<std::size_t>(p.N * p.I * p.D), 1),
        dweight(static_cast<std::size_t>(p.weights()), 1),
        dbias(static_cast<std::size_t>(p.J * p.O), 1) {}
};

void append(Values& all, const Values& more) { all.insert(all.end(), more.begin(), more.end()); }

Results cut(const Values& all, const CapsuleShape& p) {
  Results r(p);
  auto from = all.begin();
  for (Values* part : {&r.v, &r.s, &r.du, &r.dweight, &r.dbias}) {
    const auto end = from + static_cast<std::ptrdiff_t>(part->size());
    part->assign(from, end);
    from = end;
  }
  return r;
}

void check_same(const Results& actual, const Results& expected) {
  CHECK(relative_error(actual.v, expected.v) < kForwardTolerance);
  CHECK(relative_error(actual.s, expected.s) < kForwardTolerance);
  CHECK(relative_error(actual.du, expected.du) < kGradientTolerance);
  CHECK(relative_error(actual.dweight, expected.dweight) < kGradientTolerance);
  CHECK(relative_error(actual.dbias, expected.dbias) < kGradientTolerance);
}

/// A layer with its gradients on the device, `inputs` of a layer.
template <class Forward, class Backward>
Results layer_on_device(const Inputs& in, const CapsuleShape& p, Forward forward,
                        Backward backward) {
  return cut(run_repeatedly([&] {
               const Results begin(p);
               const DeviceValues u(in.u), weight(in.weight), bias(in.bias), dv(in.dv);
               const DeviceValues v(begin.v.size()), s(begin.s.size());
               const DeviceValues du(begin.du), dweight(begin.dweight), dbias(begin.dbias);
               forward(v.data(), s.data(), u.data(), weight.data(), bias.data(), p);
               backward(du.data(), dweight.data(), dbias.data(), dv.data(), s.data(), u.data(),
                        weight.data(), p);
               Values all = v.values();
               for (const DeviceValues* x : {&s, &du, &dweight, &dbias}) append(all, x->values());
               return all;
             }),
             p);
}

Results layer_on_cpu(const Inputs& in, const CapsuleShape& p) {
  Results r(p);
  cpu::capsule_layer_forward_v0_stored_votes(r.v.data(), r.s.data(), in.u.data(), in.weight.data(),
                                             in.bias.data(), p);
  cpu::capsule_layer_backward_v0_stored_votes(r.du.data(), r.dweight.data(), r.dbias.data(),
                                              in.dv.data(), r.s.data(), in.u.data(),
                                              in.weight.data(), p);
  return r;
}

/// A shape with some lengths, and for each whether only the last iteration passes a gradient.
template <class Check>
void for_variants(CapsuleShape p, Check check) {
  Lengths lengths;
  for (std::int64_t n = 0; n < p.N; ++n) lengths.push_back(1 + n * 13 % p.I);
  lengths.back() = p.I;
  for (int variant = 0; variant < 2; ++variant) {
    p.last_only = variant == 1;
    p.lengths = variant == 1 ? nullptr : lengths.data();
    INFO("N ", p.N, " I ", p.I, " D ", p.D, " J ", p.J, " O ", p.O, " variant ", variant);
    check(p);
  }
}

template <class Forward, class Backward>
void check_layer(const CapsuleShape& shape, Forward forward, Backward backward) {
  for_variants(shape, [&](const CapsuleShape& p) {
    const Inputs in(p);
    check_same(layer_on_device(in, p, forward, backward), layer_on_cpu(in, p));
  });
}

/// Routing alone: the votes stand in u, [N, I, J * O]; there are no weights.
template <class Forward, class Backward>
void check_routing(CapsuleShape shape, Forward forward, Backward backward) {
  shape.D = shape.J * shape.O;
  for_variants(shape, [&](const CapsuleShape& p) {
    const Inputs in(p);
    const Results actual = layer_on_device(
        in, p,
        [&](real* v, real* s, const real* u_hat, const real*, const real* bias,
            const CapsuleShape& q) { forward(v, s, u_hat, bias, q); },
        [&](real* du_hat, real*, real* dbias, const real* dv, const real* s, const real* u_hat,
            const real*, const CapsuleShape& q) { backward(du_hat, dbias, dv, s, u_hat, q); });
    Results expected(p);
    cpu::capsule_routing_forward_v0_definition(expected.v.data(), expected.s.data(), in.u.data(),
                                               in.bias.data(), p);
    cpu::capsule_routing_backward_v0_definition(expected.du.data(), expected.dbias.data(),
                                                in.dv.data(), expected.s.data(), in.u.data(), p);
    check_same(actual, expected);
  });
}

/// Sizes of 1, odd sizes, and the two systems' with fewer input capsules.
const CapsuleShape kTiny{};
const CapsuleShape kOdd{.N = 3, .I = 7, .D = 5, .J = 3, .O = 7, .iterations = 4};
const CapsuleShape kWindows{.N = 3, .I = 37, .D = 8, .J = 8, .O = 8};
const CapsuleShape kUtterances{.N = 2, .I = 9, .D = 72, .J = 4, .O = 16, .shared_weight = true};

}  // namespace

TEST_CASE("cuda capsule: the definition of routing") {
  for (const CapsuleShape& p : {kTiny, kOdd, kWindows}) {
    check_routing(p, cuda::capsule_routing_forward_v0_definition,
                  cuda::capsule_routing_backward_v0_definition);
  }
}

TEST_CASE("cuda capsule: the layer with stored votes") {
  for (const CapsuleShape& p : {kTiny, kOdd, kUtterances}) {
    check_layer(p, cuda::capsule_layer_forward_v0_stored_votes,
                cuda::capsule_layer_backward_v0_stored_votes);
  }
}

TEST_CASE("cuda capsule: routing in one block, every number of lanes") {
  const CapsuleShape shapes[] = {
      {.N = 2, .I = 1, .J = 1, .O = 8, .iterations = 1},
      {.N = 2, .I = 9, .J = 4, .O = 16},
      {.N = 2, .I = 70, .J = 3, .O = 8, .iterations = 4},
      {.N = 3, .I = 37, .J = 7, .O = 16, .iterations = 2},
      {.N = 2, .I = 33, .J = 8, .O = 8},
      {.N = 2, .I = 5, .J = 13, .O = 8},
      {.N = 2, .I = 18, .J = 16, .O = 16},
  };
  for (const CapsuleShape& p : shapes) {
    check_routing(p, cuda::capsule_routing_forward_v1_one_block,
                  cuda::capsule_routing_backward_v1_one_block);
  }
}

TEST_CASE("cuda capsule: the layer with recomputed votes") {
  const CapsuleShape once{.N = 2, .I = 3, .D = 8, .J = 8, .O = 8, .iterations = 1};
  const CapsuleShape few{.N = 5, .I = 18, .D = 8, .J = 8, .O = 8, .iterations = 2};
  for (const CapsuleShape& p : {once, few, kWindows}) {
    check_layer(p, cuda::capsule_layer_forward_v2_recomputed_votes,
                cuda::capsule_layer_backward_v2_recomputed_votes);
  }
}

TEST_CASE("cuda capsule: the layer with recomputed votes, several samples per block") {
  const CapsuleShape p{.N = 541, .I = 16, .D = 8, .J = 8, .O = 8, .iterations = 2};
  const Inputs in(p);
  const Results expected = layer_on_cpu(in, p);
  const DeviceValues u(in.u), weight(in.weight), bias(in.bias), dv(in.dv);
  const DeviceValues v(expected.v.size()), s(expected.s.size());
  const DeviceValues du(Results(p).du), dweight(Results(p).dweight), dbias(Results(p).dbias);
  cuda::capsule_layer_forward_v2_recomputed_votes(v.data(), s.data(), u.data(), weight.data(),
                                                  bias.data(), p);
  cuda::capsule_layer_backward_v2_recomputed_votes(du.data(), dweight.data(), dbias.data(),
                                                   dv.data(), s.data(), u.data(), weight.data(), p);
  Results actual(p);
  actual.v = v.values();
  actual.s = s.values();
  actual.du = du.values();
  actual.dweight = dweight.values();
  actual.dbias = dbias.values();
  check_same(actual, expected);
}

TEST_CASE("cuda capsule: routing in use") {
  CapsuleShape once = kWindows, many = kOdd;
  once.iterations = 1;
  many.iterations = 6;
  for (const CapsuleShape& p : {once, many}) {
    check_routing(p, cuda::capsule_routing_forward, cuda::capsule_routing_backward);
  }
}

TEST_CASE("cuda capsule: the layer in use") {
  for (const CapsuleShape& p : {kOdd, kWindows, kUtterances}) {
    check_layer(p, cuda::capsule_layer_forward, cuda::capsule_layer_backward);
  }
}

TEST_CASE("cuda capsule: the largest sizes") {
  check_layer({.N = 2, .I = 3, .D = 32, .J = 32, .O = 32}, cuda::capsule_layer_forward,
              cuda::capsule_layer_backward);
  check_layer({.N = 2, .I = 5, .D = 32, .J = 17, .O = 8, .shared_weight = true},
              cuda::capsule_layer_forward, cuda::capsule_layer_backward);
  check_layer({.N = 2, .I = 4, .D = 1, .J = 32, .O = 1, .iterations = 2},
              cuda::capsule_layer_forward, cuda::capsule_layer_backward);
}

TEST_CASE("cuda capsule: zeros give zeros, and gradients that are finite") {
  const std::int64_t none[] = {0, 0};
  for (CapsuleShape p : {kTiny, kWindows, kUtterances}) {
    p.N = 2;
    for (const bool padded : {false, true}) {
      p.lengths = padded ? none : nullptr;  // capsules that do not count are as good as zeros
      Inputs in(p);
      for (real& b : in.bias) b = 0;
      if (!padded) in.u.assign(in.u.size(), 0);
      const Results r =
          layer_on_device(in, p, cuda::capsule_layer_forward, cuda::capsule_layer_backward);
      for (const Values* zeros : {&r.v, &r.s}) {
        for (const real x : *zeros) CHECK(x == 0);
      }
      for (const Values* ones : {&r.dweight, &r.dbias}) {
        for (const real x : *ones) CHECK(std::isfinite(x));
      }
      for (const real x : r.dweight) CHECK(x == 1);  // of inputs that are 0
      for (const real x : r.du) CHECK((padded ? x == 1 : std::isfinite(x)));
    }
  }
}

TEST_CASE("cuda capsule: gradients that are not wanted, no bias, no samples") {
  const CapsuleShape p = kUtterances;
  const Inputs in(p);
  Results expected(p);
  cpu::capsule_layer_forward(expected.v.data(), expected.s.data(), in.u.data(), in.weight.data(),
                             nullptr, p);
  cpu::capsule_layer_backward(nullptr, expected.dweight.data(), nullptr, in.dv.data(),
                              expected.s.data(), in.u.data(), in.weight.data(), p);
  const DeviceValues u(in.u), weight(in.weight), dv(in.dv);
  const DeviceValues v(expected.v.size()), s(expected.s.size()), dweight(Results(p).dweight);
  cuda::capsule_layer_forward(v.data(), s.data(), u.data(), weight.data(), nullptr, p);
  cuda::capsule_layer_backward(nullptr, dweight.data(), nullptr, dv.data(), s.data(), u.data(),
                               weight.data(), p);
  CHECK(relative_error(v.values(), expected.v) < kForwardTolerance);
  CHECK(relative_error(dweight.values(), expected.dweight) < kGradientTolerance);
  CapsuleShape none = p;
  none.N = 0;
  cuda::capsule_layer_forward(nullptr, nullptr, nullptr, weight.data(), nullptr, none);
  const Values before = dweight.values();
  cuda::capsule_layer_backward(nullptr, dweight.data(), nullptr, nullptr, nullptr, nullptr,
                               weight.data(), none);
  CHECK(dweight.values() == before);
}

TEST_CASE("cuda capsule: the coefficients of every iteration") {
  CapsuleShape p = kOdd;
  const Lengths lengths = {7, 1, 4};
  p.lengths = lengths.data();
  const Values votes = random_values(p.N * p.I * p.J * p.O, 5);
  Values v(static_cast<std::size_t>(p.N * p.J * p.O));
  Values s(static_cast<std::size_t>(p.N * p.iterations * p.J * p.O));
  Values expected(static_cast<std::size_t>(p.iterations * p.N * p.I * p.J));
  cpu::capsule_routing_forward(v.data(), s.data(), votes.data(), nullptr, p);
  cpu::capsule_routing_coefficients(expected.data(), votes.data(), s.data(), p);
  const Values actual = run_repeatedly([&] {
    const DeviceValues u_hat(votes), steps(s), c(expected.size());
    cuda::capsule_routing_coefficients(c.data(), u_hat.data(), steps.data(), p);
    return c.values();
  });
  CHECK(relative_error(actual, expected) < kForwardTolerance);
}

TEST_CASE("cuda capsule: votes and their gradients") {
  for (const CapsuleShape& p : {kOdd, kUtterances}) {
    const Inputs in(p);
    const Values dvotes = random_values(p.N * p.I * p.J * p.O, 6);
    Values votes(dvotes.size());
    Results expected(p);
    cpu::capsule_votes_forward(votes.data(), in.u.data(), in.weight.data(), p);
    cpu::capsule_votes_backward(expected.du.data(), expected.dweight.data(), dvotes.data(),
                                in.u.data(), in.weight.data(), p);
    const DeviceValues u(in.u), weight(in.weight), u_hat(votes.size()), du_hat(dvotes);
    const DeviceValues du(Results(p).du), dweight(Results(p).dweight);
    cuda::capsule_votes_forward(u_hat.data(), u.data(), weight.data(), p);
    cuda::capsule_votes_backward(du.data(), dweight.data(), du_hat.data(), u.data(), weight.data(),
                                 p);
    CHECK(relative_error(u_hat.values(), votes) < kForwardTolerance);
    CHECK(relative_error(du.values(), expected.du) < kGradientTolerance);
    CHECK(relative_error(dweight.values(), expected.dweight) < kGradientTolerance);
  }
}
