#include "nn/data/byte_source.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <utility>

namespace serenade {

namespace {

namespace fs = std::filesystem;

// The bytes [position, end) of a file.
class FileBytes : public ByteSource {
 public:
  FileBytes(const std::string& path, const std::string& format, std::uint64_t begin,
            std::uint64_t end)
      : ByteSource(path, format) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (fs::exists(status) && !fs::is_regular_file(status)) {
      throw std::runtime_error(path + ": is not a regular file");
    }
    in_.open(path, std::ios::binary);
    const std::uint64_t size = fs::file_size(path, error);
    if (!in_ || error) throw std::runtime_error(path + ": cannot be opened");
    left_ = std::min(end, size);
    if (begin > left_) fail("cut short");
    left_ -= begin;
    in_.seekg(static_cast<std::streamoff>(begin));
  }

  std::size_t read_some(char* to, std::size_t bytes) override {
    const std::size_t wanted = std::min<std::uint64_t>(bytes, left_);
    if (wanted == 0) return 0;
    in_.read(to, static_cast<std::streamsize>(wanted));
    const auto count = static_cast<std::size_t>(in_.gcount());
    if (count < wanted) throw std::runtime_error(path() + ": cannot be read to its end");
    left_ -= count;
    return count;
  }

  std::uint64_t most_left() const override { return left_; }

 private:
  std::ifstream in_;
  std::uint64_t left_ = 0;
};

}  // namespace

void ByteSource::fail(const std::string& what) const {
  throw std::runtime_error(path_ + ": not a valid " + format_ + ": " + what);
}

void ByteSource::read(char* to, std::size_t bytes, const std::string& what) {
  std::size_t count = 0;
  while (count < bytes) {
    const std::size_t more = read_some(to + count, bytes - count);
    if (more == 0) fail("cut short in " + what);
    count += more;
  }
}

std::vector<char> ByteSource::read_block(std::uint64_t bytes, const std::string& what) {
  if (bytes > most_left()) fail("cut short in " + what);
  // Compressed bytes may be fewer than they could be: memory follows what has arrived.
  constexpr std::uint64_t kPiece = 1 << 22;
  std::vector<char> block;
  while (block.size() < bytes) {
    const std::size_t done = block.size();
    block.resize(std::min<std::uint64_t>(bytes, std::max<std::uint64_t>(2 * done, kPiece)));
    read(block.data() + done, block.size() - done, what);
  }
  return block;
}

int ByteSource::next() {
  char byte = 0;
  return read_some(&byte, 1) == 1 ? static_cast<unsigned char>(byte) : -1;
}

void ByteSource::expect_end() {
  if (next() >= 0) fail("there are bytes behind its end");
}

std::unique_ptr<ByteSource> open_byte_range(const std::string& path, const std::string& format,
                                            std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<FileBytes>(path, format, begin, end);
}

std::unique_ptr<ByteSource> open_plain_bytes(const std::string& path, const std::string& format) {
  return open_byte_range(path, format, 0, std::numeric_limits<std::uint64_t>::max());
}

std::unique_ptr<ByteSource> open_bytes(const std::string& path, const std::string& format) {
  // Two bytes tell, for none of the formats here begins with them. They are read again from the
  // start.
  const bool zipped = [&] {
    const auto probe = open_plain_bytes(path, format);
    return probe->next() == 0x1F && probe->next() == 0x8B;
  }();
  auto plain = open_plain_bytes(path, format);
  return zipped ? inflate_bytes(std::move(plain), Compression::gzip) : std::move(plain);
}

}  // namespace serenade
