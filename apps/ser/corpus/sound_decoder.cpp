#include "apps/ser/corpus/sound_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <regex>

#include "apps/ser/common/error.h"

namespace serenade::ser {

namespace {

// Louder floats are integers that were never divided, and not only a little over full scale.
constexpr float kIntegerScale = 100.0f;
constexpr const char* kIntegerRemark =
    "its floats are far beyond 1, as if they were integers: they are clipped to [-1, 1]; divide "
    "them by 32768 or what their scale is";
// No scale of integers is louder, and resampling what is not louder cannot overflow.
constexpr float kLoudest = 4294967296.0f;
// Silence in FLAC's usual blocks takes a byte for 341 frames. A file that holds more, and more than
// a minute, was made to fill the memory.
constexpr std::int64_t kMostFramesPerByte = 512, kAlwaysAllowedFrames = 1 << 20;
// What programs that write MP3 disagree on: one of its frames.
constexpr std::int64_t kMp3Tolerance = 1152;

constexpr std::size_t kBlock = 1 << 14;  // frames decoded at once

SF_VIRTUAL_IO callbacks() {
  SF_VIRTUAL_IO io{};
  io.get_filelen = [](void* file) { return sf_count_t{static_cast<LaidOutFile*>(file)->size()}; };
  io.seek = [](sf_count_t offset, int whence, void* file) {
    return sf_count_t{static_cast<LaidOutFile*>(file)->seek(offset, whence)};
  };
  io.read = [](void* to, sf_count_t count, void* file) {
    return sf_count_t{static_cast<LaidOutFile*>(file)->read(static_cast<char*>(to), count)};
  };
  io.tell = [](void* file) { return sf_count_t{static_cast<LaidOutFile*>(file)->at}; };
  return io;
}

std::string format_name(int format) {
  std::string name;
  for (const int part : {format & SF_FORMAT_TYPEMASK, format & SF_FORMAT_SUBMASK}) {
    SF_FORMAT_INFO about{};
    about.format = part;
    // It has no name for 20 bit DWVW, for one.
    if (sf_command(nullptr, SFC_GET_FORMAT_INFO, &about, sizeof about) != 0) continue;
    name += (name.empty() ? "" : ", ") + std::string(about.name);
  }
  return name;
}

}  // namespace

std::int64_t LaidOutFile::size() const {
  return static_cast<std::int64_t>(layout->head.size()) + layout->end - layout->begin;
}

std::int64_t LaidOutFile::read(char* to, std::int64_t count) {
  const auto head = static_cast<std::int64_t>(layout->head.size());
  std::int64_t done = 0;
  if (at < head) {
    done = std::min(count, head - at);
    layout->head.copy(to, static_cast<std::size_t>(done), static_cast<std::size_t>(at));
  }
  const std::int64_t rest = std::min(count, size() - at) - done;
  if (rest > 0) {
    const std::int64_t got = bytes->read(layout->begin + at + done - head, to + done, rest);
    failed = failed || got < 0;
    done += std::max<std::int64_t>(0, got);
  }
  at += done;
  return done;
}

std::int64_t LaidOutFile::seek(std::int64_t offset, int whence) {
  if (whence == SEEK_END && to_the_end) return -1;
  const std::int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? at : size();
  if (offset < -from || offset > std::numeric_limits<std::int64_t>::max() - from) return -1;
  return at = from + offset;
}

SoundDecoder::SoundDecoder(const std::string& path, SoundSource source)
    : path_(path), bytes_(path, source), layout_(sound_layout(path, bytes_)) {
  open();
  mp3_ = (info_.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_MPEG;
  if (mp3_) {  // its length may be an estimate from the size of the file, unless that is not told
    laid_out_.to_the_end = true;
    open();
  }
  // libsndfile itself refuses less than one channel.
  if (info_.samplerate < kLowestRate || info_.samplerate > kHighestRate ||
      info_.channels > kMostChannels) {
    refuse("its header says " + std::to_string(info_.samplerate) + " Hz and " +
           std::to_string(info_.channels) + " channels; 1 to " + std::to_string(kMostChannels) +
           " channels of " + std::to_string(kLowestRate) + " to " + std::to_string(kHighestRate) +
           " Hz can be read");
  }
  if (info_.frames <= 0) refuse("holds no samples; record or get it again");
  check_log();
}

void SoundDecoder::refuse(const std::string& problem) const {
  throw InputError(path_ + ": " + problem);
}

AudioInfo SoundDecoder::info(std::int64_t frames) const {
  AudioInfo info = {info_.samplerate, info_.channels, frames, format_name(info_.format),
                    layout_.remarks};
  if (loudest_ > kIntegerScale) info.remarks.push_back(kIntegerRemark);
  return info;
}

std::vector<float> SoundDecoder::at_rate(const std::vector<float>& mono, int sample_rate) const {
  std::vector<float> samples = resample(mono, rate(), sample_rate);
  for (float& sample : samples) sample = std::clamp(sample, -1.0f, 1.0f);
  return samples;
}

std::int64_t SoundDecoder::most_frames() const {
  return std::max(kAlwaysAllowedFrames, bytes_.size() * kMostFramesPerByte);
}

std::int64_t SoundDecoder::decode(std::int64_t first, std::int64_t last, const Take& take) {
  last = std::min<std::int64_t>(last, info_.frames);
  if (length_known()) check_size(last);  // before anything is held
  std::int64_t at = 0;
  if (first > 0 && !mp3_) {
    if (sf_seek(sound_.get(), first, SEEK_SET) != first) {
      if (length_known()) refuse_damaged(first);
      return 0;
    }
    at = first;
  }
  std::vector<float> block(kBlock * static_cast<std::size_t>(info_.channels)), mono(kBlock);
  while (at < last) {
    const auto wanted = std::min<std::int64_t>(kBlock, last - at);
    const sf_count_t got = sf_readf_float(sound_.get(), block.data(), wanted);
    fault_ = std::max(fault_, sf_error(sound_.get()));  // the next reading forgets it
    if (got <= 0) break;
    check_size(at + got);
    average(block, got, mono);
    const std::int64_t skip = std::clamp<std::int64_t>(first - at, 0, got);
    if (skip < got) take(mono.data() + skip, got - skip);
    at += got;
  }
  check_end(at, last);
  return std::max<std::int64_t>(0, at - first);
}

void SoundDecoder::check_size(std::int64_t frames) const {
  if (frames <= most_frames()) return;
  refuse("would fill the memory: more than " + std::to_string(most_frames()) + " frames from " +
         std::to_string(bytes_.size()) + " bytes; convert it to WAV");
}

void SoundDecoder::open() {
  sound_.reset();
  info_ = {};
  laid_out_.at = 0;
  SF_VIRTUAL_IO io = callbacks();
  sound_.reset(sf_open_virtual(&io, SFM_READ, &info_, &laid_out_));
  check_system();
  if (!sound_) {
    refuse(std::string("not a sound file that can be read (") + sf_strerror(nullptr) +
           "); convert it to WAV or FLAC, or get it again");
  }
}

void SoundDecoder::check_system() const {
  if (laid_out_.failed) throw IoError(path_ + ": cannot be read to its end; check the disk");
}

void SoundDecoder::refuse_damaged(std::int64_t found) const {
  refuse("is damaged: its header promises " + std::to_string(info_.frames) + " frames, and " +
         std::to_string(found) + " were found; get it again");
}

std::string SoundDecoder::log() const {
  std::string text(1 << 14, '\0');
  const int length = sf_command(sound_.get(), SFC_GET_LOG_INFO, text.data(), 1 << 14);
  text.resize(static_cast<std::size_t>(std::max(0, length)));
  return text;
}

// Of a file that ends too early libsndfile tells only its log.
void SoundDecoder::check_log() const {
  static const std::regex pattern(R"(: (\d{1,18}) \(should be (\d{1,18})\))");
  std::smatch match;
  const std::string text = log();
  if (text.find("(should be ") == std::string::npos) return;
  if (std::regex_search(text, match, pattern) && std::stoll(match[1]) > std::stoll(match[2])) {
    refuse("is cut short: its header promises " + match[1].str() + " bytes, and " + match[2].str() +
           " are there; get it again");
  }
}

void SoundDecoder::check_end(std::int64_t at, std::int64_t last) const {
  check_system();
  if (length_known() && at + (mp3_ ? kMp3Tolerance : 0) < last) refuse_damaged(at);
  // Some of these were counted: the decoder of FLAC can put silence where a part is damaged.
  if (fault_ != SF_ERR_NO_ERROR) {
    refuse("is damaged or cut short: a part of its sound cannot be decoded; get it again");
  }
}

void SoundDecoder::average(const std::vector<float>& block, sf_count_t frames,
                           std::vector<float>& mono) {
  const auto channels = static_cast<std::size_t>(info_.channels);
  for (std::size_t t = 0; t < static_cast<std::size_t>(frames); ++t) {
    float sum = 0;
    for (std::size_t c = 0; c < channels; ++c) sum += block[t * channels + c];
    mono[t] = sum / static_cast<float>(channels);
    if (!(std::abs(mono[t]) <= kLoudest)) {
      refuse(std::isfinite(mono[t]) ? "holds samples that are too large for sound; write it again"
                                    : "holds samples that are not finite; write it again");
    }
    loudest_ = std::max(loudest_, std::abs(mono[t]));
  }
}

}  // namespace serenade::ser
