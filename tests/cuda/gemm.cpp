// Matrix products on the device against the CPU's: every step of the ladder in all four cases of
// transposition, edges that fill no tile, rows that are longer than the matrix, and k cut into
// splits.

#include "kernels/gemm/gemm.h"

#include <limits>
#include <string>

#include "kernels/gemm/cuda/versions.h"
#include "kernels/runtime/cuda_device.h"
#include "tests/cuda/device_case.h"
#include "tests/yardsticks/cublas.h"

using namespace serenade;
using namespace serenade::test;

namespace {

struct Case {
  std::int64_t m, n, k;
  std::int64_t batch = 1;
  std::int64_t padding = 0;  ///< elements after each row that do not belong to the matrix
  real alpha = 1, beta = 0;
  std::int64_t offset = 0;  ///< where A and B begin: 1 breaks the alignment of 16 bytes
};

std::string text(const Case& c, bool transpose_a, bool transpose_b) {
  return std::to_string(c.m) + " x " + std::to_string(c.n) + " x " + std::to_string(c.k) +
         (transpose_a ? ", A transposed" : "") + (transpose_b ? ", B transposed" : "");
}

/// A matrix product with its matrices on the host.
struct Product {
  cuda::GemmCall call;
  Values a, b, c;
  std::int64_t offset;

  Product(const Case& s, bool transpose_a, bool transpose_b)
      : call{transpose_a, transpose_b, s.batch, s.m, s.n, s.k, s.alpha, s.beta}, offset(s.offset) {
    const std::int64_t a_rows = transpose_a ? s.k : s.m, b_rows = transpose_b ? s.n : s.k;
    call.lda = (transpose_a ? s.m : s.k) + s.padding;
    call.ldb = (transpose_b ? s.k : s.n) + s.padding;
    call.ldc = s.n + s.padding;
    call.stride_a = a_rows * call.lda;
    call.stride_b = b_rows * call.ldb;
    call.stride_c = s.m * call.ldc;
    a = random_values(s.offset + s.batch * call.stride_a, 1);
    b = random_values(s.offset + s.batch * call.stride_b, 2);
    c = random_values(s.batch * call.stride_c, 3);
    if (s.beta == 0) c[0] = std::numeric_limits<real>::quiet_NaN();  // must be overwritten
  }

  Values on_cpu() const {
    Values result = c;
    for (std::int64_t i = 0; i < call.batch; ++i) {
      cpu::gemm(call.transpose_a, call.transpose_b, call.m, call.n, call.k, call.alpha,
                a.data() + offset + i * call.stride_a, call.lda,
                b.data() + offset + i * call.stride_b, call.ldb, call.beta,
                result.data() + i * call.stride_c, call.ldc);
    }
    return result;
  }

  Values on_device(const cuda::GemmPlan& plan) const {
    const DeviceValues device_a(a), device_b(b), device_c(c);
    cuda::GemmCall there = call;
    there.a = device_a.data() + offset;
    there.b = device_b.data() + offset;
    there.c = device_c.data();
    cuda::run_gemm(there, plan);
    return device_c.values();
  }
};

void check_plan(const Case& s, const cuda::GemmPlan& plan, bool transpose_a, bool transpose_b,
                double tolerance = kForwardTolerance) {
  INFO(text(s, transpose_a, transpose_b));
  const Product product(s, transpose_a, transpose_b);
  const Values got = run_repeatedly([&] { return product.on_device(plan); });
  CHECK(relative_error(got, product.on_cpu()) <= tolerance);
}

void check_transpositions(const Case& s, const cuda::GemmPlan& plan,
                          double tolerance = kForwardTolerance) {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      check_plan(s, plan, transpose_a, transpose_b, tolerance);
    }
  }
}

constexpr cuda::GemmPlan kMediumBlock{cuda::GemmVersion::register_block, cuda::GemmTile::medium};

}  // namespace

TEST_CASE("cuda gemm: plain and shared tile give the CPU's product") {
  for (const cuda::GemmVersion version :
       {cuda::GemmVersion::plain, cuda::GemmVersion::shared_tile}) {
    check_transpositions({1, 1, 1}, {version});
    check_transpositions({17, 5, 33, 2, 1, real(0.5), real(-2)}, {version});
    check_plan({3, 20, 0, 1, 0, 1, real(0.5)}, {version}, false, false);
  }
}

TEST_CASE("cuda gemm: register blocks of every size, ragged and aligned") {
  const auto plan = [](cuda::GemmTile tile) {
    return cuda::GemmPlan{cuda::GemmVersion::register_block, tile};
  };
  // 4 bytes at a time: odd sizes; 16: multiples of 4; both: A aligned, B not.
  check_transpositions({67, 66, 35, 1, 3, 2, real(0.5)}, plan(cuda::GemmTile::medium));
  check_transpositions({68, 36, 52, 2}, plan(cuda::GemmTile::medium));
  check_plan({68, 9, 20}, plan(cuda::GemmTile::medium), false, false);
  check_plan({8, 8, 16, 1, 0, 1, 0, 1}, plan(cuda::GemmTile::medium), false, false);
  check_plan({1, 1, 1}, plan(cuda::GemmTile::medium), true, true);
  check_plan({3, 20, 0, 1, 0, 1, real(0.5)}, plan(cuda::GemmTile::medium), false, false);
  check_transpositions({132, 136, 20}, plan(cuda::GemmTile::large));
  check_plan({129, 131, 17, 1, 0, real(-1), 1}, plan(cuda::GemmTile::large), false, true);
  check_transpositions({130, 7, 21}, plan(cuda::GemmTile::narrow));
  check_plan({128, 16, 16}, plan(cuda::GemmTile::narrow), true, false);
}

