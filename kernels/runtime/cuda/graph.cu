// Training steps as CUDA graphs. Capturing what a step launches and giving the arguments to the
// graph of the step before takes the host some microseconds per kernel; what it saves is the
// device's pause between one launch and the next, and with it most of the time of a small network.
//
// A search in the mode `sampling` runs other candidates at each step. Its graphs differ in kernels
// and arguments, which an update can change, and in a few patterns of what is a kernel, a copy or a
// clearing, which it cannot; so one graph is kept for each pattern.

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/cuda/runtime_check.h"
#include "kernels/runtime/cuda_device.h"

namespace serenade::cuda {

namespace {

using Pattern = std::vector<cudaGraphNodeType>;

struct KnownGraph {
  Pattern pattern;
  cudaGraphExec_t executable = nullptr;
};

constexpr std::size_t kMaxGraphs = 16;

// Most recently used first.
using KnownGraphs = std::vector<KnownGraph>;

// What `work` launches, as a graph.
cudaGraph_t capture(const std::function<void()>& work) {
  const cudaStream_t stream = current_stream();
  begin_capture();
  cudaGraph_t graph = nullptr;
  try {
    // Relaxed, so that memory may be taken from the system while the first step is captured.
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "capturing a graph");
    clear_zeroed_blocks_anew();
    work();
  } catch (...) {
    clear_zeroed_blocks_anew();  // what the capture was to clear never will be
    end_capture();
    cudaStreamEndCapture(stream, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();  // the exception tells what went wrong
    throw;
  }
  end_capture();
  check(cudaStreamEndCapture(stream, &graph), "capturing a graph");
  return graph;
}

Pattern pattern_of(cudaGraph_t graph) {
  std::size_t count = 0;
  check(cudaGraphGetNodes(graph, nullptr, &count), "reading a graph");
  std::vector<cudaGraphNode_t> nodes(count);
  check(cudaGraphGetNodes(graph, nodes.data(), &count), "reading a graph");
  Pattern pattern(count);
  for (std::size_t i = 0; i < count; ++i) {
    check(cudaGraphNodeGetType(nodes[i], &pattern[i]), "reading a graph");
  }
  return pattern;
}

bool update(cudaGraphExec_t executable, cudaGraph_t graph) {
  cudaGraphExecUpdateResultInfo result{};
  if (cudaGraphExecUpdate(executable, graph, &result) == cudaSuccess) return true;
  cudaGetLastError();  // not an error: the graphs differ more than their patterns
  return false;
}

// The executable for what was captured, moved to the front. Launches under way keep what they had.
cudaGraphExec_t executable_for(KnownGraphs& known, cudaGraph_t captured, CudaGraph& counts) {
  Pattern pattern = pattern_of(captured);
  const auto same = std::find_if(known.begin(), known.end(),
                                 [&](const KnownGraph& g) { return g.pattern == pattern; });
  if (same != known.end()) {
    if (update(same->executable, captured)) {
      ++counts.updated;
      std::rotate(known.begin(), same, same + 1);
      return known.front().executable;
    }
    cudaGraphExecDestroy(same->executable);
    known.erase(same);
  } else if (known.size() == kMaxGraphs) {
    cudaGraphExecDestroy(known.back().executable);
    known.pop_back();
  }
  cudaGraphExec_t executable = nullptr;
  check(cudaGraphInstantiate(&executable, captured, 0), "building a graph");
  ++counts.built;
  known.insert(known.begin(), {std::move(pattern), executable});
  return executable;
}

}  // namespace

void run_captured(CudaGraph& graph, const std::function<void()>& work) {
  const cudaGraph_t captured = capture(work);
  if (graph.state == nullptr) graph.state = new KnownGraphs;
  try {
    const cudaGraphExec_t executable =
        executable_for(*static_cast<KnownGraphs*>(graph.state), captured, graph);
    copy_captured_constants();
    check(cudaGraphLaunch(executable, current_stream()), "launching a graph");
  } catch (...) {
    cudaGraphDestroy(captured);
    throw;
  }
  cudaGraphDestroy(captured);
}

void release_graph(CudaGraph& graph) {
  auto* known = static_cast<KnownGraphs*>(graph.state);
  if (known == nullptr) return;
  for (const KnownGraph& each : *known) cudaGraphExecDestroy(each.executable);
  delete known;
  graph = {};
}

}  // namespace serenade::cuda
