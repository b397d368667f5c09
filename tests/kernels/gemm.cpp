#include "kernels/gemm/gemm.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "kernels/gemm/cpu/packed.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/threads.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

struct Sizes {
  std::int64_t m, n, k;
};

// C = alpha op(A) op(B) + beta C by the definition, in double.
std::vector<double> product(bool transpose_a, bool transpose_b, const Sizes& s, double alpha,
                            const std::vector<real>& a, const std::vector<real>& b, double beta,
                            const std::vector<real>& c) {
  std::vector<double> result(c.size());
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t j = 0; j < s.n; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < s.k; ++l) {
        const auto at_a = static_cast<std::size_t>(transpose_a ? l * s.m + i : i * s.k + l);
        const auto at_b = static_cast<std::size_t>(transpose_b ? j * s.k + l : l * s.n + j);
        sum += static_cast<double>(a[at_a]) * static_cast<double>(b[at_b]);
      }
      const auto at = static_cast<std::size_t>(i * s.n + j);
      result[at] = alpha * sum + (beta == 0 ? 0 : beta * static_cast<double>(c[at]));
    }
  }
  return result;
}

std::vector<real> numbers(std::int64_t count, std::uint64_t seed) {
  return random_tensor({count}, seed).to_vector();
}

double worst_error(const std::vector<real>& got, const std::vector<double>& expected) {
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(static_cast<double>(got[i]) - expected[i]);
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  }
  return worst;
}

double tolerance(std::int64_t k) {
  return (sizeof(real) == 8 ? 1e-13 : 1e-5) * std::sqrt(static_cast<double>(k) + 1);
}

// Puts the chosen instruction set back.
struct RestoreIsa {
  cpu::Isa before = cpu::active_isa();
  ~RestoreIsa() { cpu::set_active_isa(before); }
};

void run_packed(bool transpose_a, bool transpose_b, const Sizes& s, real alpha,
                const std::vector<real>& a, const std::vector<real>& b, real beta,
                std::vector<real>& c) {
  cpu::gemm(transpose_a, transpose_b, s.m, s.n, s.k, alpha, a.data(), transpose_a ? s.m : s.k,
            b.data(), transpose_b ? s.k : s.n, beta, c.data(), s.n);
}

}  // namespace

TEST_CASE("gemm agrees with its definition for all transpositions, thin shapes included") {
  const std::vector<Sizes> cases = {{1, 1, 1},  {1, 17, 5}, {17, 1, 5},  {3, 5, 1},
                                    {7, 9, 33}, {65, 3, 2}, {2, 130, 9}, {33, 31, 29}};
  for (const Sizes& s : cases) {
    const std::vector<real> a = numbers(s.m * s.k, 1), b = numbers(s.k * s.n, 2);
    for (int flags = 0; flags < 4; ++flags) {
      for (const double beta : {0.0, 1.0, -0.5}) {
        CAPTURE(s.m);
        CAPTURE(s.n);
        CAPTURE(s.k);
        CAPTURE(flags);
        CAPTURE(beta);
        std::vector<real> c = numbers(s.m * s.n, 3);
        const auto expected = product((flags & 1) != 0, (flags & 2) != 0, s, 1.5, a, b, beta, c);
        run_packed((flags & 1) != 0, (flags & 2) != 0, s, real(1.5), a, b, static_cast<real>(beta),
                   c);
        CHECK(worst_error(c, expected) <= tolerance(s.k));
      }
    }
  }
}

