// Sound files that are damaged, odd, or made to do harm: each is made here, byte by byte.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sndfile.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include "apps/ser/common/error.h"
#include "apps/ser/common/utf8.h"
#include "apps/ser/corpus/audio.h"
#include "tensor/files.h"
#include "tests/apps/ser/common/files.h"
#include "tests/apps/ser/corpus/wav_bytes.h"
#include "tests/ordinary_user.h"

namespace serenade::ser {

namespace {

std::string floats(const std::vector<float>& samples) {
  return {reinterpret_cast<const char*>(samples.data()), samples.size() * sizeof(float)};
}

std::string float_wav(const std::vector<float>& samples, unsigned rate = 16000) {
  return riff(format_chunk({.tag = 3, .rate = rate, .align = 4, .bits = 32}) +
              chunk("data", floats(samples)));
}

void write_sound(const std::string& path, int format, const std::vector<float>& samples,
                 int channels = 1, int rate = 16000) {
  SF_INFO info{};
  info.format = format;
  info.samplerate = rate;
  info.channels = channels;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  REQUIRE(file != nullptr);
  const auto frames = static_cast<sf_count_t>(samples.size()) / channels;
  REQUIRE(sf_writef_float(file, samples.data(), frames) == frames);
  sf_close(file);
}

// A sum of n bits with the polynomial of FLAC's frames.
std::uint32_t crc(const std::string& bytes, int bits, std::uint32_t polynomial) {
  std::uint32_t sum = 0;
  for (const char c : bytes) {
    sum ^= static_cast<std::uint32_t>(static_cast<unsigned char>(c)) << (bits - 8);
    for (int i = 0; i < 8; ++i) sum = sum << 1 ^ (sum >> (bits - 1) & 1) * polynomial;
    sum &= (1U << bits) - 1;
  }
  return sum;
}

// Mono FLAC of silence, in frames of 65,535 samples and 13 to 15 bytes (RFC 9639).
std::string silent_flac(std::uint32_t frames) {
  std::string info = std::string("\xff\xff\xff\xff\0\0\0\0\0\0", 10);
  const std::uint64_t packed =
      std::uint64_t{16000} << 44 | std::uint64_t{15} << 36 | std::uint64_t{frames} * 65535;
  for (int i = 7; i >= 0; --i) info += static_cast<char>(packed >> 8 * i & 0xff);
  std::string bytes = std::string("fLaC\x80\0\0\x22", 8) + info + std::string(16, '\0');
  for (std::uint32_t n = 0; n < frames; ++n) {
    std::string frame("\xff\xf8\x70\x08", 4);
    append_utf8(frame, n);
    frame += "\xff\xfe";
    frame += static_cast<char>(crc(frame, 8, 0x07));
    frame += std::string(3, '\0');
    const std::uint32_t sum = crc(frame, 16, 0x8005);
    bytes += frame + static_cast<char>(sum >> 8) + static_cast<char>(sum & 0xff);
  }
  return bytes;
}

// What both ways of decoding say of a file of these bytes, without its path. They agree.
std::string refusal(const std::string& bytes) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.wav";
  write_text(path, bytes);
  const std::string read = message_of<InputError>([&] { read_audio(path); });
  CHECK(message_of<InputError>([&] { survey_audio(path); }) == read);
  CHECK_FALSE(contains(read, "\n"));
  if (read.empty()) return "";
  REQUIRE(read.starts_with(path + ": "));
  return read.substr(path.size() + 2);
}

// The frames of a file that can be read, in both ways, and its only remark.
struct Accepted {
  std::int64_t frames = 0;
  std::string remark;
  std::vector<float> samples;
};
Accepted accepted(const std::string& bytes) {
  const TemporaryFolder folder;
  write_text(folder / "a.wav", bytes);
  const Audio audio = read_audio(folder / "a.wav");
  const AudioSurvey survey = survey_audio(folder / "a.wav");
  CHECK(survey.info.frames == audio.source.frames);
  CHECK(survey.info.remarks == audio.source.remarks);
  CHECK(survey.info.remarks.size() <= 1);
  return {survey.info.frames, survey.info.remarks.empty() ? "" : survey.info.remarks.front(),
          audio.samples};
}

}  // namespace

