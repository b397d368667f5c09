// Computing, storing and mapping the spectrograms of a corpus.
//
// A cache file: 64 bytes of header (magic, bins, frames, zeros), then bins x frames floats, row by
// row, in the machine's byte order.

#include "apps/ser/features/feature_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <ostream>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/parallel.h"
#include "apps/ser/corpus/audio.h"
#include "kernels/runtime/threads.h"
#include "tensor/files.h"
#include "tensor/fnv.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMagic = 0x3154414546524553;  // "SERFEAT1" on a little-endian machine
constexpr std::size_t kHeaderBytes = 64;              // keeps the floats aligned to a cache line

struct Header {
  std::uint64_t magic = kMagic;
  std::int64_t bins = 0;
  std::int64_t frames = 0;
  std::array<char, kHeaderBytes - 24> rest{};
};
static_assert(sizeof(Header) == kHeaderBytes);

// Names the recording as it is now: an edited file has another size or time, hence another name.
std::string cache_name(const Recording& recording, const FeatureSettings& settings) {
  std::error_code error;
  const fs::path path = fs::absolute(recording.path, error);
  Fnv hash;
  hash.add_text(path.lexically_normal().string());
  const std::uintmax_t size = fs::file_size(recording.path, error);
  const auto time = fs::last_write_time(recording.path, error).time_since_epoch().count();
  hash.add(&size, sizeof size);
  hash.add(&time, sizeof time);
  hash.add(&recording.range.start, sizeof recording.range.start);
  hash.add(&recording.range.end, sizeof recording.range.end);
  return settings_key(settings) + "-" + hash.hex() + ".features";
}

// Maps a cache file. Returns no values when it is absent or not what its header says.
Features map_file(const fs::path& path, std::int64_t bins) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  struct stat about {};
  const bool known = fstat(file, &about) == 0 && about.st_size > off_t{kHeaderBytes};
  const auto bytes = static_cast<std::size_t>(about.st_size);
  void* memory = known ? mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;
  close(file);
  if (memory == MAP_FAILED) return {};
  std::shared_ptr<const void> owner(
      memory, [bytes](const void* start) { munmap(const_cast<void*>(start), bytes); });
  Header header;
  std::memcpy(&header, memory, sizeof header);
  const std::uint64_t floats = (bytes - kHeaderBytes) / sizeof(float);
  if (header.magic != kMagic || header.bins != bins || header.frames < 1 ||
      static_cast<std::uint64_t>(header.frames) != floats / static_cast<std::uint64_t>(bins) ||
      bytes != kHeaderBytes + sizeof(float) * static_cast<std::uint64_t>(bins) *
                                  static_cast<std::uint64_t>(header.frames)) {
    return {};
  }
  const auto* values =
      reinterpret_cast<const float*>(static_cast<const char*>(memory) + kHeaderBytes);
  return {header.bins, header.frames, values, std::move(owner)};
}

void write_features(const fs::path& path, const Features& features) {
  Header header;
  header.bins = features.bins;
  header.frames = features.frames;
  const auto bytes = static_cast<std::streamsize>(features.bins * features.frames * sizeof(float));
  try {
    write_file(path.string(), [&](std::ostream& out) {
      out.write(reinterpret_cast<const char*>(&header), sizeof header);
      out.write(reinterpret_cast<const char*>(features.values), bytes);
    });
  } catch (const std::runtime_error& error) {
    throw IoError(std::string(error.what()) + "; free some space or choose another cache folder");
  }
}

Features compute(const std::vector<float>& samples, FrontEnd& front_end) {
  const auto count = static_cast<std::int64_t>(samples.size());
  Features features;
  features.bins = front_end.settings().rows();
  features.frames = frame_count(count, front_end.settings());
  auto values = std::make_shared<std::vector<float>>(features.bins * features.frames);
  front_end.run(samples.data(), count, values->data());
  features.values = values->data();
  features.owner = std::move(values);
  return features;
}

Features load_or_compute(const Recording& recording, const FeatureSettings& settings,
                         const fs::path& cache_folder) {
  const fs::path file =
      cache_folder.empty() ? fs::path() : cache_folder / cache_name(recording, settings);
  if (!file.empty()) {
    Features stored = map_file(file, settings.rows());
    if (stored.values) return stored;
  }
  FrontEnd front_end(settings);
  const Audio audio = read_audio(recording.path, kSampleRate, recording.range);
  Features features = compute(audio.samples, front_end);
  if (file.empty()) return features;
  write_features(file, features);
  // The mapped copy: what was computed can leave the memory.
  Features stored = map_file(file, settings.rows());
  return stored.values ? stored : features;
}

}  // namespace

std::vector<Features> extract_features(const Corpus& corpus, const FeatureSettings& settings,
                                       const ExtractOptions& options) {
  check_settings(settings);
  if (!options.cache_folder.empty()) make_folder(options.cache_folder);
  const auto total = static_cast<std::int64_t>(corpus.recordings.size());
  std::vector<Features> features(total);
  std::mutex mutex;
  std::int64_t done = 0;
  parallel_for(total, options.threads, [&](std::int64_t i) {
    features[i] = load_or_compute(corpus.recordings[i], settings, options.cache_folder);
    const std::lock_guard lock(mutex);
    ++done;
    if (options.progress) options.progress(done, total);
  });
  return features;
}

Features features_of(const std::vector<float>& samples, const FeatureSettings& settings) {
  FrontEnd front_end(settings, cpu::thread_count());
  return compute(samples, front_end);
}

}  // namespace serenade::ser
