#pragma once
// Files of bytes as they should not be, and what a reader says of them.

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>

namespace serenade {

inline std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

/// `size` bytes of a number, the lowest first or last.
inline std::string little_endian(std::uint64_t number, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(number >> (8 * i));
  return bytes;
}
inline std::string big_endian(std::uint64_t number, int size) {
  const std::string bytes = little_endian(number, size);
  return {bytes.rbegin(), bytes.rend()};
}

inline const std::string& write_bytes(const std::string& path, const std::string& bytes) {
  // Not over the old one: some systems bring a file that was made empty to the disk, which takes
  // long.
  std::filesystem::remove(path);
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

/// What the refusal of a file says behind its path, which must begin it, in one line; "accepted"
/// where there is none.
inline std::string refusal_of(const std::string& path, const std::function<void()>& read) {
  try {
    read();
  } catch (const std::runtime_error& error) {
    const std::string message = error.what(), begin = path + ": ";
    CHECK(message.rfind(begin, 0) == 0);
    CHECK(message.find('\n') == std::string::npos);
    return message.size() > begin.size() ? message.substr(begin.size()) : "says nothing";
  }
  return "accepted";
}

/// A reader refuses every beginning of a file, and the file with a byte more.
inline void check_every_cut(const std::string& path, const std::string& whole,
                            const std::function<void()>& read) {
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    write_bytes(path, whole.substr(0, size));
    REQUIRE(refusal_of(path, read) != "accepted");
  }
  write_bytes(path, whole + '\0');
  CHECK(refusal_of(path, read) != "accepted");
  write_bytes(path, whole);
  CHECK(refusal_of(path, read) == "accepted");
}

}  // namespace serenade
