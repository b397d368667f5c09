#pragma once
// What `make bench-gpu` measures, and how a row looks.

#include <functional>
#include <string>
#include <vector>

#include "kernels/runtime/cuda_device.h"
#include "tests/bench/gpu/device_timing.h"
#include "tests/bench/gpu/peer_times.h"
#include "tests/bench/gpu/summary.h"

namespace serenade::bench {

/// The setting of a row: whose kernels, and how exact.
struct GpuMode {
  const char* name;  ///< "float32", "tf32"
  Float32Math math;
  ConvolutionLibrary library = ConvolutionLibrary::ours;

  void use() const {
    cuda::set_float32_math(math);
    cuda::set_convolution_library(library);
  }
};

inline constexpr GpuMode kFloat32{"float32", Float32Math::exact};
inline constexpr GpuMode kTf32{"tf32", Float32Math::tf32};

/// Rows printed as a Markdown table as they come, and written as JSON at the end.
class GpuReport {
 public:
  GpuReport();

  void heading(const std::string& title);
  /// flops, bytes: counted for the plain algorithm, each array once; the floor is the larger of the
  /// times that this device's measured peaks need for them. 0 flops and bytes: no floor is printed.
  void row(const std::string& item, const GpuMode& mode, double flops, double bytes,
           double microseconds, const std::vector<PeerTime>& peers);
  /// A number for the summary alone, which has a line for it: a whole search, say.
  void number(const NamedNumber& number) { numbers_.push_back(number); }
  /// The targets beside what the rows say.
  void print_summary() const;
  void write_json(const std::string& path) const;

 private:
  DevicePeaks peaks_;
  std::vector<std::string> records_;
  std::vector<MeasuredRow> rows_;
  std::vector<NamedNumber> numbers_;
};

void bench_convolutions(GpuReport& report);
void bench_recurrence(GpuReport& report);
void bench_layers(GpuReport& report, const PeerTimes& peers);
void bench_steps(GpuReport& report, const PeerTimes& peers);
/// Whole epochs over made data, what they mean for the study, and timelines as
/// `folder`/timeline_device.svg and timeline_host.svg. quick: a few small steps, for a first look.
void bench_epochs(GpuReport& report, const std::string& folder, bool quick);

}  // namespace serenade::bench
