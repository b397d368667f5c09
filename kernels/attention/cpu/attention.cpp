// Attention on the host.
//
// v0 is the definition. The version in use takes kQueries queries and kKeys keys at a time: their
// scores are one matrix product, 64 x 256 numbers that stay in the second-level cache, and so is
// what they add to the result. A matrix of the batch is one thread's work, whose order of sums does
// not depend on their number.

#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/attention/cpu/attention_simd.h"
#include "kernels/gemm/gemm.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(AttentionSimd, attention_simd);

namespace {

constexpr std::int64_t kQueries = 64, kKeys = 256;
constexpr std::int64_t kTile = kQueries * kKeys;
constexpr real kInfinity = std::numeric_limits<real>::infinity();

struct Tile {
  std::int64_t begin, count;
};

Tile tile_at(std::int64_t begin, std::int64_t most, std::int64_t end) {
  return {begin, std::min(most, end - begin)};
}

// One matrix of the batch.
struct Matrix {
  const real *q, *k, *v, *bias;
  const AttentionSizes& s;
  std::int64_t index;

  Matrix(const real* queries, const real* keys, const real* values, const real* biases,
         const AttentionSizes& sizes, std::int64_t i)
      : q(queries + i * sizes.queries * sizes.size),
        k(keys + i * sizes.keys * sizes.size),
        v(values + i * sizes.keys * sizes.value_size),
        bias(biases),
        s(sizes),
        index(i) {}

  // scores[i, j] = scale q_i k_j, for the queries and keys of two tiles.
  void scores(real* result, const Tile& queries, const Tile& keys) const {
    gemm(false, true, queries.count, keys.count, s.size, s.scale, q + queries.begin * s.size,
         s.size, k + keys.begin * s.size, s.size, 0, result, kKeys);
  }
  // How many of a tile's keys its last query sees: the one that sees most.
  std::int64_t visible(const Tile& queries, const Tile& keys) const {
    return s.visible(queries.begin + queries.count - 1, keys.begin, keys.begin + keys.count);
  }
  std::int64_t visible(std::int64_t query, const Tile& keys) const {
    return s.visible(query, keys.begin, keys.begin + keys.count);
  }
  const real* bias_row(std::int64_t query, const Tile& keys) const {
    return bias == nullptr ? nullptr : bias + s.bias_at(index, query) + keys.begin;
  }
};

// p: [kTile], working memory. y, log_sum: of this matrix.
void forward_tile(real* y, real* log_sum, real* p, const Matrix& m, const Tile& queries) {
  const std::int64_t V = m.s.value_size;
  const AttentionSimd& simd = attention_simd();
  RunningSoftmax rows[kQueries];
  std::fill_n(rows, queries.count, RunningSoftmax{-kInfinity, 0});
  std::fill_n(y + queries.begin * V, queries.count * V, real(0));
  for (std::int64_t from = 0; from < m.s.keys; from += kKeys) {
    const Tile keys = tile_at(from, kKeys, m.s.keys);
    if (m.visible(queries, keys) == 0) break;
    m.scores(p, queries, keys);
    for (std::int64_t i = 0; i < queries.count; ++i) {
      const std::int64_t query = queries.begin + i;
      const real before = simd.exponentials(p + i * kKeys, m.bias_row(query, keys),
                                            m.visible(query, keys), keys.count, rows[i]);
      if (before != 1) simd.scale(y + query * V, V, before);
    }
    gemm(false, false, queries.count, V, keys.count, 1, p, kKeys, m.v + keys.begin * V, V, 1,
         y + queries.begin * V, V);
  }
  for (std::int64_t i = 0; i < queries.count; ++i) {
    const bool sees = rows[i].largest != -kInfinity;
    log_sum[queries.begin + i] = sees ? rows[i].largest + std::log(rows[i].sum) : kInfinity;
    if (sees) simd.scale(y + (queries.begin + i) * V, V, 1 / rows[i].sum);
  }
}

// Where a matrix's gradients are added; null: not wanted.
struct MatrixGradients {
  real *dq, *dk, *dv;
};

// p, ds: [kTile], working memory; d: [L], sum dy y of each query.
void backward_tile(const MatrixGradients& to, real* p, real* ds, const real* d, const real* dy,
                   const real* log_sum, const Matrix& m, const Tile& queries, const Tile& keys) {
  const std::int64_t E = m.s.size, V = m.s.value_size, L = queries.count, S = keys.count;
  const real* dy_rows = dy + queries.begin * V;
  m.scores(p, queries, keys);
  gemm(false, true, L, S, V, 1, dy_rows, V, m.v + keys.begin * V, V, 0, ds, kKeys);
  for (std::int64_t i = 0; i < L; ++i) {
    const std::int64_t query = queries.begin + i;
    attention_simd().gradients(p + i * kKeys, ds + i * kKeys, m.bias_row(query, keys),
                               m.visible(query, keys), S, log_sum[query], d[query]);
  }
  if (to.dv != nullptr) {
    gemm(true, false, S, V, L, 1, p, kKeys, dy_rows, V, 1, to.dv + keys.begin * V, V);
  }
  if (to.dq != nullptr) {
    gemm(false, false, L, E, S, m.s.scale, ds, kKeys, m.k + keys.begin * E, E, 1,
         to.dq + queries.begin * E, E);
  }
  if (to.dk != nullptr) {
    gemm(true, false, S, E, L, m.s.scale, ds, kKeys, m.q + queries.begin * E, E, 1,
         to.dk + keys.begin * E, E);
  }
}

bool is_empty(const AttentionSizes& s) { return s.batch == 0 || s.queries == 0; }

std::int64_t work_of(const AttentionSizes& s) { return s.queries * s.keys * (s.size + 8); }

}  // namespace

