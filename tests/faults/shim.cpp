// A library that stands between a program and the C library (LD_PRELOAD) and makes the n-th call of
// a kind go wrong, so that every place where a disk, the memory or the power can fail is visited.
//
//   SERENADE_FAULT="KIND:N:ACTION[,..]"    N: the N-th call after main() began; "N+": and all later
//
// Kinds: write, fsync, rename, open (for writing), unlink, mkdir; disk, which numbers all of these
// in one row; mmap, malloc, clock (reads of the wall clock).
// Actions: exit   the process ends in place of the call, as by kill -9
//          power  the same, and what was written but not fsynced is lost: such files keep the
//                 length that they had at their last fsync, or when they were opened
//          fail   the call's usual reason: ENOSPC, EIO for fsync and mmap, ENOMEM for malloc
//          ENOSPC, EIO, EACCES, EROFS   the call fails with this
//          short  half of a write is done and said so, which is no error
//          fill   half of a write is done, and the disk is full from there on
//          back   the clock is a day late
//          count  nothing fails; at its end the program writes "KIND NUMBER" per kind into the file
//                 SERENADE_FAULT_COUNTS
// Written for glibc, with nothing that allocates.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

// glibc's own allocator, under the names that it keeps for such libraries.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}

namespace {

enum Kind {
  kWrite,
  kFsync,
  kRename,
  kOpen,
  kUnlink,
  kMkdir,
  kDisk,
  kMmap,
  kMalloc,
  kClock,
  kKinds
};
constexpr const char* kKindNames[kKinds] = {"write", "fsync", "rename", "open",   "unlink",
                                            "mkdir", "disk",  "mmap",   "malloc", "clock"};

enum Action { kNothing, kExit, kPower, kError, kShort, kFill, kBack };

struct Fault {
  std::uint64_t number = 0;  // 0: none of this kind
  bool later_too = false;
  Action action = kNothing;
  int error = 0;
};

Fault faults[kKinds];
std::atomic<std::uint64_t> calls[kKinds];
std::atomic<bool> in_main{false};
std::atomic<bool> disk_full{false};

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

[[noreturn]] void refuse(const char* text) {
  std::fprintf(stderr, "SERENADE_FAULT: not understood: %s\n", text);
  _exit(99);
}

int usual_error(int kind) {
  if (kind == kMalloc || kind == kMmap) return ENOMEM;
  return kind == kFsync ? EIO : ENOSPC;
}

void set_action(Fault& fault, int kind, const char* word) {
  struct Word {
    const char* name;
    Action action;
    int error;
  };
  const Word words[] = {
      {"exit", kExit, 0},         {"power", kPower, 0},  {"fail", kError, usual_error(kind)},
      {"ENOSPC", kError, ENOSPC}, {"EIO", kError, EIO},  {"EACCES", kError, EACCES},
      {"EROFS", kError, EROFS},   {"short", kShort, 0},  {"fill", kFill, ENOSPC},
      {"back", kBack, 0},         {"count", kNothing, 0}};
  for (const Word& known : words) {
    if (std::strcmp(word, known.name) != 0) continue;
    fault.action = known.action;
    fault.error = known.error;
    return;
  }
  refuse(word);
}

void read_one(char* text) {
  char* number = std::strchr(text, ':');
  char* action = number ? std::strchr(number + 1, ':') : nullptr;
  if (!action) refuse(text);
  *number++ = *action++ = '\0';
  for (int kind = 0; kind < kKinds; ++kind) {
    if (std::strcmp(text, kKindNames[kind]) != 0) continue;
    Fault& fault = faults[kind];
    char* rest = nullptr;
    fault.number = std::strtoull(number, &rest, 10);
    fault.later_too = *rest == '+';
    set_action(fault, kind, action);
    return;
  }
  refuse(text);
}

void read_faults() {
  const char* text = std::getenv("SERENADE_FAULT");
  if (!text) return;
  static char copy[1000];
  std::snprintf(copy, sizeof copy, "%s", text);
  char* rest = nullptr;
  for (char* one = strtok_r(copy, ",", &rest); one; one = strtok_r(nullptr, ",", &rest)) {
    read_one(one);
  }
}

// What a power cut takes: files with bytes that no fsync has sent to the disk ---------------------

struct OpenFile {
  dev_t device;
  ino_t inode;
  int copy;  // of its descriptor, which outlives the program's
  off_t on_disk;
  bool unsent;
};
constexpr int kMostFiles = 4000;
OpenFile files[kMostFiles];
std::atomic<int> file_count{0};
std::atomic_flag files_busy;

struct FilesLock {
  FilesLock() {
    while (files_busy.test_and_set()) {
    }
  }
  ~FilesLock() { files_busy.clear(); }
};

bool has_power_fault() {
  for (const Fault& fault : faults) {
    if (fault.action == kPower) return true;
  }
  return false;
}

OpenFile* known_file(const struct stat& about) {
  for (int i = 0; i < file_count; ++i) {
    if (files[i].device == about.st_dev && files[i].inode == about.st_ino) return &files[i];
  }
  return nullptr;
}

void note_opened(int file) {
  struct stat about {};
  if (file < 0 || !has_power_fault() || fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) return;
  const FilesLock lock;
  if (known_file(about) || file_count == kMostFiles) return;
  const int copy = fcntl(file, F_DUPFD_CLOEXEC, 200);
  if (copy >= 0) files[file_count++] = {about.st_dev, about.st_ino, copy, about.st_size, false};
}

void note_written(int file) {
  struct stat about {};
  if (!has_power_fault() || fstat(file, &about) != 0) return;
  const FilesLock lock;
  if (OpenFile* known = known_file(about)) known->unsent = true;
}

void note_sent(int file) {
  struct stat about {};
  if (!has_power_fault() || fstat(file, &about) != 0) return;
  const FilesLock lock;
  if (OpenFile* known = known_file(about)) {
    known->unsent = false;
    known->on_disk = about.st_size;
  }
}

void lose_unsent() {
  for (int i = 0; i < file_count; ++i) {
    if (files[i].unsent && ftruncate(files[i].copy, files[i].on_disk) != 0) _exit(98);
  }
}

// Numbering ---------------------------------------------------------------------------------------

// The fault for this call of the kind, if it is its turn.
const Fault* turn(Kind kind) {
  if (!in_main) return nullptr;
  const std::uint64_t number = ++calls[kind];
  const Fault& fault = faults[kind];
  if (fault.number == 0 || number < fault.number) return nullptr;
  if (number > fault.number && !fault.later_too) return nullptr;
  if (fault.action == kPower) lose_unsent();
  if (fault.action == kExit || fault.action == kPower) _exit(137);
  return fault.action == kNothing ? nullptr : &fault;
}

// The same for a call that changes the disk, which has a number of its kind and one of kDisk.
const Fault* disk_turn(Kind kind) {
  const Fault* fault = turn(kind);
  const Fault* any = turn(kDisk);
  return fault ? fault : any;
}

// True, with errno set, when the call is to fail.
bool fails(const Fault* fault) {
  if (!fault || fault->action != kError) return false;
  errno = fault->error;
  return true;
}

bool is_plain_file(int file) {
  struct stat about {};
  return file > 2 && fstat(file, &about) == 0 && S_ISREG(about.st_mode);
}

// How many of `size` bytes may be written; -1 with errno set for none.
ssize_t allowed(int file, std::size_t size) {
  const auto all = static_cast<ssize_t>(size);
  if (!is_plain_file(file)) return all;
  const Fault* fault = disk_turn(kWrite);
  if (disk_full) {
    errno = ENOSPC;
    return -1;
  }
  note_written(file);
  if (!fault) return all;
  if (fault->action == kFill) disk_full = true;
  if (fault->action == kShort || fault->action == kFill) return size > 1 ? all / 2 : all;
  return fails(fault) ? -1 : all;
}

int opened(int file) {
  note_opened(file);
  return file;
}

bool for_writing(int flags) { return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0; }

bool open_fails(bool writes) {
  if (!writes) return false;
  const Fault* fault = disk_turn(kOpen);
  return fails(fault);
}

bool allocation_fails() {
  if (!in_main || !fails(turn(kMalloc))) return false;
  errno = ENOMEM;
  return true;
}

time_t late() {
  const Fault* fault = turn(kClock);
  return fault && fault->action == kBack ? 86400 : 0;
}

__attribute__((destructor)) void report_counts() {
  const char* path = std::getenv("SERENADE_FAULT_COUNTS");
  in_main = false;
  if (!path) return;
  std::FILE* out = std::fopen(path, "w");
  for (int kind = 0; out && kind < kKinds; ++kind) {
    std::fprintf(out, "%s %llu\n", kKindNames[kind],
                 static_cast<unsigned long long>(calls[kind].load()));
  }
  if (out) std::fclose(out);
}

using Main = int (*)(int, char**, char**);
Main program_main = nullptr;

int main_with_faults(int argc, char** argv, char** environment) {
  read_faults();
  in_main = true;
  const int code = program_main(argc, argv, environment);
  in_main = false;
  return code;
}

}  // namespace