TEST_CASE("sound faults: WAV headers that are none") {
  const std::string data = chunk("data", counting(100)), good = format_chunk();
  CHECK(refusal(riff(good + data)).empty());
  CHECK(refusal("") == "is empty (0 bytes); get the recording again");
  CHECK(refusal("RIFF\x01") == "ends within its header; get it again (byte 0)");
  CHECK(refusal("RIFF" + bytes_of(4, 4) + "AVI ") ==
        "is RIFF, but not WAVE ('AVI '); convert it to WAV (byte 8)");
  CHECK(refusal(riff("")) == "has no data chunk, so no samples; get it again (byte 12)");
  CHECK(refusal(riff(good)) == "has no data chunk, so no samples; get it again (byte 36)");
  CHECK(refusal(riff(data)) == "has no fmt chunk before its data; get it again (byte 12)");
  CHECK(refusal(riff(data + good)) == "has no fmt chunk before its data; get it again (byte 12)");
  CHECK(refusal(riff(chunk("fmt ", "") + data)) ==
        "its fmt chunk has 0 bytes, not 16 or more; get it again (byte 20)");
  CHECK(refusal(riff(chunk("fmt ", std::string(14, 'x')) + data)) ==
        "its fmt chunk has 14 bytes, not 16 or more; get it again (byte 20)");
  CHECK(contains(refusal(riff(chunk("fmt ", std::string(70000, '\x01')) + data)), "70000 bytes"));
  CHECK(refusal(riff(good + "LIST" + bytes_of(5000, 4) + "abcd")) ==
        "its chunk 'LIST' promises 5000 bytes, and 4 are left; get it again (byte 36)");
  CHECK(refusal(riff(good + chunk("data", ""))) == "holds no samples; record or get it again");
}

TEST_CASE("sound faults: WAV formats that cannot be") {
  const auto of = [](const Format& format) {
    return refusal(riff(format_chunk(format) + chunk("data", std::string(96, '\0'))));
  };
  CHECK(of({.channels = 0}) == "says 0 channels; 1 to 8 can be read (byte 22)");
  CHECK(of({.channels = 65535}) == "says 65535 channels; 1 to 8 can be read (byte 22)");
  CHECK(of({.channels = 9, .align = 18}) == "says 9 channels; 1 to 8 can be read (byte 22)");
  CHECK(of({.rate = 384000}).empty());
  CHECK(of({.rate = 1000}).empty());
  CHECK(contains(of({.rate = 384001}), "says 384001 Hz"));
  CHECK(contains(of({.rate = 999}), "says 999 Hz"));
  CHECK(of({.rate = 0}) == "says 0 Hz; 1000 to 384000 can be read (byte 24)");
  CHECK(of({.rate = 4000000000}) == "says 4000000000 Hz; 1000 to 384000 can be read (byte 24)");
  CHECK(of({.align = 0}) ==
        "says 0 bytes per frame, where 1 channels of 16 bits take 2; get it again (byte 32)");
  CHECK(of({.align = 3}) ==
        "says 3 bytes per frame, where 1 channels of 16 bits take 2; get it again (byte 32)");
  for (const unsigned bits : {0U, 12U, 33U, 64U}) {
    CHECK(of({.bits = bits}) == "says " + std::to_string(bits) +
                                    " bits per sample; integers of 8, 16, 24 or 32 can be read; "
                                    "convert it (byte 34)");
  }
  CHECK(of({.tag = 3, .bits = 16}) ==
        "says 16 bits per sample; floats of 32 or 64 can be read; convert it (byte 34)");
  CHECK(of({.channels = 8, .align = 16}).empty());
  CHECK(of({.tag = 7, .align = 1, .bits = 8}).empty());  // mu-law, as telephones have it
}

