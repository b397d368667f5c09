#include "tensor/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include "tensor/descriptor.h"

namespace serenade {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, const char* what) {
  const int number = errno;
  throw std::runtime_error(path + ": " + what +
                           (number != 0 ? std::string(": ") + std::strerror(number) : ""));
}

// Brings what was written to the disk itself. Some file systems cannot do that for a folder.
bool synchronise(const std::string& path, int flags) {
  const Descriptor file(path, O_RDONLY | flags);
  if (!file.valid()) return false;
  return fsync(file.number()) == 0 || errno == EINVAL || errno == ENOTSUP;
}

std::string folder_of(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

// The file that a name stands for: a link stays a link, and what it points to is written anew.
std::string target_of(const std::string& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  const fs::path target = fs::weakly_canonical(path, error);
  return error ? path : target.string();
}

}  // namespace

std::string read_file(const std::string& path) {
  constexpr std::size_t kEndless = 1 << 28;  // bytes; of a device or a pipe nobody knows the end
  errno = 0;
  // Without waiting, so that a named pipe that nobody writes to is empty and does not hang.
  const Descriptor file(path, O_RDONLY | O_NONBLOCK);
  struct stat status = {};
  if (!file.valid() || fstat(file.number(), &status) != 0) fail(path, "cannot be read");
  if (S_ISDIR(status.st_mode)) {
    throw std::runtime_error(path + ": cannot be read: it is a folder");
  }
  fcntl(file.number(), F_SETFL, fcntl(file.number(), F_GETFL) & ~O_NONBLOCK);
  std::string content;
  if (S_ISREG(status.st_mode)) content.reserve(static_cast<std::size_t>(status.st_size));
  std::array<char, 1 << 16> block;
  for (;;) {
    const ssize_t count = read(file.number(), block.data(), block.size());
    if (count == 0) return content;
    if (count > 0) {
      content.append(block.data(), static_cast<std::size_t>(count));
      if (!S_ISREG(status.st_mode) && content.size() > kEndless) {
        throw std::runtime_error(path + ": cannot be read: after 256 MB of it there is no end");
      }
    } else if (errno != EINTR) {
      fail(path, "cannot be read to its end");
    }
  }
}

void write_file(const std::string& path, const std::string& content) {
  write_file(path, [&](std::ostream& out) {
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
  });
}

namespace {

// A device or a pipe has no place for a file beside it, and must not be replaced by one.
void write_through(const std::string& path, const std::function<void(std::ostream&)>& write) {
  errno = 0;
  std::ofstream out(path, std::ios::binary);
  if (out) write(out);
  out.close();
  if (!out) fail(path, "cannot be written");
}

// Whether write_file() gives such names: "name.PROCESS.NUMBER.partial".
bool is_partial_name(std::string_view name) {
  if (!name.ends_with(kPartialSuffix)) return false;
  name.remove_suffix(std::string_view(kPartialSuffix).size());
  for (int number = 0; number < 2; ++number) {
    const std::size_t digits = name.find_last_not_of("0123456789") + 1;
    if (digits < 2 || digits == name.size() || name[digits - 1] != '.') return false;
    name.remove_suffix(name.size() - digits + 1);
  }
  return true;
}

}  // namespace

void write_file(const std::string& path, const std::function<void(std::ostream&)>& write) {
  std::error_code absent;
  const fs::file_status status = fs::status(path, absent);
  if (fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status)) {
    write_through(path, write);
    return;
  }
  static std::atomic<std::uint64_t> count{0};  // threads of one process do not share a name
  const std::string target = target_of(path);
  const std::string partial =
      target + "." + std::to_string(getpid()) + "." + std::to_string(count++) + kPartialSuffix;
  errno = 0;
  std::ofstream out(partial, std::ios::binary);
  if (!out) fail(path, "cannot be written");
  std::error_code ignored;
  try {
    write(out);
  } catch (...) {
    fs::remove(partial, ignored);
    throw;
  }
  out.close();
  // The content must be on the disk before the name points to it, and the name before anybody is
  // told: a power cut may otherwise leave an empty file.
  if (out && synchronise(partial, 0) && std::rename(partial.c_str(), target.c_str()) == 0 &&
      synchronise(folder_of(target), O_DIRECTORY)) {
    return;
  }
  const int number = errno;
  fs::remove(partial, ignored);
  errno = number;
  fail(path, "cannot be written");
}

void synchronise_file(const std::string& path) {
  errno = 0;
  if (!synchronise(path, 0)) fail(path, "cannot be written");
}

void remove_partial_files(const std::string& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (is_partial_name(entry->path().filename().string())) fs::remove(entry->path(), ignored);
  }
}

}  // namespace serenade
