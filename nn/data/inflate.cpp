// Deflate and CRC-32 by zlib: the one file that knows it.

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include "nn/data/byte_source.h"

namespace serenade {

namespace {

// Deflate is densest where it says "258 bytes as before" in two bits, one for the length and one
// for the distance: 1,032 bytes a byte.
constexpr std::uint64_t kMostPerByte = 1032;

class InflatedBytes : public ByteSource {
 public:
  InflatedBytes(std::unique_ptr<ByteSource> from, Compression compression)
      : ByteSource(from->path(), from->format()), from_(std::move(from)), kind_(compression) {
    const std::uint64_t compressed = from_->most_left();
    most_ = compressed > std::numeric_limits<std::uint64_t>::max() / kMostPerByte
                ? std::numeric_limits<std::uint64_t>::max()
                : compressed * kMostPerByte;
    // zlib's way to say which: 16 more than the window for gzip, negative for deflate alone.
    if (inflateInit2(&stream_, kind_ == Compression::gzip ? 16 + MAX_WBITS : -MAX_WBITS) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~InflatedBytes() override { inflateEnd(&stream_); }
  InflatedBytes(const InflatedBytes&) = delete;
  InflatedBytes& operator=(const InflatedBytes&) = delete;

  std::size_t read_some(char* to, std::size_t bytes) override {
    constexpr std::size_t kMostAtOnce = 1 << 30;  // zlib counts in 32 bits
    std::size_t count = 0;
    while (count == 0 && bytes > 0 && !ended_) {
      if (stream_.avail_in == 0) fill();
      const std::size_t wanted = std::min(bytes, kMostAtOnce);
      stream_.next_out = reinterpret_cast<Bytef*>(to);
      stream_.avail_out = static_cast<uInt>(wanted);
      const int code = inflate(&stream_, Z_NO_FLUSH);
      count = wanted - stream_.avail_out;
      if (code == Z_MEM_ERROR) throw std::bad_alloc();
      if (code == Z_STREAM_END) {
        end_member();
      } else if (code == Z_BUF_ERROR || (code == Z_OK && count == 0)) {
        if (from_->most_left() == 0) fail("its compressed data is cut short");
      } else if (code != Z_OK) {
        fail(std::string("its compressed data is damaged: ") +
             (stream_.msg != nullptr ? stream_.msg : "no deflate"));
      }
    }
    made_ += count;
    return count;
  }

  std::uint64_t most_left() const override { return ended_ ? 0 : most_ - std::min(made_, most_); }

 private:
  void fill() {
    const std::size_t count = from_->read_some(buffer_.data(), buffer_.size());
    stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_in = static_cast<uInt>(count);
  }

  // A gzip file may be several, one behind the other; what begins otherwise does not belong to it.
  void end_member() {
    if (stream_.avail_in == 0) fill();
    if (stream_.avail_in == 0) {
      ended_ = true;
      return;
    }
    if (kind_ == Compression::raw || *stream_.next_in != 0x1F) {
      fail("there are bytes behind the end of its compressed data");
    }
    inflateReset(&stream_);
  }

  std::unique_ptr<ByteSource> from_;
  Compression kind_;
  z_stream stream_ = {};
  std::array<char, 1 << 16> buffer_;
  std::uint64_t most_ = 0, made_ = 0;
  bool ended_ = false;
};

class CheckedBytes : public ByteSource {
 public:
  CheckedBytes(std::unique_ptr<ByteSource> from, std::uint64_t bytes, std::uint32_t crc)
      : ByteSource(from->path(), from->format()),
        from_(std::move(from)),
        left_(bytes),
        expected_(crc) {
    if (bytes > from_->most_left()) fail("its directory claims more bytes than it can hold");
  }

  std::size_t read_some(char* to, std::size_t bytes) override {
    const std::size_t count = from_->read_some(to, std::min<std::uint64_t>(bytes, left_));
    crc_ = static_cast<std::uint32_t>(
        crc32_z(crc_, reinterpret_cast<const Bytef*>(to), static_cast<z_size_t>(count)));
    left_ -= count;
    if (bytes == 0 || (count > 0 && left_ > 0)) return count;
    if (left_ > 0) fail("it holds fewer bytes than its directory claims");
    if (crc_ != expected_) fail("it is damaged: its checksum is another");
    if (from_->next() >= 0) fail("it holds more bytes than its directory claims");
    return count;
  }

  std::uint64_t most_left() const override { return left_; }

 private:
  std::unique_ptr<ByteSource> from_;
  std::uint64_t left_;
  std::uint32_t expected_, crc_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> inflate_bytes(std::unique_ptr<ByteSource> compressed,
                                          Compression compression) {
  return std::make_unique<InflatedBytes>(std::move(compressed), compression);
}

std::unique_ptr<ByteSource> check_bytes(std::unique_ptr<ByteSource> from, std::uint64_t bytes,
                                        std::uint32_t crc) {
  return std::make_unique<CheckedBytes>(std::move(from), bytes, crc);
}

}  // namespace serenade
