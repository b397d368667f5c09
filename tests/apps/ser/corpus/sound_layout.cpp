// Sound files of more bytes or chunks than there should be: most of them are holes.

#include "apps/ser/corpus/sound_layout.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>

#include "apps/ser/common/error.h"
#include "apps/ser/corpus/sound_decoder.h"
#include "tests/apps/ser/common/files.h"
#include "tests/apps/ser/corpus/wav_bytes.h"

namespace serenade::ser {

namespace {

// What becomes of a file that begins with these bytes and is zeros up to `size`, then `tail`.
struct HollowFile {
  std::string refusal;  // "" where there is a layout
  SoundLayout layout;
};
HollowFile hollow_file(const std::string& head, std::int64_t size, const std::string& tail = "") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.wav";
  write_text(path, head);
  std::filesystem::resize_file(path, static_cast<std::uintmax_t>(size));
  std::ofstream(path, std::ios::binary | std::ios::app) << tail;
  HollowFile file;
  const std::string message = message_of<InputError>(
      [&] { file.layout = sound_layout(path, SoundBytes(path, SoundSource::files)); });
  if (!message.empty()) file.refusal = message.substr(path.size() + 2);
  return file;
}

}  // namespace

TEST_CASE("sound layout: a WAV file beyond 4 GiB is never read in part") {
  constexpr std::int64_t kGiB = std::int64_t{1} << 30, kBegin = 44;
  const auto with = [](std::uint32_t promised) {
    return riff(format_chunk() + "data" + bytes_of(promised, 4));
  };
  const auto start = std::chrono::steady_clock::now();
  for (const std::uint32_t promised : {0U, 0xffffffffU, 0x7ffff000U, 0x7fffffffU}) {
    CAPTURE(promised);
    for (const std::int64_t size : {4 * kGiB + 8, 5 * kGiB, 1024 * kGiB}) {
      CHECK(hollow_file(with(promised), size).refusal ==
            "has more than 4 GiB of samples, more than WAV can hold; convert it to FLAC or W64 "
            "(byte 40)");
    }
    const HollowFile streamed = hollow_file(with(promised), 3 * kGiB);
    CHECK(streamed.refusal.empty());
    CHECK(streamed.layout.end == 3 * kGiB);
    CHECK(streamed.layout.remarks.size() == 1);
  }
  // The longest that a header can tell of: 36 bytes of the 0xffffffff are not samples.
  constexpr std::int64_t kLongest = 0xffffffff - 36 - 1;
  const HollowFile longest = hollow_file(with(0), kBegin + kLongest);
  CHECK(longest.refusal.empty());
  CHECK(longest.layout.head.substr(4, 4) == bytes_of(0xfffffffe, 4));
  CHECK(contains(hollow_file(with(0), kBegin + kLongest + 2).refusal, "more than 4 GiB"));
  // Beyond 2 GiB a length may also be meant as it stands.
  const HollowFile whole = hollow_file(with(0x80000000), kBegin + 2 * kGiB);
  CHECK(whole.layout.end == kBegin + 2 * kGiB);
  CHECK(whole.layout.remarks.empty());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("sound layout: what follows more than 2 GiB of samples is not read as samples") {
  constexpr std::int64_t kEnd = 44 + (std::int64_t{1} << 31);
  const HollowFile file = hollow_file(riff(format_chunk() + "data" + bytes_of(0x80000000, 4)), kEnd,
                                      chunk("LIST", "abcd"));
  CHECK(file.layout.end == kEnd);
  CHECK(file.layout.remarks.empty());
  // An odd number of bytes is followed by one that is no sample.
  const std::string odd =
      riff(format_chunk({.align = 1, .bits = 8}) + "data" + bytes_of(0x80000001, 4));
  for (const std::string& tail : {std::string(), chunk("LIST", "abcd")}) {
    const HollowFile padded = hollow_file(odd, kEnd + 2, tail);
    CHECK(padded.layout.end == kEnd + 1);
    CHECK(padded.layout.remarks.empty());
  }
}

TEST_CASE("sound layout: a file that ends or shrinks ends what is read of it") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.wav";
  write_text(path, "0123456789");
  const SoundBytes bytes(path, SoundSource::files);
  CHECK(bytes.text(8, 4) == "89");
  CHECK(bytes.text(12, 4).empty());
  CHECK(bytes.text(-1, 4).empty());
  CHECK(bytes.text(4, 0).empty());
  const SoundLayout layout = {.head = "abc", .begin = 2, .end = 10, .remarks = {}};
  LaidOutFile file{.bytes = &bytes, .layout = &layout};
  const auto read = [&](std::int64_t count) {
    std::string text(20, '\0');
    text.resize(static_cast<std::size_t>(file.read(text.data(), count)));
    return text;
  };
  CHECK(file.size() == 11);
  CHECK(read(5) == "abc23");
  CHECK(file.seek(-6, SEEK_CUR) == -1);
  CHECK(file.seek(std::numeric_limits<std::int64_t>::max(), SEEK_CUR) == -1);
  CHECK(file.at == 5);
  CHECK(read(20) == "456789");
  CHECK(file.seek(-2, SEEK_END) == 9);
  std::filesystem::resize_file(path, 9);
  CHECK(read(20) == "8");
  CHECK(bytes.text(6, 4) == "678");
  CHECK_FALSE(file.failed);
}

