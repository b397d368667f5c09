// Attention on the device.
//
// A block has kRows rows of one matrix, a warp for each, and goes over the other side's rows 32 at
// a time, one for each lane: in forward and for dq a row is a query and a lane a key, for dk and dv
// the other way round. What the lanes' rows hold passes through shared memory in pieces of kPiece
// numbers, read by all warps. A tile of 32 is two products of the row with the lanes' rows (E and V
// numbers long), a softmax over the warp, and a sum of the lanes' rows weighted by it. The results
// are kPiece columns per block, the grid's second axis has the others. Sums have one order: no
// atomics.
//
// For E = V = 64, a query and a key take 2 x 64 multiply-adds forward and 3 x 64 reads of shared
// memory, which are the limit; a version on tensor cores is the next step.

#include "kernels/attention/attention.h"

#include <algorithm>
#include <limits>

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

constexpr int kRows = 8;    // of a block, a warp for each
constexpr int kLanes = 32;  // rows of the other side in a tile
constexpr int kPiece = 64;  // numbers of a row at a time
constexpr int kThreads = 32 * kRows;
constexpr int kStride = kPiece + 1;    // between rows in shared memory: no two lanes meet in a bank
constexpr int kColumns = kPiece / 32;  // of the result, per lane
constexpr real kInfinity = std::numeric_limits<real>::infinity();

/// Rows of [rows, size], from `first` on.
struct Rows {
  GlobalPointer<const real> data;
  std::int64_t size, first, count;  // count: of rows there are, seen from the start
};

/// What a block shares.
struct Tile {
  SharedPointer<real> rows;   // [kRows, kStride]
  SharedPointer<real> lanes;  // [kLanes, kStride]
  int warp, lane;
};

__device__ __forceinline__ Tile tile_of(SharedPointer<real> rows, SharedPointer<real> lanes) {
  return {rows, lanes, static_cast<int>(threadIdx.x / 32), static_cast<int>(threadIdx.x % 32)};
}

/// Copies kPiece columns from `from` on of `height` rows to shared memory; zeros where none are.
__device__ __forceinline__ void copy_piece(SharedPointer<real> to, int height, const Rows& rows,
                                           std::int64_t from) {
  for (int i = static_cast<int>(threadIdx.x); i < height * kPiece; i += kThreads) {
    const std::int64_t row = rows.first + i / kPiece, column = from + i % kPiece;
    real value = 0;
    if (row < rows.count && column < rows.size) value = rows.data[row * rows.size + column];
    to[i / kPiece * kStride + i % kPiece] = value;
  }
}

/// This warp's row times this lane's row. Whole block; ends with a barrier.
__device__ __forceinline__ real product(const Tile& tile, const Rows& rows, const Rows& lanes) {
  real sum = 0;
  for (std::int64_t from = 0; from < rows.size; from += kPiece) {
    copy_piece(tile.rows, kRows, rows, from);
    copy_piece(tile.lanes, kLanes, lanes, from);
    __syncthreads();
    const int count = static_cast<int>(rows.size - from < kPiece ? rows.size - from : kPiece);
    for (int i = 0; i < count; ++i) {
      const real a = tile.rows[tile.warp * kStride + i], b = tile.lanes[tile.lane * kStride + i];
      sum += a * b;
    }
    __syncthreads();
  }
  return sum;
}

/// A lane's columns lane, lane + 32 of a piece of the result.
struct Columns {
  real value[kColumns] = {};
};

/// sum += weight of each lane times columns `from` .. of its row. Whole block; ends with a barrier.
__device__ __forceinline__ void add_weighted(Columns& sum, real weight, const Tile& tile,
                                             const Rows& lanes, std::int64_t from) {
  copy_piece(tile.lanes, kLanes, lanes, from);
  __syncthreads();
  for (int other = 0; other < kLanes; ++other) {
    const real w = __shfl_sync(0xFFFFFFFFu, weight, other);
    for (int c = 0; c < kColumns; ++c) {
      const real value = tile.lanes[other * kStride + tile.lane + 32 * c];
      sum.value[c] += w * value;
    }
  }
  __syncthreads();
}