TEST_CASE("sound faults: WAVE_FORMAT_EXTENSIBLE") {
  const std::string guid =
      std::string("\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71", 14);
  const auto with = [&](unsigned valid, const std::string& rest) {
    std::string body = bytes_of(0xfffe, 2) + bytes_of(1, 2) + bytes_of(16000, 4) +
                       bytes_of(32000, 4) + bytes_of(2, 2) + bytes_of(16, 2) + bytes_of(22, 2) +
                       bytes_of(valid, 2) + bytes_of(0, 4) + rest;
    return riff(chunk("fmt ", body) + chunk("data", counting(100)));
  };
  CHECK(accepted(with(16, bytes_of(1, 2) + guid)).frames == 100);
  CHECK(refusal(with(17, bytes_of(1, 2) + guid)) ==
        "says 17 valid bits of 16; get it again (byte 38)");
  CHECK(refusal(with(16, "")) ==
        "its extensible fmt chunk has 24 bytes, not 40; get it again (byte 20)");
  CHECK(contains(refusal(with(16, bytes_of(3, 2) + guid)), "floats of 32 or 64"));
  // What libsndfile knows beside these, and what it does not.
  const std::string ambisonic("\x00\x00\x21\x07\xd3\x11\x86\x44\xc8\xc1\xca\x00\x00\x00", 14);
  CHECK(accepted(with(16, bytes_of(1, 2) + ambisonic)).frames == 100);
  CHECK(contains(refusal(with(16, bytes_of(1, 2) + std::string(14, 'x'))),
                 "not a sound file that can be read ("));
}

TEST_CASE("sound faults: odd chunks, unknown chunks and streamed lengths are read") {
  const std::string good = format_chunk(), data = chunk("data", counting(100));
  const auto exact = [](const Accepted& sound) {
    REQUIRE(sound.samples.size() == 100);
    for (int n = 0; n < 100; ++n) CHECK(sound.samples[n] == static_cast<float>(n) / 32768.0f);
  };
  const std::string odd = "LIST" + bytes_of(5, 4) + "abcde";  // and no byte to make it even
  for (const std::string& chunks :
       {good + data, good + odd + data, odd + good + data, good + chunk("LIST", "abcde") + data,
        good + chunk("fact", bytes_of(100, 4)) + chunk("bext", std::string(602, 'b')) + data,
        chunk("junk", "abc") + good + data + chunk("LIST", "abc"), good + data + odd}) {
    const Accepted sound = accepted(riff(chunks));
    exact(sound);
    CHECK(sound.remark.empty());
  }
  // What programs write that cannot go back to fill in the length.
  for (const std::uint32_t length : {0U, 0xffffffffU, 0x7ffff000U, 0x7fffffffU}) {
    const Accepted sound = accepted(riff(good + "data" + bytes_of(length, 4) + counting(100)));
    exact(sound);
    CHECK(contains(sound.remark, "never filled in"));
  }
  const Accepted ragged =
      accepted(riff(good + "data" + bytes_of(201, 4) + counting(100) + std::string(1, 'x')));
  exact(ragged);
  CHECK(contains(ragged.remark, "ends within a frame"));
  CHECK(refusal(riff(good + chunk("data", "") + chunk("LIST", "abcd"))) ==
        "holds no samples; record or get it again");
}

TEST_CASE("sound faults: every sample format has the bits that libsndfile gives") {
  const TemporaryFolder folder;
  const std::vector<float> wave = noise(3000);
  for (const int format : {SF_FORMAT_PCM_U8, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_PCM_32,
                           SF_FORMAT_FLOAT, SF_FORMAT_DOUBLE, SF_FORMAT_ULAW, SF_FORMAT_ALAW,
                           SF_FORMAT_IMA_ADPCM, SF_FORMAT_MS_ADPCM, SF_FORMAT_GSM610}) {
    for (const int container : {SF_FORMAT_WAV, SF_FORMAT_WAVEX, SF_FORMAT_FLAC}) {
      SF_INFO info{};
      info.samplerate = 16000;
      info.channels = 1;
      info.format = container | format;
      if (sf_format_check(&info) == SF_FALSE) continue;
      CAPTURE(container | format);
      const std::string path = folder / "a.wav";
      write_sound(path, container | format, wave);
      SNDFILE* file = sf_open(path.c_str(), SFM_READ, &info);
      std::vector<float> expected(static_cast<std::size_t>(info.frames));
      REQUIRE(sf_readf_float(file, expected.data(), info.frames) == info.frames);
      sf_close(file);
      for (float& sample : expected) sample = std::clamp(sample, -1.0f, 1.0f);
      CHECK(read_audio(path).samples == expected);
    }
  }
}