void attention_forward_v0_plain(real* y, real* log_sum, const real* q, const real* k, const real* v,
                                const real* bias, const AttentionSizes& s) {
  std::vector<double> scores(static_cast<std::size_t>(s.keys));
  for (std::int64_t b = 0; b < s.batch; ++b) {
    for (std::int64_t i = 0; i < s.queries; ++i) {
      const real* query = q + (b * s.queries + i) * s.size;
      real* result = y + (b * s.queries + i) * s.value_size;
      const std::int64_t seen = s.visible(i, 0, s.keys);
      double largest = -std::numeric_limits<double>::infinity();
      for (std::int64_t j = 0; j < seen; ++j) {
        const real* key = k + (b * s.keys + j) * s.size;
        double sum = 0;
        for (std::int64_t e = 0; e < s.size; ++e) sum += double(query[e]) * double(key[e]);
        scores[j] = sum * double(s.scale);
        if (bias != nullptr) scores[j] += double(bias[s.bias_at(b, i) + j]);
        largest = std::max(largest, scores[j]);
      }
      std::fill_n(result, s.value_size, real(0));
      log_sum[b * s.queries + i] = kInfinity;
      if (!(largest > -std::numeric_limits<double>::infinity())) continue;
      double total = 0;
      for (std::int64_t j = 0; j < seen; ++j) total += std::exp(scores[j] - largest);
      for (std::int64_t c = 0; c < s.value_size; ++c) {
        double sum = 0;
        for (std::int64_t j = 0; j < seen; ++j) {
          const double value = double(v[(b * s.keys + j) * s.value_size + c]);
          sum += std::exp(scores[j] - largest) / total * value;
        }
        result[c] = static_cast<real>(sum);
      }
      log_sum[b * s.queries + i] = static_cast<real>(largest + std::log(total));
    }
  }
}

void attention_forward(real* y, real* log_sum, const real* q, const real* k, const real* v,
                       const real* bias, const AttentionSizes& s) {
  if (is_empty(s)) return;
  std::vector<real> tiles(static_cast<std::size_t>(kTile * thread_count()));
  const std::int64_t tiles_of_queries = (s.queries + kQueries - 1) / kQueries;
  parallel_items(s.batch * tiles_of_queries, work_of(s) / tiles_of_queries, [&](std::int64_t i) {
    const std::int64_t b = i / tiles_of_queries;
    forward_tile(y + b * s.queries * s.value_size, log_sum + b * s.queries,
                 tiles.data() + kTile * thread_index(), Matrix(q, k, v, bias, s, b),
                 tile_at(i % tiles_of_queries * kQueries, kQueries, s.queries));
  });
}

void attention_backward(real* dq, real* dk, real* dv, const real* dy, const real* y,
                        const real* log_sum, const real* q, const real* k, const real* v,
                        const real* bias, const AttentionSizes& s) {
  if (is_empty(s)) return;
  std::vector<real> tiles(static_cast<std::size_t>(2 * kTile * thread_count()));
  std::vector<real> d(static_cast<std::size_t>(s.batch * s.queries));
  parallel_items(s.batch, work_of(s), [&](std::int64_t b) {
    const std::int64_t L = s.queries, S = s.keys, V = s.value_size;
    const Matrix m(q, k, v, bias, s, b);
    const MatrixGradients to{dq == nullptr ? nullptr : dq + b * L * s.size,
                             dk == nullptr ? nullptr : dk + b * S * s.size,
                             dv == nullptr ? nullptr : dv + b * S * V};
    real* p = tiles.data() + 2 * kTile * thread_index();
    for (std::int64_t i = b * L; i < (b + 1) * L; ++i) {
      d[i] = attention_simd().dot(dy + i * V, y + i * V, V);
    }
    for (std::int64_t from = 0; from < S; from += kKeys) {
      const Tile keys = tile_at(from, kKeys, S);
      for (std::int64_t first = 0; first < L; first += kQueries) {
        const Tile queries = tile_at(first, kQueries, L);
        if (m.visible(queries, keys) == 0) continue;
        backward_tile(to, p, p + kTile, d.data() + b * L, dy + b * L * V, log_sum + b * L, m,
                      queries, keys);
      }
    }
  });
}

}  // namespace serenade::cpu