/// Calls f(place in the row, place in Columns) for the columns from `from` on that there are.
template <class F>
__device__ __forceinline__ void for_each_column(const Tile& tile, std::int64_t from,
                                                std::int64_t size, F f) {
  for (int c = 0; c < kColumns; ++c) {
    const std::int64_t column = from + tile.lane + 32 * c;
    if (column < size) f(column, c);
  }
}

/// Where a block stands: its matrix, its first row there, the columns of the result it makes.
struct Place {
  std::int64_t matrix, first, columns;

  __device__ explicit Place(std::int64_t rows) {
    const std::int64_t tiles = (rows + kRows - 1) / kRows;
    matrix = blockIdx.x / tiles;
    first = blockIdx.x % tiles * kRows;
    columns = std::int64_t{blockIdx.y} * kPiece;
  }
};

__device__ __forceinline__ Rows rows_of(GlobalPointer<const real> data, std::int64_t matrix,
                                        std::int64_t count, std::int64_t size) {
  return {data + matrix * count * size, size, 0, count};
}

/// The score of a query and a key, out of q k^T; minus infinity where the query does not see it.
__device__ __forceinline__ real score_of(real product, GlobalPointer<const real> bias,
                                         std::int64_t matrix, std::int64_t query, std::int64_t key,
                                         const AttentionSizes& s) {
  if (query >= s.queries || key >= s.visible(query, 0, s.keys)) return -kInfinity;
  real score = product * s.scale;
  if (bias) {
    const real b = bias[s.bias_at(matrix, query) + key];
    score += b;
  }
  return score;
}

/// At least two blocks per multiprocessor: left to itself, the compiler aims at four and spills.
__global__ void __launch_bounds__(kThreads, 2)
    forward(GlobalPointer<real> y, GlobalPointer<real> log_sum, GlobalPointer<const real> q,
            GlobalPointer<const real> k, GlobalPointer<const real> v,
            GlobalPointer<const real> bias, AttentionSizes s) {
  SERENADE_SHARED(real, row_memory, [kRows * kStride]);
  SERENADE_SHARED(real, lane_memory, [kLanes * kStride]);
  const Tile tile = tile_of(row_memory, lane_memory);
  const Place at(s.queries);
  Rows queries = rows_of(q, at.matrix, s.queries, s.size);
  Rows keys = rows_of(k, at.matrix, s.keys, s.size);
  Rows values = rows_of(v, at.matrix, s.keys, s.value_size);
  queries.first = at.first;
  const std::int64_t query = at.first + tile.warp;
  const std::int64_t seen =
      s.visible(at.first + kRows - 1, 0, s.keys);  // of the block's last query
  real largest = -kInfinity, total = 0;
  Columns sum;
  for (std::int64_t from = 0; from < seen; from += kLanes) {
    keys.first = values.first = from;
    const real score =
        score_of(product(tile, queries, keys), bias, at.matrix, query, from + tile.lane, s);
    const real before = largest;
    largest = LargerOrNan{}(before, warp_reduce(score, 32, LargerOrNan{}));
    const bool none = largest == -kInfinity;
    const real p = none ? real(0) : exp(score - largest);
    const real kept = none ? real(1) : exp(before - largest);
    total = total * kept + warp_reduce(p, 32, Plus{});
    for (real& column : sum.value) column *= kept;
    add_weighted(sum, p, tile, values, at.columns);
  }
  if (query >= s.queries) return;
  const bool none = largest == -kInfinity;
  const std::int64_t row = at.matrix * s.queries + query;
  for_each_column(tile, at.columns, s.value_size, [&](std::int64_t column, int c) {
    y[row * s.value_size + column] = none ? real(0) : sum.value[c] / total;
  });
  if (at.columns == 0 && tile.lane == 0) log_sum[row] = none ? kInfinity : largest + log(total);
}

