#include "apps/ser/corpus/sound_bytes.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "apps/ser/common/error.h"

namespace serenade::ser {

namespace {

[[noreturn]] void refuse_to_open(const std::string& path, int number) {
  struct stat about {};
  if (number == ENOENT || number == ENOTDIR) {
    if (lstat(path.c_str(), &about) == 0) {
      throw InputError(path + ": is a link to a file that is not there; get the recording");
    }
    throw InputError(path + ": no such file; check the path, or get the recording");
  }
  if (number == ELOOP) {
    throw InputError(path + ": is a link that leads back to itself; get the recording");
  }
  if (number == ENAMETOOLONG) throw InputError(path.substr(0, 80) + "..: the name is too long");
  throw IoError(path + ": cannot be opened: " + std::strerror(number) +
                (number == EACCES ? "; check its permissions" : ""));
}

}  // namespace

SoundBytes::SoundBytes(const std::string& path, SoundSource source) : path_(path) {
  struct stat about {};
  // What it is comes first: opening some devices already does something.
  if (stat(path.c_str(), &about) != 0) refuse_to_open(path, errno);
  if (S_ISDIR(about.st_mode)) throw InputError(path + ": is a folder; name a sound file in it");
  const bool pipe = S_ISFIFO(about.st_mode);
  if (pipe && source == SoundSource::files) {
    throw InputError(path + ": is a pipe; a corpus is read from files, so write it to one");
  }
  if (!pipe && !S_ISREG(about.st_mode)) {
    throw InputError(path + ": is a device or a socket, not a file; name a sound file");
  }
  // Opening a pipe that nobody writes to would wait for ever.
  file_ = Descriptor(path, O_RDONLY | O_NONBLOCK);
  if (!file_.valid()) refuse_to_open(path, errno);
  size_ = about.st_size;
  if (pipe) read_pipe();
}

void SoundBytes::read_pipe() {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::duration<double>(kPipePatience);
  std::array<char, 1 << 16> block;
  bool writer_seen = false;
  while (true) {
    const ssize_t got = ::read(file_.number(), block.data(), block.size());
    if (got > 0) {
      if (static_cast<std::int64_t>(memory_.size()) + got > kMostPipeBytes) {
        throw InputError(path_ + ": more than 1 GiB came through this pipe; write it to a file");
      }
      memory_.append(block.data(), static_cast<std::size_t>(got));
      writer_seen = true;
    } else if (got == 0) {  // nobody holds the other end: not any more, or not yet
      if (writer_seen) break;
      if (Clock::now() > deadline) {
        throw InputError(path_ + ": is a pipe that no program writes to; name a sound file");
      }
      poll(nullptr, 0, 20);  // milliseconds
    } else if (errno == EAGAIN) {
      writer_seen = true;
      pollfd waiting{file_.number(), POLLIN, 0};
      poll(&waiting, 1, -1);
    } else if (errno != EINTR) {
      throw IoError(path_ + ": cannot be read: " + std::strerror(errno));
    }
  }
  size_ = static_cast<std::int64_t>(memory_.size());
  in_memory_ = true;
}

std::int64_t SoundBytes::read(std::int64_t offset, void* to, std::int64_t count) const noexcept {
  count = std::min(count, size_ - offset);
  if (offset < 0 || count <= 0) return 0;
  if (in_memory_) {
    std::memcpy(to, memory_.data() + offset, static_cast<std::size_t>(count));
    return count;
  }
  std::int64_t done = 0;
  while (done < count) {
    const ssize_t got = pread(file_.number(), static_cast<char*>(to) + done,
                              static_cast<std::size_t>(count - done), offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;  // the file has become shorter
    done += got;
  }
  return done;
}

std::string SoundBytes::text(std::int64_t offset, std::int64_t count) const {
  std::string bytes(static_cast<std::size_t>(std::max<std::int64_t>(0, count)), '\0');
  const std::int64_t got = read(offset, bytes.data(), count);
  if (got < 0) throw IoError(path_ + ": cannot be read: " + std::strerror(errno));
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

}  // namespace serenade::ser