TEST_CASE("sound layout: what the system cannot read is not the end of a file") {
  // A file of the system that claims some bytes, and whose reading is refused.
  constexpr const char* kRefused = "/sys/class/net/lo/speed";
  std::ifstream file(kRefused);
  if (!file || file.get() != EOF || !std::filesystem::file_size(kRefused)) return;  // not here
  const SoundBytes bytes(kRefused, SoundSource::files);
  CHECK(message_of<IoError>([&] { bytes.text(0, 4); }) ==
        std::string(kRefused) + ": cannot be read: Invalid argument");
  const SoundLayout layout = {.head = "abc", .begin = 0, .end = bytes.size(), .remarks = {}};
  LaidOutFile laid_out{.bytes = &bytes, .layout = &layout};
  std::string text(8, '\0');
  CHECK(laid_out.read(text.data(), 8) == 3);
  CHECK(laid_out.failed);
  CHECK(laid_out.read(text.data(), 8) == 0);
  CHECK(laid_out.failed);
}

TEST_CASE("sound layout: what is too long to be read at once is refused before it is read") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.wav";
  const auto of = [&](std::uint32_t frames) {
    write_text(path, riff(format_chunk({.align = 1, .bits = 8}) + "data" + bytes_of(frames, 4)));
    std::filesystem::resize_file(path, 44 + std::uintmax_t{frames});
  };
  of((1U << 29) + 2);
  const auto start = std::chrono::steady_clock::now();
  CHECK(message_of<InputError>([&] { read_audio(path); }) ==
        path + ": is longer than 559 minutes, too long to be read at once; cut it into pieces");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
  CHECK(read_audio(path, 16000, {33000, 33001}).samples.size() == 16000);
}

TEST_CASE("sound layout: a file that is all holes is refused at once") {
  constexpr std::int64_t kSize = std::int64_t{1} << 30;
  const auto start = std::chrono::steady_clock::now();
  CHECK(hollow_file(riff(""), kSize).refusal ==
        "has more than 10000 chunks; get it again (byte 80012)");
  CHECK(hollow_file(riff(format_chunk()), kSize).refusal ==
        "has more than 10000 chunks; get it again (byte 80028)");
  const std::string flac = std::string("fLaC\0\0\0\x22", 8) + std::string(34, '\0');
  CHECK(hollow_file(flac, kSize).refusal ==
        "has more than 10000 blocks of metadata; get it again (byte 40038)");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  // Chunks that are there, before the samples and where samples could begin.
  const auto of = [](const std::string& chunks) {
    const std::string bytes = riff(chunks);
    return hollow_file(bytes, static_cast<std::int64_t>(bytes.size())).refusal;
  };
  std::string many;
  for (int n = 0; n < 9'998; ++n) many += chunk("LIST", "");
  const std::string good = format_chunk(), data = chunk("data", counting(100));
  CHECK(of(good + many + data).empty());
  many += chunk("LIST", "") + chunk("LIST", "") + chunk("LIST", "");
  CHECK(contains(of(good + many + data), "has more than 10000 chunks"));
  CHECK(contains(of(good + chunk("data", "") + many), "has more than 10000 chunks"));
}

}  // namespace serenade::ser
