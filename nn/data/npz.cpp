// A ZIP archive of NPY files. What is where is said by the directory at its end; of what stands
// before a member only its length is needed, and that it is the member of that name.

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "nn/data/byte_source.h"
#include "nn/data/npy.h"
#include "nn/data/npy_header.h"
#include "tensor/json.h"

namespace serenade {

namespace {

constexpr const char* kFormat = "NPZ file";
constexpr std::uint32_t kEndSignature = 0x06054b50, kDirectorySignature = 0x02014b50,
                        kMemberSignature = 0x04034b50;
constexpr std::size_t kEndBytes = 22, kDirectoryBytes = 46, kMemberBytes = 30;
constexpr std::uint64_t kLongestComment = 65535;

// A number at a place of a record; all are little-endian.
template <class Number>
Number number_at(const std::vector<char>& record, std::size_t at) {
  Number number;
  std::memcpy(&number, record.data() + at, sizeof number);
  return number;
}

struct Member {
  std::string name;
  std::uint16_t flags = 0, method = 0;
  std::uint32_t crc = 0;
  std::uint64_t compressed = 0, bytes = 0;  // its size in the archive, and inflated
  std::uint64_t begin = 0;                  // of its own header
  std::uint64_t data = 0;                   // of its bytes
};

class Archive {
 public:
  explicit Archive(const std::string& path)
      : path_(path), whole_(open_plain_bytes(path, kFormat)), size_(whole_->most_left()) {
    find_directory();
    read_directory();
    place_members();
  }

  const std::vector<Member>& members() const { return members_; }

  std::unique_ptr<ByteSource> open(const Member& member) const {
    auto bytes = open_byte_range(path_, kFormat + (", in " + json_quoted(member.name)), member.data,
                                 member.data + member.compressed);
    if (member.method == 8) bytes = inflate_bytes(std::move(bytes), Compression::raw);
    return check_bytes(std::move(bytes), member.bytes, member.crc);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { whole_->fail(what); }

  std::vector<char> block(std::uint64_t begin, std::uint64_t bytes, const std::string& what) const {
    return open_byte_range(path_, kFormat, begin, size_)->read_block(bytes, what);
  }

  // The last record of the archive, behind which only a comment may stand.
  void find_directory() {
    if (size_ < kEndBytes) fail("cut short: it has no directory at its end");
    const std::uint64_t tail_bytes = std::min<std::uint64_t>(size_, kEndBytes + kLongestComment);
    const std::vector<char> tail = block(size_ - tail_bytes, tail_bytes, "its end");
    for (std::size_t at = tail.size() - kEndBytes + 1; at-- > 0;) {
      if (number_at<std::uint32_t>(tail, at) != kEndSignature) continue;
      if (at + kEndBytes + number_at<std::uint16_t>(tail, at + 20) != tail.size()) continue;
      if (number_at<std::uint16_t>(tail, at + 4) != 0 ||
          number_at<std::uint16_t>(tail, at + 6) != 0) {
        fail("it is a part of an archive in several files");
      }
      count_ = number_at<std::uint16_t>(tail, at + 10);
      directory_bytes_ = number_at<std::uint32_t>(tail, at + 12);
      directory_ = number_at<std::uint32_t>(tail, at + 16);
      if (count_ == 0xFFFF || directory_bytes_ == 0xFFFFFFFF || directory_ == 0xFFFFFFFF) {
        fail_zip64();
      }
      if (directory_ + directory_bytes_ != size_ - tail_bytes + at) {
        fail("its directory does not end where its last record begins");
      }
      return;
    }
    fail("cut short or no archive: it has no directory at its end");
  }

  [[noreturn]] void fail_zip64() const {
    fail("it is an archive in the zip64 form (4 GB, or 65,535 members), which is not supported");
  }

  void read_directory() {
    const std::vector<char> records = block(directory_, directory_bytes_, "its directory");
    std::size_t at = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      const std::string where = "record " + std::to_string(i) + " of its directory";
      if (records.size() - at < kDirectoryBytes) fail(where + " is cut short");
      if (number_at<std::uint32_t>(records, at) != kDirectorySignature) {
        fail(where + " does not begin with PK\\1\\2");
      }
      Member member;
      member.flags = number_at<std::uint16_t>(records, at + 8);
      member.method = number_at<std::uint16_t>(records, at + 10);
      member.crc = number_at<std::uint32_t>(records, at + 16);
      member.compressed = number_at<std::uint32_t>(records, at + 20);
      member.bytes = number_at<std::uint32_t>(records, at + 24);
      member.begin = number_at<std::uint32_t>(records, at + 42);
      const std::size_t name_bytes = number_at<std::uint16_t>(records, at + 28);
      const std::size_t length = kDirectoryBytes + name_bytes +
                                 number_at<std::uint16_t>(records, at + 30) +
                                 number_at<std::uint16_t>(records, at + 32);
      if (records.size() - at < length) fail(where + " is cut short");
      member.name.assign(records.data() + at + kDirectoryBytes, name_bytes);
      if (member.compressed == 0xFFFFFFFF || member.bytes == 0xFFFFFFFF ||
          member.begin == 0xFFFFFFFF) {
        fail_zip64();
      }
      members_.push_back(std::move(member));
      at += length;
    }
    if (at != records.size()) fail("its directory holds more than its records");
  }

  // Finds the bytes of each member. They must not overlap: else few bytes could become many arrays.
  void place_members() {
    std::sort(members_.begin(), members_.end(),
              [](const Member& a, const Member& b) { return a.begin < b.begin; });
    std::uint64_t free = 0;
    for (Member& member : members_) {
      const std::string name = "its member " + json_quoted(member.name);
      if (member.flags & 1) fail(name + " is encrypted");
      if (member.method != 0 && member.method != 8) {
        fail(name + " is compressed by method " + std::to_string(member.method) +
             "; known are 0, stored, and 8, deflated");
      }
      if (member.begin < free) fail(name + " overlaps the one before it");
      if (member.begin + kMemberBytes > directory_) fail(name + " lies outside the archive");
      const std::vector<char> header = block(member.begin, kMemberBytes, name);
      if (number_at<std::uint32_t>(header, 0) != kMemberSignature) {
        fail(name + " does not begin with PK\\3\\4");
      }
      const std::size_t name_bytes = number_at<std::uint16_t>(header, 26);
      member.data = member.begin + kMemberBytes + name_bytes + number_at<std::uint16_t>(header, 28);
      free = member.data + member.compressed;
      if (free > directory_) fail(name + " lies outside the archive");
      const std::vector<char> own_name = block(member.begin + kMemberBytes, name_bytes, name);
      if (!std::equal(own_name.begin(), own_name.end(), member.name.begin(), member.name.end())) {
        fail(name + " has another name where it begins");
      }
    }
  }

  std::string path_;
  std::unique_ptr<ByteSource> whole_;
  std::uint64_t size_;
  std::size_t count_ = 0;
  std::uint64_t directory_ = 0, directory_bytes_ = 0;
  std::vector<Member> members_;
};

}  // namespace

std::map<std::string, NumberArray> read_npz(const std::string& path) {
  const Archive archive(path);
  std::map<std::string, NumberArray> arrays;
  for (const Member& member : archive.members()) {
    const auto source = archive.open(member);
    constexpr std::string_view kEnding = ".npy";
    if (!member.name.ends_with(kEnding)) source->fail("its name does not end in .npy");
    const std::string name = member.name.substr(0, member.name.size() - kEnding.size());
    if (arrays.contains(name)) source->fail("there are two members of that name");
    arrays[name] = read_npy(*source);
  }
  return arrays;
}

}  // namespace serenade