TEST_CASE("cuda gemm: the size of the tile does not change a bit") {
  for (const bool transpose_b : {false, true}) {
    const Product product({132, 20, 40}, false, transpose_b);
    const auto with = [&](cuda::GemmTile tile) {
      return product.on_device({cuda::GemmVersion::register_block, tile});
    };
    CHECK(with(cuda::GemmTile::large) == with(cuda::GemmTile::medium));
  }
}

TEST_CASE("cuda gemm: splits of k are added in their order") {
  cuda::GemmPlan plan = kMediumBlock;
  plan.splits = 5;
  check_plan({9, 33, 150, 2, 0, real(0.5), 2}, plan, true, false);
  check_plan({9, 33, 70, 1, 2}, plan, false, true);  // fewer splits than asked for
  plan.splits = 19;                                  // more than one round of the adding threads
  check_plan({4, 4, 320}, plan, true, false);
}

TEST_CASE("cuda gemm: tensor cores are as exact as TF32") {
  if (sizeof(real) == 8) return;
  for (const cuda::GemmTile tile : {cuda::GemmTile::medium, cuda::GemmTile::large}) {
    const cuda::GemmPlan plan{cuda::GemmVersion::tensor_cores, tile};
    check_transpositions({68, 44, 36, 1, 0, 2, real(0.5)}, plan, 1e-3);
    check_plan({67, 130, 19, 1, 1}, plan, false, true, 1e-3);
  }
  check_plan({20, 24, 200, 2}, {cuda::GemmVersion::tensor_cores, cuda::GemmTile::medium, 3}, true,
             false, 1e-3);
}

TEST_CASE("cuda gemm: the plan suits the shape and depends on nothing else") {
  using cuda::GemmTile;
  using cuda::GemmVersion;
  const auto plan = [](std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t k,
                       bool tensor_cores) {
    cuda::GemmCall call;
    call.batch = batch;
    call.m = m;
    call.n = n;
    call.k = k;
    return cuda::gemm_plan(call, tensor_cores);
  };
  CHECK(plan(1280, 8, 8, 144, false).version == GemmVersion::shared_tile);
  CHECK(plan(1, 4096, 4096, 512, false).tile == GemmTile::large);
  CHECK(plan(1, 4096, 4096, 512, false).version == GemmVersion::register_block);
  CHECK(plan(1, 4096, 4096, 512, true).version == GemmVersion::tensor_cores);
  CHECK(plan(1, 100000, 8, 128, true).version == GemmVersion::register_block);
  CHECK(plan(1, 100000, 8, 128, true).tile == GemmTile::narrow);
  CHECK(plan(1, 100000, 8, 128, true).splits == 1);
  CHECK(plan(1, 64, 64, 50000, false).splits == 195);
  CHECK(plan(1, 400, 400, 50000, false).splits == 5);
  CHECK(plan(1, 1600, 192, 2048, false).splits == 3);
  // 150 tiles: some multiprocessors would have two of them, most one.
  CHECK(plan(2, 1600, 192, 2048, false).splits == 5);
  CHECK(plan(2, 1600, 192, 2048, true).splits == 1);
  CHECK(plan(2, 1600, 192, 256, false).splits == 1);
}

TEST_CASE("cuda gemm: gemm and gemm_batched") {
  const Product one({33, 30, 300, 1, 2, real(0.5), 2}, true, false);
  const cuda::GemmCall& s = one.call;
  const Values product = run_repeatedly([&] {
    const DeviceValues a(one.a), b(one.b), c(one.c);
    cuda::gemm(true, false, s.m, s.n, s.k, s.alpha, a.data(), s.lda, b.data(), s.ldb, s.beta,
               c.data(), s.ldc);
    return c.values();
  });
  CHECK(relative_error(product, one.on_cpu()) <= kForwardTolerance);

  const Product many({5, 18, 7, 3}, false, true);
  const Values products = run_repeatedly([&] {
    const DeviceValues a(many.a), b(many.b), c(many.c);
    cuda::gemm_batched(3, false, true, 5, 18, 7, 1, a.data(), 5 * 7, b.data(), 18 * 7, 0, c.data(),
                       5 * 18);
    return c.values();
  });
  CHECK(relative_error(products, many.on_cpu()) <= kForwardTolerance);
}

