#include "tensor/files.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace serenade {

namespace {

[[noreturn]] void fail(const std::string& path, const char* what) {
  const int number = errno;
  throw std::runtime_error(path + ": " + what +
                           (number != 0 ? std::string(": ") + std::strerror(number) : ""));
}

}  // namespace

std::string read_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw std::runtime_error(path + ": cannot be read: it is a folder");
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(path, "cannot be read");
  std::ostringstream content;
  if (in.peek() != std::ifstream::traits_type::eof()) content << in.rdbuf();
  if (in.bad() || content.fail()) fail(path, "cannot be read to its end");
  return content.str();
}

void write_file(const std::string& path, const std::string& content) {
  write_file(path, [&](std::ostream& out) {
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
  });
}

void write_file(const std::string& path, const std::function<void(std::ostream&)>& write) {
  static std::atomic<std::uint64_t> count{0};  // threads of one process do not share a name
  const std::string partial =
      path + "." + std::to_string(getpid()) + "." + std::to_string(count++) + ".partial";
  errno = 0;
  std::ofstream out(partial, std::ios::binary);
  if (!out) fail(path, "cannot be written");
  std::error_code error;
  try {
    write(out);
  } catch (...) {
    std::filesystem::remove(partial, error);
    throw;
  }
  out.close();
  if (out) {
    std::filesystem::rename(partial, path, error);
    if (!error) return;
    errno = error.value();
  }
  const int number = errno;
  std::filesystem::remove(partial, error);
  errno = number;
  fail(path, "cannot be written");
}

}  // namespace serenade
