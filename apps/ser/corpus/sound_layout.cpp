#include "apps/ser/corpus/sound_layout.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "apps/ser/common/error.h"

namespace serenade::ser {

namespace {

// How files begin that are often taken for sound, or are sound that cannot be read.
struct Impostor {
  std::size_t at;
  std::string_view signature;
  const char* what;
};
constexpr const char* kLfs =
    "is a git-lfs pointer, not sound; run `git lfs pull` in its repository, or download the file "
    "itself";
constexpr const char* kDouble = "is a macOS AppleDouble stub, not sound; use the file without `._`";
constexpr const char* kPage = "is a web page, not sound; the download went wrong, get it again";
constexpr Impostor kImpostors[] = {
    {0, "version https://git-lfs", kLfs},
    {0, std::string_view("\x00\x05\x16\x07", 4), kDouble},
    {0, "<!DOCTYPE", kPage},
    {0, "<!doctype", kPage},
    {0, "<html", kPage},
    {4, "ftyp", "MPEG-4 (AAC, ALAC)"},
    {0, "ADIF", "AAC"},
    {0, "\xff\xf1", "AAC"},
    {0, "\xff\xf9", "AAC"},
    {0, "\x30\x26\xb2\x75", "Windows Media"},
    {0, "#!AMR", "AMR"},
    {0, "\x1a\x45\xdf\xa3", "Matroska or WebM"},
    {0, "wvpk", "WavPack"},
    {0, "MAC ", "Monkey's Audio"},
    {0, "TTA1", "TTA"},
    {0, "DSD ", "DSD"},
    {0, ".RMF", "RealAudio"},
};

void refuse_impostors(const std::string& path, std::string_view head) {
  if (head.empty()) throw InputError(path + ": is empty (0 bytes); get the recording again");
  for (const Impostor& impostor : kImpostors) {
    if (head.size() < impostor.at || !head.substr(impostor.at).starts_with(impostor.signature)) {
      continue;
    }
    const std::string what = impostor.what;
    if (what.starts_with("is ")) throw InputError(path + ": " + what);
    throw InputError(path + ": is " + what +
                     ", which cannot be read; convert it: ffmpeg -i FILE FILE.wav");
  }
}

std::int64_t big_endian(std::string_view bytes) {
  std::int64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::int64_t little_endian(std::string bytes) {
  std::reverse(bytes.begin(), bytes.end());
  return big_endian(bytes);
}

// Only the STREAMINFO block stays of the metadata: pictures and comments of any size would be read
// into memory, and would fill the log that libsndfile reports damage in.
SoundLayout flac_layout(const std::string& path, const SoundBytes& bytes, std::int64_t at) {
  constexpr std::int64_t kInfoBytes = 34;
  const std::string first = bytes.text(at + 4, 4 + kInfoBytes);
  if (static_cast<std::int64_t>(first.size()) < 4 + kInfoBytes || (first[0] & 0x7f) != 0 ||
      big_endian(std::string_view(first).substr(1, 3)) != kInfoBytes) {
    throw InputError(path + ": its FLAC header is damaged; get it again (byte " +
                     std::to_string(at + 4) + ")");
  }
  SoundLayout layout;
  layout.head = "fLaC" + first;
  layout.head[4] = static_cast<char>(0x80);  // the last block of metadata
  layout.begin = at + 4;
  layout.end = bytes.size();
  bool last = false;
  for (int count = 1; !last; ++count) {
    if (count > kMostChunks) {  // a file that is all holes has no end of them, and costs no disk
      throw InputError(path + ": has more than " + std::to_string(kMostChunks) +
                       " blocks of metadata; get it again (byte " + std::to_string(layout.begin) +
                       ")");
    }
    const std::string block = bytes.text(layout.begin, 4);
    if (block.size() < 4) throw InputError(path + ": ends within its FLAC header; get it again");
    last = (block[0] & 0x80) != 0;
    layout.begin += 4 + big_endian(std::string_view(block).substr(1));
  }
  if (layout.begin >= layout.end) throw InputError(path + ": holds no samples; get it again");
  return layout;
}

constexpr std::array<std::uint32_t, 256> ogg_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i << 24;
    for (int bit = 0; bit < 8; ++bit) value = value << 1 ^ (value >> 31) * 0x04c11db7;
    table[i] = value;
  }
  return table;
}

// The check sum of a page, in which its own four bytes count as zeros.
std::uint32_t ogg_sum(std::string page) {
  static constexpr std::array<std::uint32_t, 256> kTable = ogg_table();
  std::fill_n(page.begin() + 22, 4, '\0');
  std::uint32_t sum = 0;
  for (const char c : page) sum = sum << 8 ^ kTable[sum >> 24 ^ static_cast<unsigned char>(c)];
  return sum;
}

// Every page must be whole and every stream ended: libsndfile drops damaged pages without a word.
void check_ogg_pages(const std::string& path, const SoundBytes& bytes) {
  constexpr std::size_t kHeader = 27, kSum = 22;
  std::int64_t at = 0;
  const auto refuse = [&](const std::string& problem) {
    throw InputError(path + ": " + problem + "; get it again (byte " + std::to_string(at) + ")");
  };
  std::set<std::string> open;  // serial numbers of streams that have begun and not ended
  while (at < bytes.size()) {
    std::string page = bytes.text(at, kHeader);
    if (page.size() < kHeader || !page.starts_with("OggS")) {
      if (open.empty()) break;  // no part of the streams
      refuse(page.size() < kHeader ? "is cut short: its last page is not whole"
                                   : "is damaged: no page where the next one must be");
    }
    const auto segments = static_cast<unsigned char>(page.back());
    page += bytes.text(at + std::int64_t{kHeader}, segments);
    std::int64_t body = 0;
    for (std::size_t i = kHeader; i < page.size(); ++i) body += static_cast<unsigned char>(page[i]);
    page += bytes.text(at + std::int64_t{kHeader} + segments, body);
    if (static_cast<std::int64_t>(page.size()) < std::int64_t{kHeader} + segments + body) {
      refuse("is cut short: its last page is not whole");
    }
    if (little_endian(page.substr(kSum, 4)) != ogg_sum(page)) {
      refuse("is damaged: the check sum of a page is another one");
    }
    const bool begins = (page[5] & 2) != 0, ends = (page[5] & 4) != 0;
    const std::string serial = page.substr(14, 4);
    if (begins && at > 0 && open.empty()) {
      throw InputError(path +
                       ": holds several recordings in a row, of which only the first would "
                       "be read; convert it to WAV (byte " +
                       std::to_string(at) + ")");
    }
    if (begins) open.insert(serial);
    if (ends) open.erase(serial);
    at += static_cast<std::int64_t>(page.size());
  }
  if (!open.empty()) refuse("is cut short: its last page is missing");
}

}  // namespace

SoundLayout sound_layout(const std::string& path, const SoundBytes& bytes) {
  const std::string head = bytes.text(0, 64);
  refuse_impostors(path, head);
  if (head.starts_with("RIFF")) return wav_layout(path, bytes);
  if (head.starts_with("OggS")) check_ogg_pages(path, bytes);
  std::int64_t flac = 0;
  if (head.starts_with("ID3") && head.size() > 10) {  // four times seven bits
    for (int i = 6; i < 10; ++i) flac = flac << 7 | (head[static_cast<std::size_t>(i)] & 0x7f);
    flac += 10;
  }
  if (bytes.text(flac, 4) == "fLaC") return flac_layout(path, bytes, flac);
  SoundLayout layout;
  layout.end = bytes.size();
  return layout;
}

}  // namespace serenade::ser