TEST_CASE("cuda gemm: a second matrix B that lies anywhere") {
  for (const std::int64_t size : {std::int64_t{5}, std::int64_t{36}}) {
    const Product first({size, size, size}, false, true);
    const Values other = random_values(size * size, 77);
    cuda::GemmCall call = first.call;
    call.batch = 2;
    call.stride_a = 0;  // one A for both
    call.stride_c = size * size;
    const auto got = [&](cuda::GemmPlan plan) {
      return run_repeatedly([&] {
        const DeviceValues a(first.a), c(Values(static_cast<std::size_t>(2 * size * size)));
        const DeviceValues b(first.b), b2(other);
        cuda::GemmCall there = call;
        there.a = a.data();
        there.b = b.data();
        there.second_b = b2.data();
        there.c = c.data();
        cuda::run_gemm(there, plan);
        return c.values();
      });
    };
    Values expected(static_cast<std::size_t>(2 * size * size));
    for (int i = 0; i < 2; ++i) {
      cpu::gemm(false, true, size, size, size, 1, first.a.data(), size,
                i == 0 ? first.b.data() : other.data(), size, 0, &expected[i * size * size], size);
    }
    const auto error = [&](cuda::GemmVersion version, std::int64_t splits) {
      return relative_error(got({version, cuda::GemmTile::medium, splits}), expected);
    };
    CHECK(error(cuda::GemmVersion::plain, 1) <= kForwardTolerance);
    CHECK(error(cuda::GemmVersion::shared_tile, 1) <= kForwardTolerance);
    CHECK(error(cuda::GemmVersion::register_block, 1) <= kForwardTolerance);
    CHECK(error(cuda::GemmVersion::register_block, 2) <= kForwardTolerance);
    if (sizeof(real) == 4) CHECK(error(cuda::GemmVersion::tensor_cores, 1) <= 1e-3);
  }
}

TEST_CASE("cuda gemm: empty matrices launch nothing, an empty k scales C") {
  const DeviceValues c(random_values(6, 1));
  const Values before = c.values();
  cuda::gemm(false, false, 0, 3, 2, 1, nullptr, 2, c.data(), 3, 0, c.data(), 3);
  cuda::gemm_batched(0, false, false, 2, 3, 2, 1, nullptr, 0, nullptr, 0, 0, c.data(), 0);
  CHECK(c.values() == before);
  cuda::gemm(false, false, 2, 3, 0, 1, nullptr, 1, nullptr, 3, 2, c.data(), 3);
  for (std::size_t i = 0; i < 6; ++i) CHECK(c.values()[i] == 2 * before[i]);
}

TEST_CASE("cuda gemm: more matrices than a grid holds") {
  const std::int64_t batch = 65537;
  const Values values(static_cast<std::size_t>(batch), 3);
  const DeviceValues a(values), b(values), c(values.size());
  const cuda::GemmCall call{false,    false,    batch, 1, 1, 1, 1, 0, a.data(),
                            b.data(), c.data(), 1,     1, 1, 1, 1, 1};
  cuda::run_gemm(call, {cuda::GemmVersion::plain});
  CHECK(c.values() == Values(values.size(), 9));
}

TEST_CASE("cuda gemm: in TF32 mode large products go to the tensor cores") {
  if (sizeof(real) == 8) return;
  const Product product({40, 36, 64}, false, false);
  const cuda::GemmCall& s = product.call;
  cuda::set_float32_math(Float32Math::tf32);
  const DeviceValues a(product.a), b(product.b), c(product.c);
  cuda::gemm(false, false, s.m, s.n, s.k, 1, a.data(), s.lda, b.data(), s.ldb, 0, c.data(), s.ldc);
  cuda::set_float32_math(Float32Math::exact);
  const double error = relative_error(c.values(), product.on_cpu());
  CHECK(error <= 1e-3);
  CHECK(error > 1e-5);  // or it was not TF32
}

TEST_CASE("cuda gemm: cuBLAS gives the same or says why not") {
  std::string reason;
  const Product product({33, 30, 40, 1, 2, real(0.5), 2}, true, false);
  const cuda::GemmCall& s = product.call;
  const DeviceValues a(product.a), b(product.b), c(product.c);
  const auto multiply = [&] {
    cuda::gemm_cublas(true, false, s.m, s.n, s.k, s.alpha, a.data(), s.lda, b.data(), s.ldb, s.beta,
                      c.data(), s.ldc);
  };
  if (!cuda::cublas_available(&reason)) {
    CHECK(!reason.empty());
    CHECK_THROWS(multiply());
    return;
  }
  multiply();
  CHECK(relative_error(c.values(), product.on_cpu()) <= kForwardTolerance);

  const Product many({5, 18, 7, 3}, false, true);
  const DeviceValues many_a(many.a), many_b(many.b), many_c(many.c);
  cuda::gemm_batched_cublas(3, false, true, 5, 18, 7, 1, many_a.data(), 5 * 7, many_b.data(),
                            18 * 7, 0, many_c.data(), 5 * 18);
  CHECK(relative_error(many_c.values(), many.on_cpu()) <= kForwardTolerance);
}