/// d[i] = sum of dy y over row i. A warp per row.
__global__ void __launch_bounds__(kThreads)
    row_products(GlobalPointer<real> d, GlobalPointer<const real> dy, GlobalPointer<const real> y,
                 std::int64_t rows, std::int64_t size) {
  const std::int64_t row = std::int64_t{blockIdx.x} * kRows + threadIdx.x / 32;
  const int lane = static_cast<int>(threadIdx.x % 32);
  real sum = 0;
  if (row < rows) {
    for (std::int64_t i = lane; i < size; i += 32) {
      const real a = dy[row * size + i], b = y[row * size + i];
      sum += a * b;
    }
  }
  sum = warp_reduce(sum, 32, Plus{});
  if (row < rows && lane == 0) d[row] = sum;
}

/// What both backward kernels read.
struct BackwardArrays {
  GlobalPointer<const real> dy, log_sum, d, q, k, v, bias;
};

/// The rows of one matrix of the batch.
struct BackwardRows {
  Rows queries, gradients, keys, values;

  __device__ __forceinline__ BackwardRows(const BackwardArrays& a, std::int64_t matrix,
                                          const AttentionSizes& s)
      : queries(rows_of(a.q, matrix, s.queries, s.size)),
        gradients(rows_of(a.dy, matrix, s.queries, s.value_size)),
        keys(rows_of(a.k, matrix, s.keys, s.size)),
        values(rows_of(a.v, matrix, s.keys, s.value_size)) {}

  __device__ __forceinline__ void from_query(std::int64_t first) {
    queries.first = gradients.first = first;
  }
  __device__ __forceinline__ void from_key(std::int64_t first) {
    keys.first = values.first = first;
  }
};

/// A probability, and the gradient of its score.
struct Probability {
  real value, gradient;
};

__device__ __forceinline__ Probability probability_of(real score, real d_value,
                                                      const BackwardArrays& a, std::int64_t matrix,
                                                      std::int64_t query, const AttentionSizes& s) {
  if (score == -kInfinity) return {0, 0};
  const real log_sum = a.log_sum[matrix * s.queries + query], d = a.d[matrix * s.queries + query];
  const real p = exp(score - log_sum);
  return {p, p * (d_value - d)};
}

__global__ void __launch_bounds__(kThreads)
    backward_queries(GlobalPointer<real> dq, BackwardArrays a, AttentionSizes s) {
  SERENADE_SHARED(real, row_memory, [kRows * kStride]);
  SERENADE_SHARED(real, lane_memory, [kLanes * kStride]);
  const Tile tile = tile_of(row_memory, lane_memory);
  const Place at(s.queries);
  BackwardRows of(a, at.matrix, s);
  of.from_query(at.first);
  const std::int64_t query = at.first + tile.warp;
  const std::int64_t seen = s.visible(at.first + kRows - 1, 0, s.keys);
  Columns sum;
  for (std::int64_t from = 0; from < seen; from += kLanes) {
    of.from_key(from);
    const real score =
        score_of(product(tile, of.queries, of.keys), a.bias, at.matrix, query, from + tile.lane, s);
    const real d_value = product(tile, of.gradients, of.values);
    const Probability p = probability_of(score, d_value, a, at.matrix, query, s);
    add_weighted(sum, p.gradient, tile, of.keys, at.columns);
  }
  if (query >= s.queries) return;
  const std::int64_t row = at.matrix * s.queries + query;
  for_each_column(tile, at.columns, s.size, [&](std::int64_t column, int c) {
    dq[row * s.size + column] += s.scale * sum.value[c];
  });
}

