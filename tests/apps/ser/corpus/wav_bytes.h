#pragma once
// WAV files made byte by byte, whole or not.

#include <cstdint>
#include <string>

namespace serenade::ser {

inline std::string bytes_of(std::uint32_t value, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += static_cast<char>(value >> 8 * i & 0xff);
  return text;
}

inline std::string chunk(const std::string& id, const std::string& body) {
  return id + bytes_of(static_cast<std::uint32_t>(body.size()), 4) + body +
         (body.size() % 2 == 1 ? std::string(1, '\0') : "");
}

struct Format {
  unsigned tag = 1, channels = 1, rate = 16000, align = 2, bits = 16;
};

inline std::string format_chunk(const Format& f = {}) {
  return chunk("fmt ", bytes_of(f.tag, 2) + bytes_of(f.channels, 2) + bytes_of(f.rate, 4) +
                           bytes_of(f.rate * f.align, 4) + bytes_of(f.align, 2) +
                           bytes_of(f.bits, 2));
}

// The samples 0, 1, 2, .. of 16 bits, so that each is known.
inline std::string counting(unsigned frames) {
  std::string data;
  for (unsigned n = 0; n < frames; ++n) data += bytes_of(n, 2);
  return data;
}

inline std::string riff(const std::string& chunks) {
  return "RIFF" + bytes_of(static_cast<std::uint32_t>(chunks.size() + 4), 4) + "WAVE" + chunks;
}

}  // namespace serenade::ser
