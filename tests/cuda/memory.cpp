#include "kernels/runtime/memory.h"

#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/cuda_device.h"
#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

TEST_CASE("cuda memory: what is copied to the device comes back") {
  const Values values = random_values(1000, 1);
  const DeviceValues x(values);
  CHECK(x.values() == values);
  const DeviceVector<std::uint8_t> bytes(std::vector<std::uint8_t>{1, 2, 3});
  CHECK(bytes.values() == std::vector<std::uint8_t>{1, 2, 3});
  const DeviceValues none(Values{});
  CHECK(none.values().empty());
}

TEST_CASE("cuda memory: a freed block serves the next request of its size") {
  { const DeviceValues x(12345); }
  const AllocationCounts before = cuda::allocation_counts();
  for (int i = 0; i < 3; ++i) const DeviceValues x(12345);
  CHECK(cuda::allocation_counts().system_blocks == before.system_blocks);
  CHECK(cuda::allocation_counts().used_bytes == before.used_bytes);
}

TEST_CASE("cuda memory: cleared and copied arrays") {
  const DeviceValues x(random_values(33, 2));
  cuda::clear(x.data(), 33 * sizeof(real));
  CHECK(x.values() == Values(33, 0));
  const std::int64_t labels[] = {3, 1, 2};
  const cuda::OnDevice<std::int64_t> uploaded(labels, 3);
  std::int64_t back[3] = {};
  cuda::copy_to_host(back, uploaded.data(), sizeof(back));
  CHECK(back[2] == 2);
  CHECK(cuda::OnDevice<std::int64_t>(nullptr, 3).data() == nullptr);
}

TEST_CASE("cuda memory: a captured graph runs its work each time, with new values") {
  CudaGraph graph;
  const DeviceValues x(Values(4, 0));
  for (int step = 1; step <= 3; ++step) {
    const Values values(4, static_cast<real>(step));
    cuda::run_captured(graph,
                       [&] { cuda::copy_to_device(x.data(), values.data(), 4 * sizeof(real)); });
    CHECK(x.values() == values);
  }
  CHECK(graph.built == 1);
  CHECK(graph.updated == 2);
  cuda::release_graph(graph);
}

TEST_CASE("cuda memory: zeroed blocks are zero, whatever lay there before") {
  const auto zeroed = [](std::size_t count) {
    void* memory = nullptr;
    cuda::allocate_zeroed(&memory, count * sizeof(real));
    return static_cast<real*>(memory);
  };
  const auto read = [](const real* x, std::size_t count) {
    Values host(count);
    cuda::copy_to_host(host.data(), x, count * sizeof(real));
    return host;
  };
  for (int round = 0; round < 3; ++round) {
    std::vector<real*> blocks;
    for (const std::size_t count : {1, 5, 300, 60000, 0, 60000, 20000, 200000}) {
      blocks.push_back(zeroed(count));
      CHECK(reinterpret_cast<std::uintptr_t>(blocks.back()) % 256 == 0);
      CHECK(read(blocks.back(), count) == Values(count, 0));
      cuda::fill(blocks.back(), 7, static_cast<std::int64_t>(count));
    }
    CHECK(read(blocks[2], 300) == Values(300, 7));
    if (round == 1) cuda::clear_zeroed_blocks_anew();
    for (real* block : blocks) cuda::release(block);
  }
}

TEST_CASE("cuda memory: zeroed blocks come back to be used again") {
  const auto take_many = [] {
    std::vector<void*> blocks(200);
    for (void*& block : blocks) cuda::allocate_zeroed(&block, 100000);
    cuda::clear_zeroed_blocks_anew();
    for (void* block : blocks) cuda::release(block);
  };
  take_many();
  const AllocationCounts before = cuda::allocation_counts();
  take_many();
  CHECK(cuda::allocation_counts().system_blocks == before.system_blocks);
  CHECK(cuda::allocation_counts().used_bytes == before.used_bytes);
}
