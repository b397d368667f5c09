#pragma once
// What the tests of apps/ser need on disk: a folder that goes away, texts, and small sounds.

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "apps/ser/corpus/audio.h"
#include "tensor/random.h"
#include "tests/temporary_folder.h"

namespace serenade::ser {

inline void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// A sine of amplitude 0.5.
inline std::vector<float> tone(double hertz, std::int64_t samples, int rate = kSampleRate) {
  std::vector<float> wave(samples);
  for (std::int64_t n = 0; n < samples; ++n) {
    wave[n] = static_cast<float>(0.5 * std::sin(2 * 3.141592653589793 * hertz * n / rate));
  }
  return wave;
}

/// Normal noise of stddev 0.1.
inline std::vector<float> noise(std::int64_t count, std::uint64_t seed = 0) {
  std::vector<float> wave(count);
  for (std::int64_t n = 0; n < count; ++n) {
    wave[n] = static_cast<float>(0.1 * normal({seed, Purpose::test, 7}, n));
  }
  return wave;
}

/// A tiny sound file: 0.1 s, each with its own pitch, so that no two have the same content.
inline void write_tiny_wav(const std::string& path) {
  static int count = 0;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_wav(path, tone(200 + ++count, 1600));
}

/// The message of the exception that f throws, or "" if it throws none.
template <class Exception, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Exception& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace serenade::ser
