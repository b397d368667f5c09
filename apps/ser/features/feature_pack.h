#pragma once
// Many spectrograms in one file, because a file and a map for each would run into the limits of the
// system (65,530 maps per process).
//
//   64 bytes      magic, version, bins, count, checksum of these and of the index, zeros
//   32 x count    the index: key, offset of the values, frames, checksum of the values
//   values        [bins, frames] in float32, each from a multiple of 64 bytes on
//
// Numbers are in the machine's byte order. A pack is written whole or not at all, and never
// changed.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace serenade::ser {

/// One spectrogram that goes into a pack.
struct PackedSpectrogram {
  std::uint64_t key = 0;
  std::int64_t frames = 0;
  const float* values = nullptr;  ///< [bins, frames]
};

/// Throws IoError.
void write_pack(const std::string& path, std::int64_t bins,
                const std::vector<PackedSpectrogram>& spectrograms);

/// A pack as it lies on the disk. Nothing in it is believed before its checksum has been compared.
class FeaturePack {
 public:
  struct Entry {
    std::uint64_t key = 0;
    std::uint64_t offset = 0;  // of the values, in bytes from the beginning of the file
    std::int64_t frames = 0;
    std::uint64_t checksum = 0;
  };

  /// Reads the index. A file of another kind, version or number of bins has no entries; neither has
  /// a damaged one, nor one that the system refuses to read.
  FeaturePack(std::string path, std::int64_t bins);

  const std::string& path() const { return path_; }
  const std::vector<Entry>& entries() const { return entries_; }
  /// Whether something in it, as far as it has been looked at, is not what was written.
  bool damaged() const { return damaged_; }

  /// The values of an entry, mapped; null where they are not those that were written, or the file
  /// cannot be mapped any more. May be called by several threads.
  std::shared_ptr<const float> values(const Entry& entry);

 private:
  bool read_index(int file, std::uint64_t bytes);
  std::shared_ptr<const void> map();

  std::string path_;
  std::int64_t bins_;
  std::uint64_t bytes_ = 0, inode_ = 0;
  std::vector<Entry> entries_;
  std::atomic<bool> damaged_ = false;
  std::mutex mutex_;
  std::shared_ptr<const void> map_;
};

}  // namespace serenade::ser
