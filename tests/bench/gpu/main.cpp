// make bench-gpu: our CUDA kernels and training steps on this machine's GPU, beside the floor that
// counted operations and bytes set, cuDNN and PyTorch. Without a GPU it says so and ends well.
//
//   bench_gpu [--python python3] [--json build/bench_gpu.json] [--quick]
//
// --quick: the epochs over made data are small ones.

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/bench/gpu/items.h"

namespace serenade::bench {

GpuReport::GpuReport() : peaks_(measure_peaks()) {
  const CudaDevice& gpu = cuda::device();
  char date[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::localtime(&now));
  std::printf("%s, driver for CUDA %d.%d, built with CUDA %d.%d, %s\n\n", gpu.name.c_str(),
              gpu.driver_version / 1000, gpu.driver_version % 1000 / 10, gpu.runtime_version / 1000,
              gpu.runtime_version % 1000 / 10, date);
  std::printf("Peaks, measured: copying %.2f TB/s, float32 %.1f TFLOP/s, TF32 %.1f TFLOP/s.\n",
              peaks_.bytes_per_second * 1e-12, peaks_.float32_flops * 1e-12,
              peaks_.tf32_flops * 1e-12);
}

void GpuReport::heading(const std::string& title) {
  std::printf("\n### %s\n\n", title.c_str());
  std::printf("| item | mode | us | TFLOP/s | GB/s | share of the floor %% | peer, us | ratio |\n");
  std::printf("|---|---|---:|---:|---:|---:|---|---:|\n");
}

void GpuReport::row(const std::string& item, const GpuMode& mode, double flops, double bytes,
                    double microseconds, const std::vector<PeerTime>& peers) {
  const double peak = mode.math == Float32Math::tf32 ? peaks_.tf32_flops : peaks_.float32_flops;
  const double floor = 1e6 * std::max(flops / peak, bytes / peaks_.bytes_per_second);
  std::vector<PeerTime> shown;
  for (const PeerTime& peer : peers) {
    if (peer.microseconds > 0) shown.push_back(peer);
  }
  if (shown.empty()) shown.push_back({"", 0});
  for (const PeerTime& peer : shown) {
    std::printf("| %s | %s | %.1f |", item.c_str(), mode.name, microseconds);
    if (floor > 0) {
      std::printf(" %.2f | %.0f | %.0f |", flops / microseconds * 1e-6, bytes / microseconds * 1e-3,
                  100 * floor / microseconds);
    } else {
      std::printf(" | | |");
    }
    if (peer.microseconds > 0) {
      std::printf(" %s, %.1f | %.2f |\n", peer.name.c_str(), peer.microseconds,
                  peer.microseconds / microseconds);
    } else {
      std::printf(" | |\n");
    }
    std::ostringstream json;  // all strings are ours: none needs escaping
    json << "{\"item\": \"" << item << "\", \"mode\": \"" << mode.name << "\", \"peer\": \""
         << peer.name << "\", \"peer_version\": \"\", \"ours_ms\": " << microseconds * 1e-3
         << ", \"peer_ms\": " << peer.microseconds * 1e-3
         << ", \"ratio\": " << peer.microseconds / microseconds
         << ", \"floor_ms\": " << floor * 1e-3 << ", \"gpu\": \"" << cuda::device().name << "\"}";
    records_.push_back(json.str());
    rows_.push_back({item, mode.name, microseconds, peer.name, peer.microseconds});
  }
  std::fflush(stdout);
}

void GpuReport::print_summary() const {
  std::printf("\n### Targets\n\n%s", to_table(summarize(rows_, numbers_)).c_str());
}

void GpuReport::write_json(const std::string& path) const {
  std::ofstream file(path);
  file << "[";
  for (std::size_t i = 0; i < records_.size(); ++i) file << (i > 0 ? ",\n " : "\n ") << records_[i];
  file << "\n]\n";
  if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

}  // namespace serenade::bench

int main(int argc, char** argv) {
  using namespace serenade;
  std::string python, json;
  bool quick = false;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--quick") {
      quick = true;
    } else if (i + 1 < argc) {
      (option == "--python" ? python : json) = argv[++i];
    }
  }
  if (!cuda_device().usable) {
    std::printf("bench-gpu: nothing was run: %s\n", cuda_device().reason.c_str());
    return 0;
  }
  try {
    bench::GpuReport report;
    const bench::PeerTimes peers = bench::pytorch_times(python);
    bench::bench_convolutions(report);
    bench::bench_layers(report, peers);
    bench::bench_steps(report, peers);
    const std::string folder = std::filesystem::path(json).parent_path().string();
    bench::bench_epochs(report, folder.empty() ? "." : folder, quick);
    report.print_summary();
    if (!json.empty()) report.write_json(json);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench-gpu: %s\n", error.what());
    return 1;
  }
  return 0;
}
