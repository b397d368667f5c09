#pragma once
// The bytes of a file in order, as the readers of data take them: straight from the file, from a
// part of it, or inflated on the way. Whatever a header claims, most_left() says how much can
// follow.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace serenade {

class ByteSource {
 public:
  ByteSource(std::string path, std::string format)
      : path_(std::move(path)), format_(std::move(format)) {}
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  /// Up to `bytes` bytes; fewer only at the end. Throws by fail() where they are damaged.
  virtual std::size_t read_some(char* to, std::size_t bytes) = 0;
  /// No more bytes than these can follow. Exact where nothing is compressed.
  virtual std::uint64_t most_left() const = 0;

  /// Exactly `bytes` bytes, else fail(): cut short in `what`.
  void read(char* to, std::size_t bytes, const std::string& what);
  /// The same, with memory that grows as the bytes arrive.
  std::vector<char> read_block(std::uint64_t bytes, const std::string& what);
  /// The next byte, or -1 at the end.
  int next();
  /// Throws by fail() unless all has been read.
  void expect_end();

  /// Throws std::runtime_error("path: not a valid <format>: what").
  [[noreturn]] void fail(const std::string& what) const;

  const std::string& path() const { return path_; }
  const std::string& format() const { return format_; }

 private:
  std::string path_;
  std::string format_;  // "IDX file", or where in a file the bytes are; for messages
};

/// A regular file, inflated where it is gzip (RFC 1952, also of several members), whatever its
/// name. Throws std::runtime_error naming the path where it cannot be opened.
std::unique_ptr<ByteSource> open_bytes(const std::string& path, const std::string& format);

/// A regular file as it is, and the bytes [begin, end) of one, which must be there.
std::unique_ptr<ByteSource> open_plain_bytes(const std::string& path, const std::string& format);
std::unique_ptr<ByteSource> open_byte_range(const std::string& path, const std::string& format,
                                            std::uint64_t begin, std::uint64_t end);

/// What compressed bytes inflate to; damage and bytes behind the end are refused. gzip: with its
/// header and checksum; raw: deflate alone (RFC 1951).
enum class Compression { gzip, raw };
std::unique_ptr<ByteSource> inflate_bytes(std::unique_ptr<ByteSource> compressed,
                                          Compression compression);

/// Passes bytes on and compares, at their end, their number and their CRC-32 with what a directory
/// says of them.
std::unique_ptr<ByteSource> check_bytes(std::unique_ptr<ByteSource> from, std::uint64_t bytes,
                                        std::uint32_t crc);

}  // namespace serenade