/// dk and dv may be null.
__global__ void __launch_bounds__(kThreads)
    backward_keys(GlobalPointer<real> dk, GlobalPointer<real> dv, BackwardArrays a,
                  AttentionSizes s) {
  SERENADE_SHARED(real, row_memory, [kRows * kStride]);
  SERENADE_SHARED(real, lane_memory, [kLanes * kStride]);
  const Tile tile = tile_of(row_memory, lane_memory);
  const Place at(s.keys);
  BackwardRows of(a, at.matrix, s);
  of.from_key(at.first);
  const std::int64_t key = at.first + tile.warp;
  Columns key_sum, value_sum;
  // The first query that may see the block's first key.
  const std::int64_t begin = s.causal ? at.first / kLanes * kLanes : 0;
  for (std::int64_t from = begin; from < s.queries; from += kLanes) {
    of.from_query(from);
    const std::int64_t query = from + tile.lane;
    const real dot = product(tile, of.keys, of.queries);
    const real score = key < s.keys ? score_of(dot, a.bias, at.matrix, query, key, s) : -kInfinity;
    const real d_value = product(tile, of.values, of.gradients);
    const Probability p = probability_of(score, d_value, a, at.matrix, query, s);
    if (dk) add_weighted(key_sum, p.gradient, tile, of.queries, at.columns);
    if (dv) add_weighted(value_sum, p.value, tile, of.gradients, at.columns);
  }
  if (key >= s.keys) return;
  const std::int64_t row = at.matrix * s.keys + key;
  if (dk) {
    for_each_column(tile, at.columns, s.size, [&](std::int64_t column, int c) {
      dk[row * s.size + column] += s.scale * key_sum.value[c];
    });
  }
  if (dv) {
    for_each_column(tile, at.columns, s.value_size, [&](std::int64_t column, int c) {
      dv[row * s.value_size + column] += value_sum.value[c];
    });
  }
}

/// A block for kRows rows of every matrix and kPiece columns of the result.
dim3 grid_for(std::int64_t batch, std::int64_t rows, std::int64_t columns) {
  const std::int64_t pieces = (columns + kPiece - 1) / kPiece;
  return dim3(static_cast<unsigned>(batch * ((rows + kRows - 1) / kRows)),
              static_cast<unsigned>(std::max<std::int64_t>(1, pieces)));
}

}  // namespace

void attention_forward(real* y, real* log_sum, const real* q, const real* k, const real* v,
                       const real* bias, const AttentionSizes& s) {
  if (s.batch == 0 || s.queries == 0) return;
  SERENADE_LAUNCH(forward, grid_for(s.batch, s.queries, s.value_size), dim3(kThreads), 0,
                  current_stream(), y, log_sum, q, k, v, bias, s);
}

void attention_backward(real* dq, real* dk, real* dv, const real* dy, const real* y,
                        const real* log_sum, const real* q, const real* k, const real* v,
                        const real* bias, const AttentionSizes& s) {
  const std::int64_t rows = s.batch * s.queries;
  if (rows == 0 || s.keys == 0) return;
  const DeviceArray<real> d(rows);
  SERENADE_LAUNCH(row_products, dim3(static_cast<unsigned>((rows + kRows - 1) / kRows)),
                  dim3(kThreads), 0, current_stream(), d.data(), dy, y, rows, s.value_size);
  const BackwardArrays arrays{dy, log_sum, d.data(), q, k, v, bias};
  if (dq != nullptr) {
    SERENADE_LAUNCH(backward_queries, grid_for(s.batch, s.queries, s.size), dim3(kThreads), 0,
                    current_stream(), dq, arrays, s);
  }
  if (dk != nullptr || dv != nullptr) {
    const std::int64_t columns =
        std::max(dk == nullptr ? 0 : s.size, dv == nullptr ? 0 : s.value_size);
    SERENADE_LAUNCH(backward_keys, grid_for(s.batch, s.keys, columns), dim3(kThreads), 0,
                    current_stream(), dk, dv, arrays, s);
  }
}

}  // namespace serenade::cuda