// The calls ---------------------------------------------------------------------------------------

extern "C" {

int __libc_start_main(Main main, int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*rtld_fini)(), void* stack_end) {
  program_main = main;
  return next<int(Main, int, char**, void (*)(), void (*)(), void (*)(), void*)>(
      "__libc_start_main")(main_with_faults, argc, argv, init, fini, rtld_fini, stack_end);
}

ssize_t write(int file, const void* bytes, std::size_t size) {
  const ssize_t part = allowed(file, size);
  return part < 0 ? -1
                  : next<decltype(write)>("write")(file, bytes, static_cast<std::size_t>(part));
}

ssize_t pwrite(int file, const void* bytes, std::size_t size, off_t place) {
  const ssize_t part = allowed(file, size);
  return part < 0
             ? -1
             : next<decltype(pwrite)>("pwrite")(file, bytes, static_cast<std::size_t>(part), place);
}

// A short one writes the first of its pieces only.
ssize_t writev(int file, const iovec* pieces, int count) {
  std::size_t size = 0;
  for (int i = 0; i < count; ++i) size += pieces[i].iov_len;
  const ssize_t part = allowed(file, size);
  if (part < 0) return -1;
  const bool whole = static_cast<std::size_t>(part) == size;
  return next<decltype(writev)>("writev")(file, pieces, whole ? count : 1);
}