// Large enough for the packed kernel: several blocks of k and of columns, odd edges on all sides.
TEST_CASE("large products agree with the definition on every instruction set") {
  const std::vector<Sizes> cases = {{37, 421, 401}, {53, 70, 801}, {9, 833, 97}, {150, 33, 1000}};
  const RestoreIsa restore;
  for (const cpu::Isa isa : {cpu::Isa::baseline, cpu::Isa::avx2, cpu::Isa::avx512}) {
    if (!cpu::isa_supported(isa)) continue;
    cpu::set_active_isa(isa);
    CAPTURE(std::string(cpu::to_string(isa)));
    for (const Sizes& s : cases) {
      const std::vector<real> a = numbers(s.m * s.k, 1), b = numbers(s.k * s.n, 2);
      for (int flags = 0; flags < 4; ++flags) {
        CAPTURE(s.k);
        CAPTURE(flags);
        std::vector<real> c = numbers(s.m * s.n, 3);
        const bool ta = (flags & 1) != 0, tb = (flags & 2) != 0;
        const double beta = flags == 0 ? 0 : 0.5;
        const auto expected = product(ta, tb, s, 1.5, a, b, beta, c);
        run_packed(ta, tb, s, real(1.5), a, b, static_cast<real>(beta), c);
        CHECK(worst_error(c, expected) <= tolerance(s.k));
      }
    }
  }
}

namespace {

// Two products that share an operand as `shared` says ('a', 'b', 'c' or '-'), by one call.
std::vector<std::vector<real>> run_two(const Sizes& s, char shared,
                                       const std::vector<std::vector<real>>& a,
                                       const std::vector<std::vector<real>>& b,
                                       std::vector<std::vector<real>> c) {
  std::vector<cpu::GemmProduct> products;
  for (std::size_t i = 0; i < 2; ++i) {
    cpu::GemmProduct p;
    p.m = s.m;
    p.n = s.n;
    p.k = s.k;
    p.transpose_b = true;
    p.a = a[shared == 'a' ? 0 : i].data();
    p.lda = s.k;
    p.b = b[shared == 'b' ? 0 : i].data();
    p.ldb = s.k;
    p.beta = shared == 'c' && i == 0 ? real(0.5) : real(1);
    p.c = c[shared == 'c' ? 0 : i].data();
    p.ldc = s.n;
    products.push_back(p);
  }
  cpu::gemm_in_order(products);
  return c;
}

}  // namespace

TEST_CASE("neighbouring products that share an operand give what each gives alone") {
  for (const Sizes& s : std::vector<Sizes>{{1, 1, 1}, {5, 3, 7}, {37, 230, 250}, {53, 421, 50}}) {
    std::vector<std::vector<real>> a, b, c;
    for (std::uint64_t i = 0; i < 2; ++i) {
      a.push_back(numbers(s.m * s.k, 10 + i));
      b.push_back(numbers(s.k * s.n, 20 + i));
      c.push_back(numbers(s.m * s.n, 30 + i));
    }
    for (const char shared : {'-', 'a', 'b', 'c'}) {
      CAPTURE(shared);
      CAPTURE(s.n);
      const auto got = run_two(s, shared, a, b, c);
      auto first = product(false, true, s, 1, a[0], b[0], shared == 'c' ? 0.5 : 1, c[0]);
      const auto& a1 = a[shared == 'a' ? 0 : 1];
      const auto& b1 = b[shared == 'b' ? 0 : 1];
      const auto second = product(false, true, s, 1, a1, b1, shared == 'c' ? 0 : 1, c[1]);
      if (shared == 'c') {
        for (std::size_t i = 0; i < first.size(); ++i) first[i] += second[i];
      } else {
        CHECK(worst_error(got[1], second) <= tolerance(s.k));
      }
      CHECK(worst_error(got[0], first) <= 2 * tolerance(s.k));
    }
  }
}

TEST_CASE("gemm with beta 0 clears what the result held, NaN included") {
  for (const Sizes& s : std::vector<Sizes>{{4, 3, 5}, {1, 3, 5}, {4, 1, 5}, {4, 3, 0}}) {
    const std::vector<real> a = numbers(s.m * s.k, 1), b = numbers(s.k * s.n, 2);
    std::vector<real> c(static_cast<std::size_t>(s.m * s.n), NAN);
    run_packed(false, false, s, 1, a, b, 0, c);
    CHECK(worst_error(c, product(false, false, s, 1, a, b, 0, c)) <= tolerance(s.k));
  }
}

TEST_CASE("gemm with an empty sum scales the result, and with no rows touches nothing") {
  std::vector<real> c = {1, 2, 3, 4};
  cpu::gemm(false, false, 2, 2, 0, 1, nullptr, 1, nullptr, 2, real(0.5), c.data(), 2);
  CHECK(c == std::vector<real>{0.5, 1, 1.5, 2});
  cpu::gemm(false, false, 0, 2, 3, 1, nullptr, 3, nullptr, 2, 0, c.data(), 2);
  CHECK(c == std::vector<real>{0.5, 1, 1.5, 2});
}

