#include "apps/ser/report/folder_lock.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iostream>
#include <thread>

#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"

namespace serenade::ser {

namespace {

constexpr int kAttempts = 10;
constexpr std::chrono::milliseconds kPause{50};

std::string holder_text() {
  std::array<char, 256> host = {};
  gethostname(host.data(), host.size() - 1);
  return "process " + std::to_string(getpid()) + " on " + host.data();
}

// False where the system refuses, and errno says why. It may write a part at a time.
bool write_whole(int file, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count =
        pwrite(file, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  return true;
}

[[noreturn]] void refuse(const std::string& folder, int file) {
  std::array<char, 512> holder = {};
  const ssize_t size = pread(file, holder.data(), holder.size() - 1, 0);
  throw InputError(folder + ": " + (size > 0 ? shown(holder.data()) : "another process") +
                   " is writing into it; wait for its end, or choose another --out");
}

// Whether the lock could be taken; throws where somebody else has it. A process that was killed a
// moment ago may not be gone yet.
bool take(const std::string& folder, int file) {
  for (int attempt = 0; flock(file, LOCK_EX | LOCK_NB) != 0; ++attempt) {
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    if (attempt == kAttempts) refuse(folder, file);
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

}  // namespace

FolderLock::FolderLock(const std::string& folder)
    : file_(folder + "/" + kLockFile, O_RDWR | O_CREAT | O_NOFOLLOW, 0644) {
  const std::string path = folder + "/" + kLockFile;
  if (!file_.valid()) {
    throw IoError(path + ": cannot be made: " + std::strerror(errno) + "; check the permissions");
  }
  const int file = file_.number();
  if (!take(folder, file)) {
    std::cerr << folder << ": this file system has no locks; let only one process write here\n";
  }
  // Whoever held the folder before may have removed the file that was opened.
  struct stat held = {}, there = {};
  if (fstat(file, &held) != 0 || stat(path.c_str(), &there) != 0 || held.st_ino != there.st_ino) {
    throw InputError(folder + ": another process has just written into it; start again");
  }
  if (ftruncate(file, 0) != 0 || !write_whole(file, holder_text())) {
    throw IoError(path + ": cannot be written: " + std::strerror(errno) +
                  "; check the free space and the permissions");
  }
}

void check_not_locked(const std::string& folder) {
  // A pipe of that name would be waited for.
  const Descriptor file(folder + "/" + kLockFile, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (file.valid()) take(folder, file.number());
}

}  // namespace serenade::ser
