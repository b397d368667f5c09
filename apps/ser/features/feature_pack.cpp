// Writing, checking and mapping packs.

#include "apps/ser/features/feature_pack.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ostream>
#include <string_view>

#include "apps/ser/common/error.h"
#include "tensor/checksum.h"
#include "tensor/descriptor.h"
#include "tensor/files.h"

namespace serenade::ser {

namespace {

constexpr std::uint64_t kMagic = 0x4b43415054414546;  // "FEATPACK" on a little-endian machine
constexpr std::uint64_t kVersion = 2;                 // 1 was a file per recording
constexpr std::uint64_t kAlignment = 64;              // a cache line

struct Header {
  std::uint64_t magic = kMagic;
  std::uint64_t version = kVersion;
  std::int64_t bins = 0;
  std::uint64_t count = 0;
  std::uint64_t checksum = 0;
  std::array<std::uint64_t, 3> rest{};
};
static_assert(sizeof(Header) == 64 && sizeof(FeaturePack::Entry) == 32);

std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::uint64_t value_bytes(std::int64_t bins, std::int64_t frames) {
  return static_cast<std::uint64_t>(bins) * static_cast<std::uint64_t>(frames) * sizeof(float);
}

// Of the header, but for the checksum itself, and of the index.
std::uint64_t index_checksum(Header header, const std::vector<FeaturePack::Entry>& entries) {
  header.checksum = checksum(entries.data(), entries.size() * sizeof(FeaturePack::Entry));
  return checksum(&header, sizeof header);
}

// What a disk or a network refuses may be there the next time: that says nothing of the file.
enum class Reading { whole, cut_short, refused };

Reading read_at(int file, void* target, std::uint64_t bytes, std::uint64_t offset) {
  auto* next = static_cast<char*>(target);
  while (bytes > 0) {
    const ssize_t got = pread(file, next, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Reading::refused;
    if (got == 0) return Reading::cut_short;
    next += got;
    bytes -= static_cast<std::uint64_t>(got);
    offset += static_cast<std::uint64_t>(got);
  }
  return Reading::whole;
}

// What is mapped can be cut short by others, and a disk can fail: the next access to it is then a
// bus error, which nothing can be done about but to say so.
void end_at_bus_error(int number, siginfo_t* about, void*) {
  if (about->si_code == BUS_ADRERR) {
    constexpr std::string_view text =
        "serenade: a file of the feature cache was cut short, or cannot be read, while it is in "
        "use; check its disk, and run again\n";
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    _exit(static_cast<int>(ExitCode::io));
  }
  std::signal(number, SIG_DFL);  // not from a map: the access is repeated, and ends the program
}

void watch_bus_errors() {
  [[maybe_unused]] static const bool watched = [] {
    struct sigaction action = {};
    action.sa_sigaction = end_at_bus_error;
    action.sa_flags = SA_SIGINFO;
    return sigaction(SIGBUS, &action, nullptr) == 0;
  }();
}

}  // namespace

void write_pack(const std::string& path, std::int64_t bins,
                const std::vector<PackedSpectrogram>& spectrograms) {
  Header header;
  header.bins = bins;
  header.count = spectrograms.size();
  std::vector<FeaturePack::Entry> entries;
  std::uint64_t end = sizeof header + spectrograms.size() * sizeof(FeaturePack::Entry);
  for (const PackedSpectrogram& spectrogram : spectrograms) {
    const std::uint64_t bytes = value_bytes(bins, spectrogram.frames);
    entries.push_back(
        {spectrogram.key, aligned(end), spectrogram.frames, checksum(spectrogram.values, bytes)});
    end = entries.back().offset + bytes;
  }
  header.checksum = index_checksum(header, entries);
  try {
    write_file(path, [&](std::ostream& out) {
      std::uint64_t done = 0;
      const auto put = [&](const void* data, std::uint64_t bytes) {
        out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
        done += bytes;
      };
      put(&header, sizeof header);
      put(entries.data(), entries.size() * sizeof(FeaturePack::Entry));
      constexpr std::array<char, kAlignment> zeros{};
      for (std::size_t i = 0; i < entries.size(); ++i) {
        put(zeros.data(), entries[i].offset - done);
        put(spectrograms[i].values, value_bytes(bins, spectrograms[i].frames));
      }
    });
  } catch (const std::runtime_error& error) {
    throw IoError(std::string(error.what()) + "; free some space or choose another cache folder");
  }
}

FeaturePack::FeaturePack(std::string path, std::int64_t bins)
    : path_(std::move(path)), bins_(bins) {
  const Descriptor file(path_, O_RDONLY | O_NONBLOCK);
  struct stat about = {};
  if (file.valid() && fstat(file.number(), &about) == 0 && S_ISREG(about.st_mode)) {
    bytes_ = static_cast<std::uint64_t>(about.st_size);
    inode_ = about.st_ino;
    damaged_ = !read_index(file.number(), bytes_);
    if (damaged_) entries_.clear();
  }
}

// False: the file is damaged. One that cannot be read has no entries.
bool FeaturePack::read_index(int file, std::uint64_t bytes) {
  Header header;
  Reading reading = read_at(file, &header, sizeof header, 0);
  if (reading == Reading::refused) return true;
  if (reading == Reading::cut_short || header.magic != kMagic) return false;
  if (header.version != kVersion || header.bins != bins_) return true;  // of another program
  if (header.count > (bytes - sizeof header) / sizeof(Entry)) return false;
  entries_.resize(header.count);
  reading = read_at(file, entries_.data(), header.count * sizeof(Entry), sizeof header);
  if (reading == Reading::refused) {
    entries_.clear();
    return true;
  }
  if (reading == Reading::cut_short || header.checksum != index_checksum(header, entries_)) {
    return false;
  }
  const std::uint64_t column = value_bytes(bins_, 1);
  for (const Entry& entry : entries_) {
    if (entry.offset % kAlignment != 0 || entry.offset > bytes || entry.frames < 1 ||
        static_cast<std::uint64_t>(entry.frames) > (bytes - entry.offset) / column) {
      return false;
    }
  }
  return true;
}

// The whole file; null where it is no longer the one whose index was read.
std::shared_ptr<const void> FeaturePack::map() {
  const std::lock_guard lock(mutex_);
  if (map_) return map_;
  const Descriptor file(path_, O_RDONLY | O_NONBLOCK);
  struct stat about = {};
  const bool same = file.valid() && fstat(file.number(), &about) == 0 && about.st_ino == inode_ &&
                    static_cast<std::uint64_t>(about.st_size) == bytes_;
  void* memory = same ? mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file.number(), 0) : MAP_FAILED;
  if (memory == MAP_FAILED) return nullptr;
  watch_bus_errors();
  map_ = std::shared_ptr<const void>(
      memory, [bytes = bytes_](const void* start) { munmap(const_cast<void*>(start), bytes); });
  return map_;
}

std::shared_ptr<const float> FeaturePack::values(const Entry& entry) {
  const std::shared_ptr<const void> memory = map();
  if (!memory) return nullptr;
  const char* start = static_cast<const char*>(memory.get()) + entry.offset;
  if (checksum(start, value_bytes(bins_, entry.frames)) != entry.checksum) {
    damaged_ = true;
    return nullptr;
  }
  return {memory, reinterpret_cast<const float*>(start)};
}

}  // namespace serenade::ser
