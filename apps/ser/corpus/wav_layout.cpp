// The chunks of a WAV file, in one pass.

#include <algorithm>
#include <string_view>

#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "apps/ser/corpus/sound_layout.h"

namespace serenade::ser {

namespace {

constexpr std::int64_t kLongestFormat = 65536;        // bytes of a fmt chunk
constexpr std::uint32_t kUnknownLength = 0x7ffff000;  // what programs write that cannot go back
constexpr std::int64_t kLongestRiff = 0xffffffff;     // bytes that its header can promise
constexpr unsigned kPcm = 1, kFloat = 3, kExtensible = 0xfffe;

std::uint32_t number_at(std::string_view text, std::size_t at, int bytes) {
  std::uint32_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) {
    value = value << 8 | static_cast<unsigned char>(text[at + static_cast<std::size_t>(i)]);
  }
  return value;
}

std::string little_endian(std::uint32_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> 8 * i & 0xff);
  return bytes;
}

bool is_known_id(std::string_view id) {
  static constexpr std::string_view ids[] = {"fmt ", "data", "fact", "LIST", "bext",
                                             "cue ", "smpl", "JUNK", "PEAK", "iXML",
                                             "id3 ", "ID3 ", "inst", "PAD "};
  return std::find(std::begin(ids), std::end(ids), id) != std::end(ids);
}

class Wav {
 public:
  Wav(const std::string& path, const SoundBytes& bytes) : path_(path), bytes_(bytes) {}

  SoundLayout read() {
    const std::string head = bytes_.text(0, 12);
    if (head.size() < 12) refuse(0, "ends within its header; get it again");
    if (!head.ends_with("WAVE")) {
      refuse(8, "is RIFF, but not WAVE ('" + shown(head.substr(8)) + "'); convert it to WAV");
    }
    std::int64_t at = 12;
    for (int count = 1; at + 8 <= bytes_.size(); ++count) {
      if (count > kMostChunks) refuse_many(at);
      const std::string chunk = bytes_.text(at, 8);
      const std::string id = chunk.substr(0, 4);
      const std::int64_t length = number_at(chunk, 4, 4), left = bytes_.size() - at - 8;
      if (id == "data") return data(at + 8, number_at(chunk, 4, 4));
      if (length > left) {
        refuse(at, "its chunk '" + shown(id) + "' promises " + std::to_string(length) +
                       " bytes, and " + std::to_string(left) + " are left; get it again");
      }
      if (id == "fmt ") format(at + 8, length);
      at += 8 + length;
      // An odd chunk is followed by a zero; some programs forget it.
      if (length % 2 == 1 && !is_known_id(bytes_.text(at, 4))) ++at;
    }
    refuse(at, "has no data chunk, so no samples; get it again");
  }

 private:
  [[noreturn]] void refuse(std::int64_t at, const std::string& problem) const {
    throw InputError(path_ + ": " + problem + " (byte " + std::to_string(at) + ")");
  }

  // A file may be all holes, which cost no disk: to walk through its empty chunks would take hours.
  [[noreturn]] void refuse_many(std::int64_t at) const {
    refuse(at, "has more than " + std::to_string(kMostChunks) + " chunks; get it again");
  }

  void format(std::int64_t at, std::int64_t length) {
    if (length < 16 || length > kLongestFormat) {
      refuse(at, "its fmt chunk has " + std::to_string(length) +
                     " bytes, not 16 or more; get it again");
    }
    format_ = bytes_.text(at, length);
    tag_ = number_at(format_, 0, 2);
    const std::uint32_t channels = number_at(format_, 2, 2), rate = number_at(format_, 4, 4),
                        align = number_at(format_, 12, 2), bits = number_at(format_, 14, 2);
    if (channels < 1 || channels > kMostChannels) {
      refuse(at + 2, "says " + std::to_string(channels) + " channels; 1 to " +
                         std::to_string(kMostChannels) + " can be read");
    }
    if (rate < kLowestRate || rate > kHighestRate) {
      refuse(at + 4, "says " + std::to_string(rate) + " Hz; " + std::to_string(kLowestRate) +
                         " to " + std::to_string(kHighestRate) + " can be read");
    }
    if (tag_ == kExtensible) extension(at, bits);
    if (tag_ != kPcm && tag_ != kFloat) return;  // libsndfile knows what else there is
    const bool possible = tag_ == kPcm ? bits == 8 || bits == 16 || bits == 24 || bits == 32
                                       : bits == 32 || bits == 64;
    if (!possible) {
      refuse(at + 14, "says " + std::to_string(bits) + " bits per sample; " +
                          (tag_ == kPcm ? "integers of 8, 16, 24 or 32" : "floats of 32 or 64") +
                          " can be read; convert it");
    }
    if (align != channels * bits / 8) {
      refuse(at + 12, "says " + std::to_string(align) + " bytes per frame, where " +
                          std::to_string(channels) + " channels of " + std::to_string(bits) +
                          " bits take " + std::to_string(channels * bits / 8) + "; get it again");
    }
    align_ = align;
  }