TEST_CASE("sound faults: a file that was cut short says what it promised and what is there") {
  CHECK(refusal(riff(format_chunk() + "data" + bytes_of(200, 4) + counting(60))) ==
        "is cut short: its header promises 100 frames, and 60 are there; get it again (byte 40)");
  const TemporaryFolder folder;
  const std::string path = folder / "whole";
  const std::vector<float> wave = noise(32000);
  struct Kind {
    int format;
    const char* says;
  };
  for (const Kind& kind :
       {Kind{SF_FORMAT_FLAC | SF_FORMAT_PCM_16, "promises 32000 frames, and "},
        Kind{SF_FORMAT_OGG | SF_FORMAT_VORBIS, "is cut short: its last page is"},
        Kind{SF_FORMAT_OGG | SF_FORMAT_OPUS, "is cut short: its last page is"},
        Kind{SF_FORMAT_AIFF | SF_FORMAT_PCM_16, "is cut short: its header promises "},
        Kind{SF_FORMAT_AU | SF_FORMAT_PCM_16, "is cut short: its header promises "},
        Kind{SF_FORMAT_W64 | SF_FORMAT_PCM_16, "is cut short: its header promises "},
        Kind{SF_FORMAT_RF64 | SF_FORMAT_PCM_16, "is cut short: its header promises "},
        Kind{SF_FORMAT_WAV | SF_FORMAT_ULAW, "is cut short: its header promises "},
        Kind{SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, "is damaged"}}) {
    CAPTURE(kind.format);
    write_sound(path, kind.format, wave);
    const std::string bytes = read_file(path);
    CHECK(refusal(bytes).empty());
    for (const double part : {0.4, 0.67, 0.97}) {
      const auto length = static_cast<std::size_t>(part * static_cast<double>(bytes.size()));
      CAPTURE(part);
      CHECK(contains(refusal(bytes.substr(0, length)), kind.says));
    }
  }
}