ssize_t sendfile(int to, int from, off_t* place, std::size_t size) {
  const ssize_t part = allowed(to, size);
  return part < 0 ? -1
                  : next<decltype(sendfile)>("sendfile")(to, from, place,
                                                         static_cast<std::size_t>(part));
}

ssize_t copy_file_range(int from, off64_t* from_place, int to, off64_t* to_place, std::size_t size,
                        unsigned flags) {
  const ssize_t part = allowed(to, size);
  return part < 0 ? -1
                  : next<decltype(copy_file_range)>("copy_file_range")(
                        from, from_place, to, to_place, static_cast<std::size_t>(part), flags);
}

int ftruncate(int file, off_t size) {
  if (is_plain_file(file) && fails(disk_turn(kWrite))) return -1;
  note_written(file);
  return next<decltype(ftruncate)>("ftruncate")(file, size);
}

int fsync(int file) {
  if (fails(disk_turn(kFsync))) return -1;
  note_sent(file);
  return next<decltype(fsync)>("fsync")(file);
}

int fdatasync(int file) {
  if (fails(disk_turn(kFsync))) return -1;
  note_sent(file);
  return next<decltype(fdatasync)>("fdatasync")(file);
}

int rename(const char* from, const char* to) {
  if (fails(disk_turn(kRename))) return -1;
  return next<decltype(rename)>("rename")(from, to);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  if (fails(disk_turn(kRename))) return -1;
  return next<decltype(renameat)>("renameat")(from_folder, from, to_folder, to);
}

int unlink(const char* path) {
  if (fails(disk_turn(kUnlink))) return -1;
  return next<decltype(unlink)>("unlink")(path);
}

int unlinkat(int folder, const char* path, int flags) {
  if (fails(disk_turn(kUnlink))) return -1;
  return next<decltype(unlinkat)>("unlinkat")(folder, path, flags);
}

int remove(const char* path) {
  if (fails(disk_turn(kUnlink))) return -1;
  return next<decltype(remove)>("remove")(path);
}

int mkdir(const char* path, mode_t mode) {
  if (fails(disk_turn(kMkdir))) return -1;
  return next<decltype(mkdir)>("mkdir")(path, mode);
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (open_fails(for_writing(flags))) return -1;
  const int file = next<int(const char*, int, mode_t)>("open")(path, flags, mode);
  return for_writing(flags) ? opened(file) : file;
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open(path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (open_fails(for_writing(flags))) return -1;
  const int file = next<int(int, const char*, int, mode_t)>("openat")(folder, path, flags, mode);
  return for_writing(flags) ? opened(file) : file;
}

std::FILE* fopen(const char* path, const char* mode) {
  const bool writes = std::strpbrk(mode, "wa+") != nullptr;
  if (open_fails(writes)) return nullptr;
  std::FILE* file = next<decltype(fopen)>("fopen")(path, mode);
  if (file && writes) note_opened(fileno(file));
  return file;
}

std::FILE* fopen64(const char* path, const char* mode) { return fopen(path, mode); }

void* mmap(void* place, std::size_t size, int protection, int flags, int file, off_t offset) {
  if (fails(turn(kMmap))) return MAP_FAILED;
  return next<decltype(mmap)>("mmap")(place, size, protection, flags, file, offset);
}

void* mmap64(void* place, std::size_t size, int protection, int flags, int file, off64_t offset) {
  return mmap(place, size, protection, flags, file, offset);
}

void* malloc(std::size_t size) { return allocation_fails() ? nullptr : __libc_malloc(size); }

void* calloc(std::size_t count, std::size_t size) {
  return allocation_fails() ? nullptr : __libc_calloc(count, size);
}

void* realloc(void* memory, std::size_t size) {
  return allocation_fails() ? nullptr : __libc_realloc(memory, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return allocation_fails() ? nullptr : __libc_memalign(alignment, size);
}

void* memalign(std::size_t alignment, std::size_t size) { return aligned_alloc(alignment, size); }

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  void* block = aligned_alloc(alignment, size);
  if (!block) return ENOMEM;
  *memory = block;
  return 0;
}

int clock_gettime(clockid_t clock, timespec* now) {
  const int result = next<decltype(clock_gettime)>("clock_gettime")(clock, now);
  if (clock == CLOCK_REALTIME && result == 0) now->tv_sec -= late();
  return result;
}

time_t time(time_t* now) {
  timespec clock{};
  clock_gettime(CLOCK_REALTIME, &clock);
  if (now) *now = clock.tv_sec;
  return clock.tv_sec;
}

int gettimeofday(timeval* now, void*) {
  timespec clock{};
  clock_gettime(CLOCK_REALTIME, &clock);
  now->tv_sec = clock.tv_sec;
  now->tv_usec = clock.tv_nsec / 1000;
  return 0;
}

}  // extern "C"