  // WAVE_FORMAT_EXTENSIBLE: the tag is the beginning of a GUID, whose rest never changes.
  void extension(std::int64_t at, std::uint32_t bits) {
    static constexpr std::string_view kGuid(
        "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71", 14);
    if (format_.size() < 40) {
      refuse(at, "its extensible fmt chunk has " + std::to_string(format_.size()) +
                     " bytes, not 40; get it again");
    }
    if (std::string_view(format_).substr(26, 14) != kGuid) return;  // Ambisonic and others
    const std::uint32_t valid = number_at(format_, 18, 2);
    if (valid > bits) {
      refuse(at + 18, "says " + std::to_string(valid) + " valid bits of " + std::to_string(bits) +
                          "; get it again");
    }
    tag_ = number_at(format_, 24, 2);
  }

  SoundLayout data(std::int64_t begin, std::uint32_t promised) const {
    if (format_.empty()) refuse(begin - 8, "has no fmt chunk before its data; get it again");
    SoundLayout layout;
    const std::int64_t left = bytes_.size() - begin;
    std::int64_t length = promised;
    if ((promised == 0 && !only_chunks(begin)) ||
        (promised >= kUnknownLength && (promised > left || !ends_at(begin + length)))) {
      layout.remarks.push_back(
          "its length was never filled in, as in a stream: it is read to its end");
      length = left;
    }
    if (length > left) {
      const std::int64_t unit = std::max<std::int64_t>(1, align_);
      refuse(begin - 4, "is cut short: its header promises " + std::to_string(length / unit) +
                            (align_ > 0 ? " frames" : " bytes") + ", and " +
                            std::to_string(left / unit) + " are there; get it again");
    }
    const auto format_size = static_cast<std::int64_t>(format_.size());
    if (length + format_size + 20 > kLongestRiff) {  // libsndfile would be told a part of it
      refuse(begin - 4,
             "has more than 4 GiB of samples, more than WAV can hold; convert it to FLAC or W64");
    }
    if (align_ == 0) {
      layout.end = bytes_.size();
      return layout;
    }
    if (length == 0) throw InputError(path_ + ": holds no samples; record or get it again");
    if (length % align_ != 0) {
      layout.remarks.push_back("its data ends within a frame, which is left out");
      length -= length % align_;
    }
    const auto size = static_cast<std::uint32_t>(length);
    const auto format_bytes = static_cast<std::uint32_t>(format_size);
    layout.head = "RIFF" + little_endian(size + format_bytes + 20) + "WAVEfmt " +
                  little_endian(format_bytes) + format_ + "data" + little_endian(size);
    layout.begin = begin;
    layout.end = begin + length;
    return layout;
  }

  // Whether samples that end there can be all of them. A recording of 2 GiB or more has a length
  // that programs also write for an unknown one; what follows it tells the two apart.
  bool ends_at(std::int64_t end) const { return only_chunks(end) || only_chunks(end + end % 2); }

  // Whether whole chunks, and nothing else, lie between there and the end.
  bool only_chunks(std::int64_t at) const {
    for (int count = 1; at + 8 <= bytes_.size(); ++count) {
      if (count > kMostChunks) refuse_many(at);
      const std::string chunk = bytes_.text(at, 8);
      if (!is_known_id(std::string_view(chunk).substr(0, 4))) return false;
      const std::int64_t length = number_at(chunk, 4, 4);
      at += 8 + length + length % 2;
    }
    return at >= bytes_.size();
  }

  const std::string& path_;
  const SoundBytes& bytes_;
  std::string format_;
  unsigned tag_ = 0;
  std::int64_t align_ = 0;  // bytes per frame; 0: no plain samples
};

}  // namespace

SoundLayout wav_layout(const std::string& path, const SoundBytes& bytes) {
  return Wav(path, bytes).read();
}

}  // namespace serenade::ser