TEST_CASE("sound faults: a part that is damaged is not taken for silence") {
  const TemporaryFolder folder;
  const std::string path = folder / "whole";
  for (const int format : {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_OGG | SF_FORMAT_VORBIS}) {
    CAPTURE(format);
    write_sound(path, format, noise(32000));
    std::string bytes = read_file(path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
    CHECK(contains(refusal(bytes), "is damaged"));
  }
  // A range that reaches into the damage says so as well, and one before it is still there.
  write_sound(path, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, noise(32000));
  const std::string bytes = read_file(path);
  write_text(path, bytes.substr(0, bytes.size() / 2));
  CHECK(read_audio(path, 16000, {0, 0.5}).samples.size() == 8000);
  CHECK(contains(message_of<InputError>([&] { read_audio(path, 16000, {0, 1.9}); }), "is damaged"));
  CHECK(contains(message_of<InputError>([&] { read_audio(path, 16000, {1.5, 1.9}); }), "damaged"));
}

TEST_CASE("sound faults: several Ogg recordings in a row are not taken for the first of them") {
  const TemporaryFolder folder;
  write_sound(folder / "a", SF_FORMAT_OGG | SF_FORMAT_VORBIS, noise(8000));
  const std::string bytes = read_file(folder / "a");
  CHECK(contains(refusal(bytes + bytes), "several recordings in a row"));
  CHECK(refusal(bytes + "what else was in the folder").empty());
  CHECK(refusal(bytes + "OggS").empty());
  // Streams side by side are one recording: the first is read.
  write_sound(folder / "b", SF_FORMAT_OGG | SF_FORMAT_VORBIS, noise(4000));
  const std::string other = read_file(folder / "b");
  const std::size_t first = bytes.find("OggS", 4), second = other.find("OggS", 4);
  CHECK(accepted(bytes.substr(0, first) + other.substr(0, second) + bytes.substr(first) +
                 other.substr(second))
            .frames == 8000);
}

TEST_CASE("sound faults: FLAC of unknown length is counted") {
  const TemporaryFolder folder;
  write_sound(folder / "a", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, noise(20000));
  std::string bytes = read_file(folder / "a");
  const std::vector<float> whole = read_audio(folder / "a").samples;
  bytes[21] = static_cast<char>(bytes[21] & 0xf0);  // 36 bits: the number of samples
  for (int i = 22; i < 26; ++i) bytes[static_cast<std::size_t>(i)] = 0;
  const Accepted streamed = accepted(bytes);
  CHECK(streamed.frames == 20000);
  CHECK(streamed.samples == whole);
  write_text(folder / "s", bytes);
  CHECK(read_audio(folder / "s", 16000, {0.5, 1}).samples ==
        std::vector<float>(whole.begin() + 8000, whole.begin() + 16000));
  CHECK(read_audio(folder / "s", 16000, {1, 1e18}).samples.size() == 4000);
  constexpr const char* kUndecodable =
      "is damaged or cut short: a part of its sound cannot be decoded; get it again";
  CHECK(refusal(bytes.substr(0, bytes.size() / 2)) == kUndecodable);
  CHECK(contains(message_of<InputError>([&] {
                   read_audio(folder / "s", 16000, {7, 9});
                 }),
                 "holds no samples"));
  const std::string none = silent_flac(0);  // whose header knows no length
  CHECK(refusal(none) == "holds no samples; get it again");
  CHECK(refusal(none + "\xff") == "holds no samples; record or get it again");
  CHECK(refusal(none + "x") == kUndecodable);
  // Metadata of any size are not looked at; an ID3 tag before it all is passed over.
  const std::string picture = std::string("\x06\x00\x01\x00", 4) + std::string(256, 'p');
  std::string tagged = std::string("ID3\x04\x00\x00\x00\x00\x00\x05", 10) + "12345" +
                       bytes.substr(0, 42) + picture + bytes.substr(42);
  CHECK(accepted(tagged).samples == whole);
}

TEST_CASE("sound faults: headers of FLAC and pages of Ogg that are none, rates beyond any sound") {
  const TemporaryFolder folder;
  write_sound(folder / "a", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, noise(2000));
  std::string flac = read_file(folder / "a");
  CHECK(contains(refusal(flac.substr(0, 20)), "its FLAC header is damaged"));
  flac[4] = 0;  // its first block is followed by others
  CHECK(refusal(flac.substr(0, 45)) == "ends within its FLAC header; get it again");
  flac[4] = 4;  // and has another kind
  CHECK(refusal(flac) == "its FLAC header is damaged; get it again (byte 4)");
  flac[4] = 0;
  flac[7] = 33;  // or size
  CHECK(refusal(flac) == "its FLAC header is damaged; get it again (byte 4)");
  write_sound(folder / "a", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, noise(2000), 1, 500000);
  CHECK(contains(refusal(read_file(folder / "a")), "its header says 500000 Hz and 1 channels"));
  write_sound(folder / "a", SF_FORMAT_AU | SF_FORMAT_PCM_16, noise(900), 9);
  std::string au = read_file(folder / "a");
  CHECK(refusal(au) ==
        "its header says 16000 Hz and 9 channels; 1 to 8 channels of 1000 to 384000 Hz can be "
        "read");
  au[23] = 0;
  CHECK(contains(refusal(au), "not a sound file that can be read ("));
  write_sound(folder / "a", SF_FORMAT_AU | SF_FORMAT_PCM_16, {});
  CHECK(refusal(read_file(folder / "a")) == "holds no samples; record or get it again");
  write_sound(folder / "a", SF_FORMAT_OGG | SF_FORMAT_VORBIS, noise(32000));
  std::string ogg = read_file(folder / "a");
  const std::size_t page = ogg.rfind("OggS");
  CHECK(refusal(ogg.substr(0, page)) ==
        "is cut short: its last page is missing; get it again (byte " + std::to_string(page) + ")");
  CHECK(refusal(ogg.substr(0, page + 26)) ==
        "is cut short: its last page is not whole; get it again (byte " + std::to_string(page) +
            ")");
  ogg[page] = 'o';
  CHECK(refusal(ogg) == "is damaged: no page where the next one must be; get it again (byte " +
                            std::to_string(page) + ")");
  CHECK(contains(refusal("ID3\x04"), "not a sound file that can be read ("));
}

TEST_CASE("sound faults: MP3 is decoded to its end whatever its length was estimated as") {
  const TemporaryFolder folder;
  // A loud second, and a silent one of fewer bytes: by the first bytes the file looks shorter.
  std::vector<float> wave = noise(16000);
  wave.resize(48000);
  SF_INFO info{};
  info.samplerate = 16000;
  info.channels = 1;
  info.format = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
  SNDFILE* file = sf_open((folder / "a").c_str(), SFM_WRITE, &info);
  REQUIRE(file != nullptr);
  int mode = SF_BITRATE_MODE_VARIABLE;
  sf_command(file, SFC_SET_BITRATE_MODE, &mode, sizeof mode);
  REQUIRE(sf_writef_float(file, wave.data(), 48000) == 48000);
  sf_close(file);
  std::string bytes = read_file(folder / "a");
  const Accepted told = accepted(bytes);  // a Xing header tells the length
  CHECK(told.frames == 48000);
  const std::size_t xing = std::min(bytes.find("Xing"), bytes.find("Info"));
  REQUIRE(xing < 200);
  bytes.replace(xing, 4, std::string(4, '\0'));
  const Accepted sound = accepted(bytes);
  CHECK(sound.frames >= 48000);
  CHECK(sound.frames < 48000 + 4 * 1152);
  // A range is the same part of it, though MP3 is read from its beginning.
  write_text(folder / "b", bytes);
  CHECK(read_audio(folder / "b", 16000, {0.25, 1.5}).samples ==
        std::vector<float>(sound.samples.begin() + 4000, sound.samples.begin() + 24000));
}

TEST_CASE("sound faults: samples that are no sound") {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), infinity, -infinity}) {
    CHECK(refusal(float_wav({0, 0.5f, bad, 0})) ==
          "holds samples that are not finite; write it again");
  }
  std::vector<float> wave = tone(440, 4000, 8000);
  for (float& sample : wave) sample *= 3e38f;  // loud, finite, and beyond all after resampling
  CHECK(refusal(float_wav(wave, 8000)) ==
        "holds samples that are too large for sound; write it again");
  for (float& sample : wave) sample *= 1e-29f;
  CHECK(refusal(float_wav(wave, 8000)).empty());
  const Accepted integers = accepted(float_wav({0, 12345, -32768}));
  CHECK(contains(integers.remark, "as if they were integers"));
  CHECK(accepted(float_wav({0, 1.5f})).remark.empty());
  CHECK(accepted(float_wav(std::vector<float>(100))).samples == std::vector<float>(100));
}

