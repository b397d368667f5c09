// Elements chosen by number on the device. No atomic additions: where several k add to one element,
// one thread adds them in the order of k, so that the bits are those of the host.

#include "kernels/elementwise/index.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

__global__ void __launch_bounds__(kLoopThreads)
    select_rows(GlobalPointer<real> y, GlobalPointer<const real> x,
                GlobalPointer<const std::int64_t> indices, IndexShape s, std::int64_t elements) {
  for (std::int64_t at = loop_begin(); at < elements; at += grid_stride()) {
    const std::int64_t row = at / s.inner, o = row / s.count;
    const std::int64_t from = indices[row - o * s.count];
    const real value = x[(o * s.axis + from) * s.inner + (at - row * s.inner)];
    y[at] = value;
  }
}

/// The k that name one index: positions[begin .. end), ascending.
struct Group {
  std::int64_t index, begin, end;
};

std::vector<Group> grouped(const std::int64_t* indices, std::vector<std::int64_t>& positions) {
  std::iota(positions.begin(), positions.end(), 0);
  std::stable_sort(positions.begin(), positions.end(),
                   [&](std::int64_t a, std::int64_t b) { return indices[a] < indices[b]; });
  std::vector<Group> groups;
  for (std::int64_t p = 0; p < std::ssize(positions); ++p) {
    const std::int64_t index = indices[positions[static_cast<std::size_t>(p)]];
    if (groups.empty() || groups.back().index != index) groups.push_back({index, p, p});
    groups.back().end = p + 1;
  }
  return groups;
}

/// One thread per element of x that is named at all.
__global__ void __launch_bounds__(kLoopThreads)
    add_rows(GlobalPointer<real> dx, GlobalPointer<const real> dy,
             GlobalPointer<const Group> groups, GlobalPointer<const std::int64_t> positions,
             IndexShape s, std::int64_t group_count, std::int64_t elements) {
  for (std::int64_t at = loop_begin(); at < elements; at += grid_stride()) {
    const std::int64_t row = at / s.inner, o = row / group_count, i = at - row * s.inner;
    const Group group = groups[row - o * group_count];
    const std::int64_t to = (o * s.axis + group.index) * s.inner + i;
    real total = dx[to];
    for (std::int64_t p = group.begin; p < group.end; ++p) {
      const std::int64_t k = positions[p];
      total += dy[(o * s.count + k) * s.inner + i];
    }
    dx[to] = total;
  }
}

__global__ void __launch_bounds__(kLoopThreads)
    gather(GlobalPointer<real> y, GlobalPointer<const real> x,
           GlobalPointer<const std::int64_t> indices, IndexShape s, std::int64_t elements,
           bool add) {
  for (std::int64_t at = loop_begin(); at < elements; at += grid_stride()) {
    const std::int64_t row = at / s.inner, o = row / s.count, from = indices[at];
    const real value = x[(o * s.axis + from) * s.inner + (at - row * s.inner)];
    if (add) {
      y[at] += value;
    } else {
      y[at] = value;
    }
  }
}

/// One thread per column.
__global__ void __launch_bounds__(kLoopThreads)
    scatter_columns(GlobalPointer<real> y, GlobalPointer<const real> x,
                    GlobalPointer<const std::int64_t> indices, IndexShape s, std::int64_t columns) {
  for (std::int64_t column = loop_begin(); column < columns; column += grid_stride()) {
    const std::int64_t o = column / s.inner, i = column - o * s.inner;
    for (std::int64_t k = 0; k < s.count; ++k) {
      const std::int64_t at = (o * s.count + k) * s.inner + i, to = indices[at];
      const real value = x[at];
      y[(o * s.axis + to) * s.inner + i] += value;
    }
  }
}

std::int64_t chosen(const IndexShape& s) { return s.outer * s.count * s.inner; }

void launch_gather(real* y, const real* x, const std::int64_t* indices, const IndexShape& s,
                   bool add) {
  const std::int64_t elements = chosen(s);
  if (elements == 0) return;
  const OnDevice<std::int64_t> uploaded(indices, elements);
  SERENADE_LAUNCH(gather, loop_grid(elements), dim3(kLoopThreads), 0, current_stream(), y, x,
                  uploaded.data(), s, elements, add);
}

}  // namespace

void index_select_forward(real* y, const real* x, const std::int64_t* indices,
                          const IndexShape& s) {
  const std::int64_t elements = chosen(s);
  if (elements == 0) return;
  const OnDevice<std::int64_t> uploaded(indices, s.count);
  SERENADE_LAUNCH(select_rows, loop_grid(elements), dim3(kLoopThreads), 0, current_stream(), y, x,
                  uploaded.data(), s, elements);
}

void index_select_backward(real* dx, const real* dy, const std::int64_t* indices,
                           const IndexShape& s) {
  if (chosen(s) == 0) return;
  std::vector<std::int64_t> positions(static_cast<std::size_t>(s.count));
  const std::vector<Group> groups = grouped(indices, positions);
  const auto group_count = static_cast<std::int64_t>(groups.size());
  const std::int64_t elements = s.outer * group_count * s.inner;
  const OnDevice<Group> groups_on_device(groups.data(), group_count);
  const OnDevice<std::int64_t> positions_on_device(positions.data(), s.count);
  SERENADE_LAUNCH(add_rows, loop_grid(elements), dim3(kLoopThreads), 0, current_stream(), dx, dy,
                  groups_on_device.data(), positions_on_device.data(), s, group_count, elements);
}

void gather_forward(real* y, const real* x, const std::int64_t* indices, const IndexShape& s) {
  launch_gather(y, x, indices, s, false);
}
void gather_add(real* y, const real* x, const std::int64_t* indices, const IndexShape& s) {
  launch_gather(y, x, indices, s, true);
}

void scatter_add(real* y, const real* x, const std::int64_t* indices, const IndexShape& s) {
  const std::int64_t columns = s.outer * s.inner;
  if (chosen(s) == 0) return;
  const OnDevice<std::int64_t> uploaded(indices, chosen(s));
  SERENADE_LAUNCH(scatter_columns, loop_grid(columns), dim3(kLoopThreads), 0, current_stream(), y,
                  x, uploaded.data(), s, columns);
}

}  // namespace serenade::cuda
