// The capsule kernels in use against their definition, for every instruction set and for one and
// two threads.

#include "kernels/capsule/capsule.h"
#include "kernels/runtime/threads.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/golden.h"
#include "tests/kernels/isa.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

/// What a forward and a backward compute.
struct Outcome {
  Tensor v, s, du, dweight, dbias;
};

struct Inputs {
  Tensor u, weight, bias, dv;

  explicit Inputs(const CapsuleShape& p)
      : u(random_tensor({p.N, p.I, p.D}, 1, real(0.5))),
        weight(random_tensor({p.shared_weight ? 1 : p.I, p.J, p.D, p.O}, 2, real(0.5))),
        bias(random_tensor({p.J, p.O}, 3, real(0.3))),
        dv(random_tensor({p.N, p.J, p.O}, 4)) {}
};

// Gradients start at 1 instead of 0: a kernel that overwrites instead of adding is found out.
template <class Forward, class Backward>
Outcome run(const Inputs& in, const CapsuleShape& p, Forward forward, Backward backward) {
  Outcome out{Tensor({p.N, p.J, p.O}), Tensor({p.N, p.iterations, p.J, p.O}),
              Tensor::ones(in.u.shape()), Tensor::ones(in.weight.shape()),
              Tensor::ones(in.bias.shape())};
  forward(out.v.data(), out.s.data(), in.u.data(), in.weight.data(), in.bias.data(), p);
  backward(out.du.data(), out.dweight.data(), out.dbias.data(), in.dv.data(), out.s.data(),
           in.u.data(), in.weight.data(), p);
  return out;
}

Outcome run_v0(const Inputs& in, const CapsuleShape& p) {
  return run(in, p, cpu::capsule_layer_forward_v0_stored_votes,
             cpu::capsule_layer_backward_v0_stored_votes);
}

Outcome run_in_use(const Inputs& in, const CapsuleShape& p) {
  return run(in, p, cpu::capsule_layer_forward, cpu::capsule_layer_backward);
}

/// Routing alone, on the votes that stand in u: [N, I, J * O].
Outcome run_routing(const Inputs& in, const CapsuleShape& p, bool definition) {
  const auto forward =
      definition ? cpu::capsule_routing_forward_v0_definition : cpu::capsule_routing_forward;
  const auto backward =
      definition ? cpu::capsule_routing_backward_v0_definition : cpu::capsule_routing_backward;
  return run(
      in, p,
      [&](real* v, real* s, const real* u_hat, const real*, const real* bias,
          const CapsuleShape& shape) { forward(v, s, u_hat, bias, shape); },
      [&](real* du_hat, real*, real* dbias, const real* dv, const real* s, const real* u_hat,
          const real*,
          const CapsuleShape& shape) { backward(du_hat, dbias, dv, s, u_hat, shape); });
}

constexpr double kTolerance = sizeof(real) == 8 ? 1e-11 : 2e-5;

void check_same(const Outcome& actual, const Outcome& expected) {
  check_close(actual.v, expected.v, "v", kTolerance);
  check_close(actual.s, expected.s, "s", kTolerance);
  check_close(actual.du, expected.du, "du", kTolerance);
  check_close(actual.dweight, expected.dweight, "dweight", kTolerance);
  check_close(actual.dbias, expected.dbias, "dbias", kTolerance);
}

bool same_bits(const Outcome& a, const Outcome& b) {
  return a.v.to_vector() == b.v.to_vector() && a.s.to_vector() == b.s.to_vector() &&
         a.du.to_vector() == b.du.to_vector() && a.dweight.to_vector() == b.dweight.to_vector() &&
         a.dbias.to_vector() == b.dbias.to_vector();
}

/// Odd sizes, sizes of 1, sizes below and above a vector and a group of samples; one so large that
/// the samples' backward goes in several chunks.
std::vector<CapsuleShape> shapes() {
  return {{.N = 1, .I = 1, .D = 1, .J = 1, .O = 1},
          {.N = 3, .I = 5, .D = 3, .J = 1, .O = 2, .iterations = 2},
          {.N = 7, .I = 37, .D = 5, .J = 3, .O = 7, .iterations = 4},
          {.N = 5, .I = 80, .D = 8, .J = 8, .O = 8},
          {.N = 9, .I = 150, .D = 8, .J = 8, .O = 8, .iterations = 1},
          {.N = 9, .I = 1030, .D = 2, .J = 8, .O = 2, .iterations = 6},
          {.N = 6, .I = 9, .D = 72, .J = 4, .O = 16, .shared_weight = true}};
}

/// Lengths that leave whole blocks, parts of blocks and nothing masked.
std::vector<std::int64_t> some_lengths(const CapsuleShape& p) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t n = 0; n < p.N; ++n) lengths.push_back(1 + n * 13 % p.I);
  lengths.back() = p.I;
  return lengths;
}

}  // namespace

TEST_CASE("the capsule layer in use agrees with its definition") {
  for_each_isa([] {
    for (CapsuleShape p : shapes()) {
      const std::vector<std::int64_t> lengths = some_lengths(p);
      for (int variant = 0; variant < 4; ++variant) {
        p.last_only = variant % 2 == 1;
        p.lengths = variant < 2 ? nullptr : lengths.data();
        INFO("I ", p.I, " J ", p.J, " last ", p.last_only, " masked ", variant >= 2);
        const Inputs in(p);
        check_same(run_in_use(in, p), run_v0(in, p));
      }
    }
  });
}

TEST_CASE("routing in use agrees with its definition") {
  for_each_isa([] {
    for (CapsuleShape p : shapes()) {
      const std::vector<std::int64_t> lengths = some_lengths(p);
      p.D = p.J * p.O;  // of the stand-in for the votes
      for (int variant = 0; variant < 4; ++variant) {
        p.last_only = variant % 2 == 1;
        p.lengths = variant < 2 ? nullptr : lengths.data();
        INFO("I ", p.I, " J ", p.J, " last ", p.last_only, " masked ", variant >= 2);
        const Inputs in(p);
        check_same(run_routing(in, p, false), run_routing(in, p, true));
      }
    }
  });
}

TEST_CASE("the capsule layer gives the same bits with one thread and with two") {
  const int before = cpu::thread_count();
  for (const CapsuleShape& p : shapes()) {
    const Inputs in(p);
    cpu::set_threads(1);
    const Outcome one = run_in_use(in, p);
    cpu::set_threads(2);
    CHECK(same_bits(run_in_use(in, p), one));
  }
  cpu::set_threads(before);
}

TEST_CASE("large agreements saturate the softmax without overflow") {
  const CapsuleShape p{.N = 2, .I = 33, .D = 4, .J = 3, .O = 5};
  Inputs in(p);
  in.u = random_tensor(in.u.shape(), 5, 200);
  const Outcome out = run_in_use(in, p);
  for (const Tensor& tensor : {out.v, out.du, out.dweight, out.dbias}) {
    for (const real value : tensor.to_vector()) CHECK(std::isfinite(value));
  }
  check_close(out.v, run_v0(in, p).v, "v", 1e-3);
}