TEST_CASE("sound faults: other formats are named, and how to convert them") {
  CHECK(refusal(std::string("\0\0\0\x20", 4) + "ftypM4A ....") ==
        "is MPEG-4 (AAC, ALAC), which cannot be read; convert it: ffmpeg -i FILE FILE.wav");
  CHECK(contains(refusal("\xff\xf1\x50\x80"), "is AAC"));
  CHECK(contains(refusal("#!AMR\n...."), "is AMR"));
  CHECK(contains(refusal("\x30\x26\xb2\x75\x8e\x66"), "is Windows Media"));
  CHECK(contains(refusal("<!DOCTYPE html><html>404"), "is a web page"));
}

TEST_CASE("sound faults: a small file does not fill the memory") {
  // Frames of 65,535 equal samples take 13 bytes each.
  const std::string small = silent_flac(16), large = silent_flac(4000);
  CHECK(large.size() < 60000);
  CHECK(accepted(small).frames == 16 * 65535);
  const auto start = std::chrono::steady_clock::now();
  CHECK(contains(refusal(silent_flac(300)), "would fill the memory"));
  CHECK(contains(refusal(large), "would fill the memory"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
  std::string lie = small;
  lie.replace(22, 4, std::string("\x00\x0f\xff\xfa", 4));  // the header promises 1,048,570 samples
  CHECK(refusal(lie) ==
        "is damaged: its header promises 1048570 frames, and 1048560 were found; get it again");
  lie.replace(22, 4, 4, '\xff');
  CHECK(contains(refusal(lie), "would fill the memory"));
}

TEST_CASE("sound faults: pipes, devices and links") {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe.wav";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const auto start = std::chrono::steady_clock::now();
  CHECK(contains(message_of<InputError>([&] { read_audio(pipe); }), "no program writes to"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
  CHECK(contains(message_of<InputError>([&] { survey_audio(pipe); }), "is a pipe"));
  const std::string bytes =
      riff(format_chunk() + "data" + bytes_of(0xffffffff, 4) + counting(90000));
  std::thread writer([&] { write_text(pipe, bytes); });
  const Audio audio = read_audio(pipe);
  writer.join();
  CHECK(audio.samples.size() == 90000);
  CHECK(contains(message_of<InputError>([] { read_audio("/dev/zero"); }), "is a device"));
  CHECK(contains(message_of<InputError>([&] { read_audio(folder / std::string(300, 'n')); }),
                 "the name is too long"));
  std::filesystem::create_symlink("nowhere.wav", folder / "link.wav");
  CHECK(contains(message_of<InputError>([&] { read_audio(folder / "link.wav"); }), "is a link to"));
  std::filesystem::create_symlink("loop.wav", folder / "loop.wav");
  CHECK(
      contains(message_of<InputError>([&] { read_audio(folder / "loop.wav"); }), "back to itself"));
  CHECK(contains(message_of<InputError>([&] { read_audio(folder / std::string(300, 'x')); }),
                 "too long"));
  write_text(folder / "good.wav", bytes);
  CHECK(contains(message_of<InputError>([&] { read_audio(folder / "good.wav/a.wav"); }),
                 "a.wav: no such file; check the path, or get the recording"));
  write_text(folder / "secret.wav", bytes);
  REQUIRE(chmod((folder / "secret.wav").c_str(), 0) == 0);
  if (const OrdinaryUser user(folder.path()); user.valid()) {
    CHECK(message_of<IoError>([&] { read_audio(folder / "secret.wav"); }) ==
          folder / "secret.wav: cannot be opened: Permission denied; check its permissions");
  }
  rlimit files{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &files) == 0);
  const rlimit none = {0, files.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  const std::string message = message_of<IoError>([&] { read_audio(folder / "good.wav"); });
  REQUIRE(setrlimit(RLIMIT_NOFILE, &files) == 0);
  CHECK(message == folder / "good.wav: cannot be opened: Too many open files");
}

TEST_CASE("sound faults: content is equal for equal sound, whatever the file") {
  const TemporaryFolder folder;
  const std::vector<float> wave = noise(5000);
  write_sound(folder / "a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, wave);
  write_sound(folder / "a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, wave);
  write_sound(folder / "b.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, noise(5000, 1));
  CHECK(survey_audio(folder / "a.wav").content == survey_audio(folder / "a.flac").content);
  CHECK(survey_audio(folder / "a.wav").content != survey_audio(folder / "b.wav").content);
}

}  // namespace serenade::ser
