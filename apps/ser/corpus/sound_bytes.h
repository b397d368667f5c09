#pragma once
// The bytes of a sound file, or of a pipe that a program writes sound to.

#include <cstdint>
#include <string>

#include "tensor/descriptor.h"

namespace serenade::ser {

/// What may be opened: a corpus is made of files; a single sound may also come through a pipe.
enum class SoundSource { files, files_and_pipes };

class SoundBytes {
 public:
  /// Opens a file, or reads a pipe to its end (at most kMostPipeBytes, into memory). Waits for a
  /// pipe's first byte as long as some program holds its other end, and kPipePatience seconds for
  /// such a program. Throws InputError where there is no such file, or where it is a folder, a
  /// device or a broken link; IoError where the system refuses it.
  SoundBytes(const std::string& path, SoundSource source);

  static constexpr std::int64_t kMostPipeBytes = std::int64_t{1} << 30;
  static constexpr double kPipePatience = 2;

  std::int64_t size() const { return size_; }
  /// Copies up to `count` bytes from `offset` on: fewer where the file ends, -1 where the system
  /// fails. Never throws, for libsndfile calls it.
  std::int64_t read(std::int64_t offset, void* to, std::int64_t count) const noexcept;
  /// The same as text. Throws IoError.
  std::string text(std::int64_t offset, std::int64_t count) const;

 private:
  void read_pipe();

  std::string path_;
  Descriptor file_;
  std::int64_t size_ = 0;
  bool in_memory_ = false;
  std::string memory_;
};

}  // namespace serenade::ser
