#include "kernels/runtime/async_copy.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/cuda_device.h"
#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

struct HostBlock {
  real* values = nullptr;
  explicit HostBlock(std::size_t count) {
    void* memory = nullptr;
    cuda::allocate_host(&memory, count * sizeof(real));
    values = static_cast<real*>(memory);
  }
  ~HostBlock() { cuda::release_host(values); }
};

constexpr std::size_t kCount = 1000;

}  // namespace

TEST_CASE("cuda async_copy: a copy to the device is there once it is used, again and again") {
  HostBlock host(kCount);
  const DeviceValues destination(kCount), read(kCount);
  AsyncCopyToDevice copy;
  cuda::end_copy_use(copy);
  for (int round = 1; round <= 3; ++round) {
    cuda::finish_copy_to_device(copy);
    std::fill(host.values, host.values + kCount, static_cast<real>(round));
    cuda::begin_copy_to_device(copy, destination.data(), host.values, kCount * sizeof(real));
    cuda::use_copy_to_device(copy);
    cuda::copy(read.data(), destination.data(), kCount);
    cuda::end_copy_use(copy);
    CHECK(read.values() == Values(kCount, static_cast<real>(round)));
  }
  cuda::release_copy_to_device(copy);
  CHECK(copy.state == nullptr);
  cuda::release_copy_to_device(copy);  // once more does no harm
}

TEST_CASE("cuda async_copy: the source may change when the copy is finished") {
  HostBlock host(kCount);
  std::fill(host.values, host.values + kCount, real(1));
  const DeviceValues destination(kCount);
  AsyncCopyToDevice copy;
  cuda::end_copy_use(copy);
  cuda::begin_copy_to_device(copy, destination.data(), host.values, kCount * sizeof(real));
  cuda::finish_copy_to_device(copy);
  std::fill(host.values, host.values + kCount, real(2));
  cuda::use_copy_to_device(copy);
  CHECK(destination.values() == Values(kCount, 1));
  cuda::release_copy_to_device(copy);
}

TEST_CASE("cuda async_copy: a destination in use is not filled") {
  HostBlock host(kCount);
  const DeviceValues destination(kCount);
  AsyncCopyToDevice copy;
  CHECK_THROWS_AS(cuda::begin_copy_to_device(copy, destination.data(), host.values, 8),
                  std::logic_error);
  cuda::end_copy_use(copy);
  cuda::begin_copy_to_device(copy, destination.data(), host.values, 8);
  CHECK_THROWS_AS(cuda::begin_copy_to_device(copy, destination.data(), host.values, 8),
                  std::logic_error);
  cuda::release_copy_to_device(copy);
}

TEST_CASE("cuda async_copy: a copy to the host holds what was there when it was begun") {
  const DeviceValues x(Values{1, 2, 3});
  std::vector<AsyncCopyToHost> downloads(4);
  for (int i = 0; i < 4; ++i) {
    cuda::fill(x.data(), static_cast<real>(10 + i), 3);
    cuda::begin_copy_to_host(downloads[i], x.data() + 1, sizeof(real));
  }
  cuda::abandon_copy_to_host(downloads[3]);
  for (int i = 2; i >= 0; --i) {
    real value = 0;
    cuda::finish_copy_to_host(downloads[i], &value, sizeof(real));
    CHECK(value == static_cast<real>(10 + i));
    CHECK(downloads[i].state == nullptr);
  }
}

TEST_CASE("cuda async_copy: there is memory to ask for") {
  std::size_t bytes = 0;
  cuda::free_memory(&bytes);
  CHECK(bytes > 0);
}

TEST_CASE("cuda async_copy: staged copies keep their order over many times the staging area") {
  const std::int64_t count = std::int64_t{1} << 20;
  const DeviceValues x(static_cast<std::size_t>(count)), last(static_cast<std::size_t>(count));
  for (int round = 0; round < 12; ++round) {
    const Values values(static_cast<std::size_t>(count), static_cast<real>(round));
    cuda::copy_to_device(x.data(), values.data(), values.size() * sizeof(real));
    cuda::copy(last.data(), x.data(), count);
  }
  CHECK(last.values() == Values(static_cast<std::size_t>(count), 11));
}
