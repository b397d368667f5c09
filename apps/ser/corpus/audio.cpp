// Sound files through libsndfile, sampling rates through libsoxr.

#include "apps/ser/corpus/audio.h"

#include <sndfile.h>
#include <soxr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>

#include "apps/ser/common/error.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

constexpr int kLowestRate = 1000;      // Hz; below and above, the header is taken for damaged
constexpr int kHighestRate = 1000000;  // Hz
constexpr int kMaxChannels = 64;

struct CloseSound {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using Sound = std::unique_ptr<SNDFILE, CloseSound>;

std::string error_text(int number) { return std::strerror(number); }

// Tells the usual impostors apart before libsndfile can only say "format not recognised".
void refuse_impostors(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    throw InputError(path + ": no such file; check the path, or get the recording");
  }
  if (fs::is_directory(status)) {
    throw InputError(path + ": is a folder; name a sound file in it");
  }
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) {
    throw IoError(path + ": cannot be opened: " + error_text(errno) + "; check its permissions");
  }
  std::array<char, 32> head{};
  const std::size_t got = std::fread(head.data(), 1, head.size(), file);
  std::fclose(file);
  const std::string_view text(head.data(), got);
  if (got == 0) throw InputError(path + ": is empty (0 bytes); get the recording again");
  if (text.starts_with("version https://git-lfs")) {
    throw InputError(path +
                     ": is a git-lfs pointer, not sound; run `git lfs pull` in its repository, or "
                     "download the file itself");
  }
  if (text.starts_with(std::string_view("\x00\x05\x16\x07", 4))) {
    throw InputError(path + ": is a macOS AppleDouble stub, not sound; use the file without `._`");
  }
}

Sound open_sound(const std::string& path, SF_INFO& info) {
  refuse_impostors(path);
  info = {};
  Sound sound(sf_open(path.c_str(), SFM_READ, &info));
  if (!sound) {
    throw InputError(path + ": not a sound file that can be read (" + sf_strerror(nullptr) +
                     "); convert it to WAV or FLAC, or get it again");
  }
  if (info.samplerate < kLowestRate || info.samplerate > kHighestRate || info.channels < 1 ||
      info.channels > kMaxChannels) {
    throw InputError(path + ": its header is damaged (" + std::to_string(info.samplerate) +
                     " Hz, " + std::to_string(info.channels) + " channels); get it again");
  }
  if (info.frames <= 0) throw InputError(path + ": holds no samples; record or get it again");
  return sound;
}

std::string format_name(int format) {
  std::string name;
  for (const int part : {format & SF_FORMAT_TYPEMASK, format & SF_FORMAT_SUBMASK}) {
    SF_FORMAT_INFO about{};
    about.format = part;
    if (sf_command(nullptr, SFC_GET_FORMAT_INFO, &about, sizeof about) != 0 || !about.name) {
      continue;
    }
    name += (name.empty() ? "" : ", ") + std::string(about.name);
  }
  return name;
}

AudioInfo info_of(const SF_INFO& info) {
  return {info.samplerate, info.channels, info.frames, format_name(info.format)};
}

// Frames [first, last) of the file, its channels averaged. Grows as it reads: a damaged header may
// promise more samples than the file or the memory can hold.
std::vector<float> read_mono(SNDFILE* sound, const SF_INFO& info, std::int64_t first,
                             std::int64_t last) {
  constexpr std::int64_t kChunk = 1 << 15;
  std::vector<float> mono;
  if (first > 0 && sf_seek(sound, first, SEEK_SET) != first) return mono;
  std::vector<float> chunk(kChunk * info.channels);
  while (first < last) {
    const sf_count_t got = sf_readf_float(sound, chunk.data(), std::min(kChunk, last - first));
    if (got <= 0) break;
    for (sf_count_t t = 0; t < got; ++t) {
      float sum = 0;
      for (int c = 0; c < info.channels; ++c) sum += chunk[t * info.channels + c];
      mono.push_back(sum / static_cast<float>(info.channels));
    }
    first += got;
  }
  return mono;
}

}  // namespace

AudioInfo probe_audio(const std::string& path) {
  SF_INFO info;
  open_sound(path, info);
  return info_of(info);
}

Audio read_audio(const std::string& path, int sample_rate, TimeRange range) {
  SF_INFO info;
  const Sound sound = open_sound(path, info);
  std::int64_t first = 0, last = info.frames;
  if (range.start > 0) first = std::llround(range.start * info.samplerate);
  if (range.end >= 0)
    last = std::min<std::int64_t>(last, std::llround(range.end * info.samplerate));
  if (first >= last) {
    throw InputError(path + ": the range from " + std::to_string(range.start) + " s to " +
                     (range.end < 0 ? "the end" : std::to_string(range.end) + " s") +
                     " holds no samples; the file lasts " +
                     std::to_string(info_of(info).seconds()) + " s");
  }
  Audio audio;
  audio.source = info_of(info);
  audio.sample_rate = sample_rate;
  audio.samples = read_mono(sound.get(), info, first, last);
  if (audio.samples.empty()) {
    throw InputError(path + ": its samples cannot be read (" + sf_strerror(sound.get()) +
                     "); get it again");
  }
  for (const float sample : audio.samples) {
    if (!std::isfinite(sample)) {
      throw InputError(path + ": holds samples that are not finite; write it again");
    }
  }
  audio.samples = resample(audio.samples, info.samplerate, sample_rate);
  for (float& sample : audio.samples) sample = std::clamp(sample, -1.0f, 1.0f);
  return audio;
}

std::vector<float> resample(const std::vector<float>& samples, int from_rate, int to_rate) {
  if (from_rate == to_rate || samples.empty()) return samples;
  const auto length = static_cast<std::size_t>(
      std::ceil(static_cast<double>(samples.size()) * to_rate / from_rate));
  std::vector<float> out(std::max<std::size_t>(1, length));
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
  std::size_t done = 0;
  const soxr_error_t error =
      soxr_oneshot(from_rate, to_rate, 1, samples.data(), samples.size(), nullptr, out.data(),
                   out.size(), &done, &io, &quality, &runtime);
  if (error) {
    throw std::runtime_error("resample: from " + std::to_string(from_rate) + " to " +
                             std::to_string(to_rate) + " Hz: " + soxr_strerror(error));
  }
  out.resize(std::max<std::size_t>(1, done));
  return out;
}

void write_wav(const std::string& path, const std::vector<float>& samples, int sample_rate) {
  SF_INFO info{};
  info.samplerate = sample_rate;
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  Sound sound(sf_open(path.c_str(), SFM_WRITE, &info));
  if (!sound) {
    throw IoError(path + ": cannot be written: " + sf_strerror(nullptr) +
                  "; check the folder and its permissions");
  }
  std::vector<short> quantised(samples.size());
  std::transform(samples.begin(), samples.end(), quantised.begin(), [](float sample) {
    return static_cast<short>(std::lrintf(std::clamp(sample, -1.0f, 1.0f) * 32767.0f));
  });
  const auto count = static_cast<sf_count_t>(quantised.size());
  const bool written = sf_writef_short(sound.get(), quantised.data(), count) == count;
  if (sf_close(sound.release()) != 0 || !written) {
    throw IoError(path + ": could not be written whole; is the disk full?");
  }
}

}  // namespace serenade::ser