TEST_CASE("gemm leaves the gaps between rows alone") {
  const Sizes s{5, 3, 4};
  const std::vector<real> a = numbers(5 * 6, 1), b = numbers(4 * 7, 2);
  std::vector<real> c(5 * 8, 42);
  cpu::gemm(false, false, s.m, s.n, s.k, 1, a.data(), 6, b.data(), 7, 0, c.data(), 8);
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 8; ++j) {
      double expected = 0;
      for (std::size_t l = 0; l < 4 && j < 3; ++l) {
        expected += static_cast<double>(a[i * 6 + l]) * static_cast<double>(b[l * 7 + j]);
      }
      CHECK(static_cast<double>(c[i * 8 + j]) ==
            doctest::Approx(j < 3 ? expected : 42).epsilon(1e-5));
    }
  }
}

TEST_CASE("large products have the same bits for any number of threads, nested too") {
  const int before = cpu::thread_count();
  for (const Sizes& s : std::vector<Sizes>{{257, 130, 190}, {3, 700, 800}, {1, 1500, 900}}) {
    const std::vector<real> a = numbers(s.m * s.k, 1), b = numbers(s.k * s.n, 2);
    std::vector<real> one(static_cast<std::size_t>(s.m * s.n)), two = one, nested = one;
    cpu::set_threads(1);
    run_packed(false, true, s, 1, a, b, 0, one);
    cpu::set_threads(3);
    run_packed(false, true, s, 1, a, b, 0, two);
    cpu::parallel_each(2, [&](std::int64_t i) {
      if (i == 0) run_packed(false, true, s, 1, a, b, 0, nested);
    });
    CHECK(one == two);
    CHECK(one == nested);
    CHECK(worst_error(one, product(false, true, s, 1, a, b, 0, one)) <= tolerance(s.k));
  }
  cpu::set_threads(before);
}

TEST_CASE("gemm_batched is one gemm per matrix") {
  const std::int64_t batch = 7;
  const std::vector<real> a = numbers(batch * 15, 1), b = numbers(batch * 20, 2);
  for (int flags = 0; flags < 4; ++flags) {
    const bool ta = (flags & 1) != 0, tb = (flags & 2) != 0;
    std::vector<real> c = numbers(batch * 12, 3), expected = c;
    cpu::gemm_batched(batch, ta, tb, 3, 4, 5, 2, a.data(), 15, b.data(), 20, 1, c.data(), 12);
    for (std::int64_t i = 0; i < batch; ++i) {
      cpu::gemm(ta, tb, 3, 4, 5, 2, a.data() + i * 15, ta ? 3 : 5, b.data() + i * 20, tb ? 5 : 4, 1,
                expected.data() + i * 12, 4);
    }
    CHECK(c == expected);
  }
}

TEST_CASE("one matrix shared by a batch has stride 0") {
  const std::vector<real> a = numbers(2 * 6, 1), b = numbers(6, 2);
  std::vector<real> c(2 * 4), expected(2 * 4);
  cpu::gemm_batched(2, false, false, 2, 2, 3, 1, a.data(), 6, b.data(), 0, 0, c.data(), 4);
  for (std::size_t i = 0; i < 2; ++i) {
    cpu::gemm(false, false, 2, 2, 3, 1, a.data() + i * 6, 3, b.data(), 2, 0,
              expected.data() + i * 4, 2);
  }
  CHECK(c == expected);
}

TEST_CASE("gemm: sizes that OpenBLAS cannot count are refused before anything is read") {
  const std::int64_t k = std::int64_t{1} << 33;
  real c = 3;
  CHECK_THROWS_WITH_AS(cpu::gemm(false, false, 1, 1, k, 1, nullptr, k, nullptr, 1, 0, &c, 1),
                       doctest::Contains("must fit 32 bits"), std::invalid_argument);
  CHECK(c == 3);
}
